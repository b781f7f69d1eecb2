"""QuantizeLinear and DequantizeLinear: the borders between real numbers and integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from .registry import Arrays, Operator, Signature, operator, refuse

__all__ = ["aligned"]


def aligned(parameter: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """A scale or zero point, shape () or (n,), so that it broadcasts along `axis` of a tensor of `rank`."""
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if d == axis % rank else 1 for d in range(rank)])


def _parameters(node: Node, arguments: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point as arrays; they must be constants of one element or of one dimension."""
    scale = arguments[1]
    if not isinstance(scale, np.ndarray) or scale.ndim > 1:
        raise refuse(node, "its scale must be a constant, for the whole tensor or one for each slice of an axis")
    zero = arguments[2] if len(arguments) > 2 and arguments[2] is not None else np.zeros(scale.shape, np.uint8)
    return scale, zero


def _data(tensor: te.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.data


def _element(parameter: np.ndarray, index: Sequence[te.ExprLike], axis: int, dtype: str) -> te.ExprLike:
    """A parameter's element that belongs to the tensor's element at `index`."""
    if parameter.size == 1:
        return parameter.astype(dtype).reshape(()).item()
    return te.constant(parameter.astype(dtype))[index[axis % len(index)]]


@operator("QuantizeLinear")
class QuantizeLinear(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data = arguments[0]
        assert data is not None
        zero = arguments[2] if len(arguments) > 2 else None
        return [Signature(data.known_shape, zero.known_dtype if zero is not None else np.dtype(np.uint8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, arguments)
        axis = node.get("axis", 1)
        limits = np.iinfo(zero.dtype)
        steps = np.rint(data / aligned(scale, data.ndim, axis)) + aligned(zero, data.ndim, axis).astype(np.float64)
        return [np.clip(steps, limits.min, limits.max).astype(zero.dtype)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, [None, *map(_data, arguments[1:])])
        axis, limits = node.get("axis", 1), np.iinfo(zero.dtype)

        def element(*index: te.ExprLike) -> te.ExprLike:
            steps = te.round(data[index] / _element(scale, index, axis, "float32")) + _element(zero, index, axis, "float32")
            return te.clamp(steps, float(limits.min), float(limits.max)).astype("int32").astype(zero.dtype.name)

        return [te.compute(data.shape, element)]


@operator("DequantizeLinear")
class DequantizeLinear(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data, scale = arguments[:2]
        assert data is not None and scale is not None
        return [Signature(data.known_shape, scale.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, arguments)
        axis = node.get("axis", 1)
        steps = data.astype(np.int64) - aligned(zero, data.ndim, axis).astype(np.int64)
        return [(steps.astype(np.float32) * aligned(scale, data.ndim, axis)).astype(scale.dtype)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, [None, *map(_data, arguments[1:])])
        axis = node.get("axis", 1)

        def element(*index: te.ExprLike) -> te.ExprLike:
            steps = data[index].astype("int32") - _element(zero, index, axis, "int32")
            return steps.astype("float32") * _element(scale, index, axis, "float32")

        return [te.compute(data.shape, element)]


@operator("flip_sign")
class FlipSign(Operator):
    """uint8 ↔ int8: the same real numbers once the zero point moves by 128 as well."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data = arguments[0]
        assert data is not None
        return [Signature(data.known_shape, np.dtype(np.int8 if data.known_dtype == np.uint8 else np.uint8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        return [(data ^ data.dtype.type(-128 if data.dtype == np.int8 else 128)).view(np.int8 if data.dtype == np.uint8 else np.uint8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        offset, dtype = (-128, "int8") if data.dtype == "uint8" else (128, "uint8")
        return [te.compute(data.shape, lambda *index: (data[index].astype("int32") + offset).astype(dtype))]
