"""Softmax from int8 to int8, as TFLite's kernels compute it: exponentials from a table, sums in float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import te
from ..graph import Node, Value
from .registry import Arrays, Operator, Signature, operator


@operator("qsoftmax")
class QuantisedSoftmax(Operator):
    """int8 → int8 along the last dimension; x_scale includes the factor beta."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, np.dtype(np.int8))]

    def _table(self, node: Node) -> np.ndarray:
        """float32 exp(−x_scale · d) for every distance d from the largest."""
        scale = np.float32(node["x_scale"])
        return np.asarray(np.exp(-scale * np.arange(256, dtype=np.float32)), np.float32)

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        steps = data.astype(np.int64)
        powers = self._table(node)[steps.max(axis=-1, keepdims=True) - steps]
        total = np.zeros_like(powers[..., :1])
        for column in range(powers.shape[-1]):
            total += powers[..., column : column + 1]
        inverse = np.float32(1) / (total * np.float32(node["y_scale"]))
        return [np.clip(np.rint(powers * inverse + np.float32(node["y_zero"])), -128, 127).astype(np.int8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        *outer, size = data.shape
        rows = len(outer)
        table = te.constant(self._table(node))
        k, j = te.reduce_axis(size), te.reduce_axis(size)
        top = te.compute(outer, lambda *i: te.max(data[(*i, k)].astype("int32"), k))

        def distance(*index: te.Expr) -> te.Expr:
            return te.clamp(top[index[:rows]] - data[index].astype("int32"), 0, 255).astype("int64")

        power = te.compute(data.shape, lambda *i: table[distance(*i)])
        total = te.compute(outer, lambda *i: te.sum(power[(*i, j)], j))
        inverse = te.compute(outer, lambda *i: 1.0 / (total[i] * float(np.float32(node["y_scale"]))))

        def element(*index: te.Expr) -> te.Expr:
            value = te.round(power[index] * inverse[index[:rows]] + float(node["y_zero"]))
            return te.clamp(value, -128.0, 127.0).astype("int8")

        return [te.compute(data.shape, element)]
