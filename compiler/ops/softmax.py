"""Softmax, on the host."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from .. import te
from ..graph import Node, Value
from ..te import layout, nn
from .registry import Arrays, Operator, Signature, operator, refuse


@operator("Softmax")
class Softmax(Operator):
    """exp(x − max) / Σ exp(x − max) along `axis`; with `flatten` (before version 13) over all dimensions from it on."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, arguments[0].known_dtype)]

    def _view(self, node: Node, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """(outer, normalised, inner) sizes."""
        axis = node.get("axis", -1)
        if not -len(shape) <= axis < max(len(shape), 1):
            raise refuse(node, f"its axis must be one of {len(shape)}, not {axis}")
        axis %= len(shape)
        if node.get("flatten", 0):
            return prod(shape[:axis]), prod(shape[axis:]), 1
        return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        view = data.reshape(self._view(node, data.shape))
        powers = np.exp(view - view.max(axis=1, keepdims=True))
        return [(powers / powers.sum(axis=1, keepdims=True)).reshape(data.shape).astype(data.dtype)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        outer, count, inner = self._view(node, data.shape)
        view = layout.reshape(data, (outer, count, inner))
        rows = layout.reshape(layout.transpose(view, (0, 2, 1)), (outer * inner, count))
        result = layout.reshape(nn.softmax(rows), (outer, inner, count))
        return [layout.reshape(layout.transpose(result, (0, 2, 1)), data.shape)]
