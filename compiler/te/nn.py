"""Expressions of neural network operators. Activations are [N][C][H][W], weights [CO][CI / groups][KH][KW].

Integer operators give exact int32 sums of ``(x − x_zero_point) · w``. A convolution or pooling with padding is two
stages, the padded tensor and the operator proper, so that the accelerator reads the second as a plain affine nest and
the host computes the first where it is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .expr import Expr
from .layout import pad
from .tensor import Tensor, clamp, compute, exp, max, reduce_axis, round, sum

__all__ = [
    "add",
    "average_pool2d",
    "conv2d",
    "conv2d_blocked",
    "dense",
    "dequantize",
    "max_pool2d",
    "quantize",
    "relu",
    "softmax",
    "sum_pool2d",
]

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def _padded(x: Tensor, pads: Pads, value: float | int) -> Tensor:
    top, left, bottom, right = pads
    return pad(x, (0, 0, top, left), (0, 0, bottom, right), value, f"{x.name}_padded") if any(pads) else x


def _windows(size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    count = (size - dilation * (kernel - 1) - 1) // stride + 1
    if count < 1:
        raise ValueError(f"a window of {dilation * (kernel - 1) + 1} must fit {size} elements with their padding")
    return count


def _accumulator(dtype: str) -> str:
    return dtype if dtype.startswith("float") else "int32"


def conv2d(
    x: Tensor,
    w: Tensor,
    *,
    strides: Pair = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    dilations: Pair = (1, 1),
    groups: int = 1,
    x_zero_point: int = 0,
    name: str = "conv2d",
) -> Tensor:
    """Convolution; `pads` are top, left, bottom, right and hold the zero point. int8 and uint8 give int32."""
    padded = _padded(x, pads, x_zero_point)
    n, _, height, width = padded.shape
    out, inner, kh, kw = w.shape
    if x.shape[1] != inner * groups or out % groups:
        raise ValueError(
            f"{w} must have {x.shape[1]} / {groups} input channels, and output channels that {groups} divides"
        )
    ci, y, z = reduce_axis(inner, f"{name}_ci"), reduce_axis(kh, f"{name}_kh"), reduce_axis(kw, f"{name}_kw")
    wide, per_group = _accumulator(x.dtype), out // groups

    def element(b: Expr, co: Expr, oh: Expr, ow: Expr) -> Expr:
        channel = co // per_group * inner + ci if groups > 1 else ci
        row, column = oh * strides[0] + y * dilations[0], ow * strides[1] + z * dilations[1]
        value = padded[b, channel, row, column].astype(wide)
        shifted = value - x_zero_point if x_zero_point else value
        return sum(shifted * w[co, ci, y, z].astype(wide), [ci, y, z])

    size = (_windows(height, kh, strides[0], dilations[0]), _windows(width, kw, strides[1], dilations[1]))
    return compute((n, out, *size), element, name)


def conv2d_blocked(
    x: Tensor, w: Tensor, *, strides: Pair = (1, 1), dilations: Pair = (1, 1), name: str = "conv2d_blocked"
) -> Tensor:
    """The convolution as the accelerator sees it, without padding.

    `x` is [N][CI / in][H][W][in], `w` [CO / out][CI / in][KH][KW][out][in]; gives int32 [N][CO / out][OH][OW][out].
    """
    n, blocks, height, width, inside = x.shape
    groups, channels, kh, kw, outside, lanes = w.shape
    if (blocks, inside) != (channels, lanes):
        raise ValueError(f"{w} must have {blocks} blocks of {inside} input channels")
    ci, y, z = reduce_axis(blocks, f"{name}_ci"), reduce_axis(kh, f"{name}_kh"), reduce_axis(kw, f"{name}_kw")
    k = reduce_axis(inside, f"{name}_k")

    def element(b: Expr, co: Expr, oh: Expr, ow: Expr, o: Expr) -> Expr:
        row, column = oh * strides[0] + y * dilations[0], ow * strides[1] + z * dilations[1]
        return sum(x[b, ci, row, column, k].astype("int32") * w[co, ci, y, z, o, k].astype("int32"), [ci, y, z, k])

    size = (_windows(height, kh, strides[0], dilations[0]), _windows(width, kw, strides[1], dilations[1]))
    return compute((n, groups, *size, outside), element, name)


def dense(x: Tensor, w: Tensor, *, x_zero_point: int = 0, name: str = "dense") -> Tensor:
    """[N][CI] by [CO][CI] gives [N][CO]."""
    k, wide = reduce_axis(x.shape[1], f"{name}_k"), _accumulator(x.dtype)

    def element(n: Expr, co: Expr) -> Expr:
        value = x[n, k].astype(wide)
        shifted = value - x_zero_point if x_zero_point else value
        return sum(shifted * w[co, k].astype(wide), k)

    return compute((x.shape[0], w.shape[0]), element, name)


def add(a: Tensor, b: Tensor, name: str = "add") -> Tensor:
    """Elementwise, of equal shapes."""
    if a.shape != b.shape:
        raise ValueError(f"{a} and {b} must have equal shapes")
    return compute(a.shape, lambda *axes: a[axes] + b[axes], name)


def relu(x: Tensor, zero_point: int | float = 0, name: str = "relu") -> Tensor:
    """Values below `zero_point` become it."""
    return compute(x.shape, lambda *axes: clamp(x[axes], zero_point, _highest(x.dtype)), name)


def _highest(dtype: str) -> float | int:
    return float("inf") if dtype.startswith("float") else int(np.iinfo(dtype).max)


def max_pool2d(
    x: Tensor, kernel: Pair, *, strides: Pair, pads: Pads = (0, 0, 0, 0), name: str = "max_pool2d"
) -> Tensor:
    """Largest of each window; padding never wins."""
    low = -np.inf if x.dtype.startswith("float") else int(np.iinfo(x.dtype).min)
    padded = _padded(x, pads, low)
    n, c, height, width = padded.shape
    y, z = reduce_axis(kernel[0], f"{name}_kh"), reduce_axis(kernel[1], f"{name}_kw")
    return compute(
        (n, c, _windows(height, kernel[0], strides[0]), _windows(width, kernel[1], strides[1])),
        lambda b, ch, oh, ow: max(padded[b, ch, oh * strides[0] + y, ow * strides[1] + z], [y, z]),
        name,
    )


def sum_pool2d(
    x: Tensor, kernel: Pair, *, strides: Pair, pads: Pads = (0, 0, 0, 0), name: str = "sum_pool2d"
) -> Tensor:
    """Sum of each window, in int32 for integers; padding adds 0."""
    padded = _padded(x, pads, 0)
    n, c, height, width = padded.shape
    y, z = reduce_axis(kernel[0], f"{name}_kh"), reduce_axis(kernel[1], f"{name}_kw")
    wide = _accumulator(x.dtype)
    return compute(
        (n, c, _windows(height, kernel[0], strides[0]), _windows(width, kernel[1], strides[1])),
        lambda b, ch, oh, ow: sum(padded[b, ch, oh * strides[0] + y, ow * strides[1] + z].astype(wide), [y, z]),
        name,
    )


def average_pool2d(x: Tensor, kernel: Pair, *, strides: Pair, name: str = "average_pool2d") -> Tensor:
    """Mean of each window, float, no padding. Integers: requantise :func:`sum_pool2d` instead."""
    total = sum_pool2d(x, kernel, strides=strides, name=f"{name}_sum")
    return compute(total.shape, lambda *axes: total[axes] / float(kernel[0] * kernel[1]), name)


def softmax(x: Tensor, name: str = "softmax") -> Tensor:
    """Along the last dimension, float32, with the row's largest value taken off first."""
    *outer, size = x.shape
    rows = len(outer)
    k, j = reduce_axis(size, f"{name}_k"), reduce_axis(size, f"{name}_j")
    top = compute(outer, lambda *i: max(x[(*i, k)], k), f"{name}_max")
    power = compute(x.shape, lambda *i: exp(x[i] - top[i[:rows]]), f"{name}_exp")
    total = compute(outer, lambda *i: sum(power[(*i, j)], j), f"{name}_sum")
    return compute(x.shape, lambda *i: power[i] / total[i[:rows]], name)


def quantize(
    x: Tensor, scale: float | np.ndarray, zero_point: int, dtype: str, *, axis: int = 1, name: str = "quantize"
) -> Tensor:
    """QuantizeLinear: ``saturate(round(x / scale) + zero_point)``, halves to even, in float32; NaN gives the lowest.

    `scale` is one number, or a constant per index of dimension `axis`.
    """
    info = np.iinfo(dtype)
    per = _scale(scale)

    def element(*axes: Expr) -> Expr:
        value = round(x[axes] / per(axes, axis)) + float(zero_point)
        return clamp(value, float(info.min), float(info.max)).astype(dtype)

    return compute(x.shape, element, name)


def dequantize(
    x: Tensor, scale: float | np.ndarray, zero_point: int, *, axis: int = 1, name: str = "dequantize"
) -> Tensor:
    """DequantizeLinear: ``(x − zero_point) · scale`` in float32; `scale` as in :func:`quantize`."""
    per = _scale(scale)

    def element(*axes: Expr) -> Expr:
        value = x[axes].astype("int32")
        shifted = value - zero_point if zero_point else value
        return shifted.astype("float32") * per(axes, axis)

    return compute(x.shape, element, name)


class _scale:  # noqa: N801
    """A float32 factor: a number, or one per channel."""

    def __init__(self, scale: float | np.ndarray) -> None:
        array = np.asarray(scale, np.float32)
        self.single = float(array.reshape(-1)[0]) if array.size == 1 else None
        self.table = None if array.size == 1 else array

    def __call__(self, axes: Sequence[Expr], axis: int) -> Expr | float:
        if self.single is not None:
            return self.single
        from .tensor import constant

        assert self.table is not None
        return constant(self.table, "scale")[axes[axis]]
