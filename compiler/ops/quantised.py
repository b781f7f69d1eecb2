"""What integer operators with scales and zero points share on the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import te
from ..graph import Node
from .cast import dtype_of
from .derived import Expr

__all__ = ["Parameter", "dequantize_anyhow", "quantised", "quantize_anyhow"]


class Parameter:
    """A scale or zero point: one number, or one for each index of a dimension; 0 where it is left out."""

    def __init__(self, tensor: te.Tensor | None, dtype: str = "int32") -> None:
        self._tensor = tensor
        self._dtype = dtype

    def at(self, index: Expr) -> Expr:
        if self._tensor is None:
            return te.Const(0, self._dtype)
        shape = self._tensor.shape
        varying = [d for d, size in enumerate(shape) if size > 1]
        if len(varying) > 1:
            raise ValueError(f"a scale or zero point must vary along one dimension, not {list(shape)}")
        return self._tensor[tuple(index if d in varying else 0 for d in range(len(shape)))].astype(self._dtype)


def quantised(x: te.Tensor, zero_point: te.Tensor) -> te.Tensor:
    """Floats in steps to integers of the zero point's dtype: rounded half to even, zero point added, saturated."""
    info = np.iinfo(zero_point.dtype)
    zero = Parameter(zero_point, "float32")

    def element(*index: Expr) -> Expr:
        place = index[-1] if index else te.Const(0, "int64")
        return te.clamp(te.round(x[index]) + zero.at(place), float(info.min), float(info.max)).astype(zero_point.dtype)

    return te.compute(x.shape, element)


def _at(node: Node, tensor: te.Tensor, index: tuple[Expr, ...]) -> Expr:
    """A scale's or zero point's element for an element of the data: one for all, one a slice, or one a block."""
    if tensor.size == 1:
        return tensor[(0,) * len(tensor.shape)]
    axis, block = int(node.get("axis", 1)) % len(index), int(node.get("block_size", 0))
    if len(tensor.shape) == 1 and not block:
        return tensor[index[axis]]
    return tensor[tuple(i // block if d == axis else i for d, i in enumerate(index))]


def quantize_anyhow(node: Node, x: te.Tensor, parameters: Sequence[te.Tensor | None]) -> te.Tensor:
    """QuantizeLinear with a scale and zero point that are computed, or differ from slice to slice or block to block."""
    scale, zero = parameters[0], parameters[1] if len(parameters) > 1 else None
    assert scale is not None
    dtype = zero.dtype if zero is not None else dtype_of(node, "output_dtype", 2)
    info = np.iinfo(dtype)

    def element(*index: Expr) -> Expr:
        value = te.round(x[index].astype("float32") / _at(node, scale, index).astype("float32"))
        if zero is not None:
            value = value + _at(node, zero, index).astype("float32")
        return te.clamp(value, float(info.min), float(info.max)).astype(dtype)

    return te.compute(x.shape, element)


def dequantize_anyhow(node: Node, x: te.Tensor, parameters: Sequence[te.Tensor | None]) -> te.Tensor:
    """DequantizeLinear likewise."""
    scale, zero = parameters[0], parameters[1] if len(parameters) > 1 else None
    assert scale is not None

    def element(*index: Expr) -> Expr:
        value = x[index].astype("int32")
        if zero is not None:
            value = value - _at(node, zero, index).astype("int32")
        return value.astype(scale.dtype) * _at(node, scale, index)

    return te.compute(x.shape, element)
