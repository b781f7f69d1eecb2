"""The border from real numbers to integers as TFLite rounds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import te
from ..graph import Node, Value
from .registry import Arrays, Operator, Signature, operator


@operator("round_to_int8")
class RoundToInt8(Operator):
    """float32 → int8: x / scale, halves away from zero, plus zero_point."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        size = np.abs(data / np.float32(node["scale"]))
        whole = np.floor(size)
        steps = np.copysign(whole + (size - whole >= 0.5), data).astype(np.float64)
        return [np.clip(steps + node["zero_point"], -128, 127).astype(np.int8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        scale, zero = float(np.float32(node["scale"])), node["zero_point"]
        quotient = te.compute(data.shape, lambda *i: te.clamp(data[i] / scale, -512.0, 512.0))

        def element(*index: te.Expr) -> te.Expr:
            value = quotient[index]
            size = te.abs(value)
            whole = te.floor(size)
            rounded = te.where(size - whole >= 0.5, whole + 1.0, whole)
            steps = te.where(value >= 0.0, rounded, -rounded).astype("int32")
            return te.clamp(steps + zero, -128, 127).astype("int8")

        return [te.compute(data.shape, element)]
