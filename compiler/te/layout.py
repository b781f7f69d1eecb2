"""Expressions that move elements: reshape, transpose, and the accelerator's blocked layout."""

from __future__ import annotations

from collections.abc import Sequence

from .analysis import flat_index, unravel
from .expr import Const, Expr
from .tensor import Tensor, all_of, compute, where

__all__ = ["cast", "concatenate", "pack", "pad", "reshape", "transpose", "unpack"]


def reshape(x: Tensor, shape: Sequence[int], name: str = "reshape") -> Tensor:
    """The same elements in the same order."""
    if x.size != compute(shape, lambda *_: 0, name).size:
        raise ValueError(f"{x} must have as many elements as {list(shape)}")
    return compute(shape, lambda *axes: x[unravel(flat_index(shape, axes), x.shape)], name)


def transpose(x: Tensor, order: Sequence[int], name: str = "transpose") -> Tensor:
    """Dimension d of the result is dimension ``order[d]`` of `x`."""
    if sorted(order) != list(range(len(x.shape))):
        raise ValueError(f"the order of {x} must name each dimension once, not {list(order)}")
    return compute(
        [x.shape[d] for d in order], lambda *axes: x[tuple(axes[order.index(d)] for d in range(len(order)))], name
    )


def cast(x: Tensor, dtype: str, name: str = "cast") -> Tensor:
    """Integers wrap, floats truncate toward zero (beyond the range: undefined). The same dtype is a copy."""
    return compute(x.shape, lambda *axes: x[axes].astype(dtype), name)


def concatenate(tensors: Sequence[Tensor], dimension: int, name: str = "concatenate") -> Tensor:
    """Tensors side by side along a dimension, which alone may differ."""
    first = tensors[0]
    starts = [0]
    for tensor in tensors:
        starts.append(starts[-1] + tensor.shape[dimension])

    def element(*axes: Expr) -> Expr:
        return among(0, len(tensors), axes)

    def among(begin: int, end: int, axes: tuple[Expr, ...]) -> Expr:
        """The element, which lies in one of tensors[begin:end]; found by halves, so that it is not deeply nested."""
        place = axes[dimension]
        if end - begin == 1:
            return tensors[begin][(*axes[:dimension], place - starts[begin], *axes[dimension + 1 :])]
        value: Expr = Const(False, "bool") if first.dtype == "bool" else Const(0, first.dtype)
        middle = (begin + end) // 2
        for low, high in ((middle, end), (begin, middle)):
            within = all_of(place >= starts[low], place < starts[high])
            value = where(within, among(low, high, axes), value)
        return value

    if len(tensors) == 1:
        return compute(first.shape, lambda *axes: first[axes], name)
    return compute((*first.shape[:dimension], starts[-1], *first.shape[dimension + 1 :]), element, name)


def pad(x: Tensor, before: Sequence[int], after: Sequence[int], value: float | int = 0, name: str = "pad") -> Tensor:
    """`x` with `before[d]` and `after[d]` elements of `value` around dimension d."""
    shape = [size + low + high for size, low, high in zip(x.shape, before, after, strict=True)]

    def element(*axes: Expr) -> Expr:
        indices = tuple(axis - low if low else axis for axis, low in zip(axes, before, strict=True))
        inside = []
        for index, size, low, high in zip(indices, x.shape, before, after, strict=True):
            inside += [index >= 0] if low else []
            inside += [index < size] if high else []
        return where(all_of(*inside), x[indices], value) if inside else x[indices]

    return compute(shape, element, name)


def pack(x: Tensor, block: int, fill: int = 0, name: str = "pack") -> Tensor:
    """[N][C][H][W] to [N][⌈C / block⌉][H][W][block]; channels beyond C hold `fill`."""
    n, channels, height, width = x.shape

    def element(b: Expr, outer: Expr, h: Expr, w: Expr, inner: Expr) -> Expr:
        channel = outer * block + inner
        value = x[b, channel, h, w]
        return where(channel < channels, value, fill) if channels % block else value

    return compute((n, -(-channels // block), height, width, block), element, name)


def unpack(x: Tensor, channels: int, name: str = "unpack") -> Tensor:
    """[N][C / block][H][W][block] to [N][channels][H][W]."""
    n, blocks, height, width, block = x.shape
    if not (blocks - 1) * block < channels <= blocks * block:
        raise ValueError(f"{x} must hold {channels} channels in its last block")
    return compute((n, channels, height, width), lambda b, c, h, w: x[b, c // block, h, w, c % block], name)
