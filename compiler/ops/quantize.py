"""QuantizeLinear and DequantizeLinear: the borders between real numbers and integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from ..te import nn
from .cast import dtype_of
from .elementwise import rescaled
from .quantised import dequantize_anyhow, quantize_anyhow
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site

__all__: list[str] = []


def _aligned(node: Node, parameter: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A scale or zero point so that it broadcasts to `shape`: one for all, one a slice, or one a block."""
    if parameter.size == 1:
        return parameter.reshape(())
    axis, block = int(node.get("axis", 1)) % len(shape), int(node.get("block_size", 0))
    if block:
        return np.repeat(parameter, block, axis).take(range(shape[axis]), axis)
    return parameter.reshape([-1 if d == axis else 1 for d in range(len(shape))])


def _axis(node: Node, data: te.Tensor) -> int:
    return int(node.get("axis", 1)) % max(len(data.shape), 1)


def _parameters(node: Node, arguments: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point as arrays."""
    scale = arguments[1]
    if not isinstance(scale, np.ndarray):
        raise refuse(node, "its scale must be a constant")
    if len(arguments) > 2 and arguments[2] is not None:
        return scale, arguments[2]
    return scale, np.zeros(scale.shape, dtype_of(node, "output_dtype", 2))


def _host_parameters(node: Node, arguments: Sequence[te.Tensor | None]) -> tuple[np.ndarray, int, str]:
    """(scale, zero point, dtype of the integers) for the host, where one zero point must do."""
    scale, zero = _parameters(node, [None if tensor is None else tensor.data for tensor in arguments])
    if np.unique(zero).size > 1:
        raise refuse(node, "on the host it must have one zero point for the whole tensor")
    return scale, int(zero.flat[0]), zero.dtype.name


def _plain(arguments: Sequence[te.Tensor | None]) -> bool:
    """Whether scale and zero point are constants, the scale at most one a slice and the zero point one for all."""
    scale, zero = arguments[1], arguments[2] if len(arguments) > 2 else None
    if scale is None or scale.data is None or len(scale.shape) > 1:
        return False
    return zero is None or (zero.data is not None and np.unique(zero.data).size == 1)


def _require_sound(node: Node, arguments: Sequence[Value | None], integers: np.dtype[Any]) -> None:
    """One scale and zero point, or as many as slices along the axis; the zero point of the integers' dtype."""
    data, scale = arguments[0], arguments[1]
    zero = arguments[2] if len(arguments) > 2 else None
    assert data is not None and scale is not None
    shape, sizes = data.known_shape, scale.known_shape
    axis = node.get("axis", 1)
    if scale.known_dtype != np.float32:
        raise refuse(node, f"its scale must be float32, not {scale.dtype}")
    if zero is not None and (zero.known_dtype != integers or zero.known_shape not in ((), (1,), sizes)):
        raise refuse(node, f"its zero point must be {integers}{list(sizes)}, not {zero.dtype}{list(zero.known_shape)}")
    if sizes in ((), (1,)) or (len(sizes) == len(shape) and node.get("block_size", 0)):
        return
    if len(sizes) > 1 or not -len(shape) <= axis < len(shape) or shape[axis] != sizes[0]:
        raise refuse(node, f"its scale {list(sizes)} must match axis {axis} of its input {list(shape)}")


@operator("QuantizeLinear")
class QuantizeLinear(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data = arguments[0]
        assert data is not None
        zero = arguments[2] if len(arguments) > 2 else None
        dtype = zero.known_dtype if zero is not None else np.dtype(dtype_of(node, "output_dtype", 2))
        if dtype.kind not in "iu":
            raise refuse(node, f"its zero point must be an integer, not {dtype}")
        _require_sound(node, arguments, dtype)
        return [Signature(data.known_shape, dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, arguments)
        limits = np.iinfo(zero.dtype)
        steps = np.rint(data / _aligned(node, scale, data.shape)) + _aligned(node, zero, data.shape).astype(np.float64)
        return [np.clip(steps, limits.min, limits.max).astype(zero.dtype)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        if not _plain(arguments) or node.get("output_dtype", 0):
            return [quantize_anyhow(node, data, arguments[1:])]
        scale, zero, dtype = _host_parameters(node, arguments)
        return [nn.quantize(data, scale, zero, dtype, axis=_axis(node, data))]

    def quantise(self, site: Site) -> Lowered | None:
        """Directly after a DequantizeLinear it is a change of scale, if any."""
        operand, x = site.quantised(0)
        if operand.data is not None:
            return None
        return Lowered("Identity", (operand.name,), {}) if site.keeps(x) else rescaled(site)


@operator("DequantizeLinear")
class DequantizeLinear(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data, scale = arguments[:2]
        assert data is not None and scale is not None
        if data.known_dtype.kind not in "iu":
            raise refuse(node, f"its input must be integers, not {data.dtype}")
        _require_sound(node, arguments, data.known_dtype)
        return [Signature(data.known_shape, scale.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        scale, zero = _parameters(node, arguments)
        steps = data.astype(np.int64) - _aligned(node, zero, data.shape).astype(np.int64)
        return [(steps.astype(np.float32) * _aligned(node, scale, data.shape)).astype(scale.dtype)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        if not _plain(arguments):
            return [dequantize_anyhow(node, data, arguments[1:])]
        scale, zero, _ = _host_parameters(node, arguments)
        return [nn.dequantize(data, scale, zero, axis=_axis(node, data))]


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
        return [
            (data ^ data.dtype.type(-128 if data.dtype == np.int8 else 128)).view(
                np.int8 if data.dtype == np.uint8 else np.uint8
            )
        ]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        offset, dtype = (-128, "int8") if data.dtype == "uint8" else (128, "uint8")
        return [te.compute(data.shape, lambda *index: (data[index].astype("int32") + offset).astype(dtype))]
