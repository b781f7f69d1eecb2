"""Padding of an integer image that no window could take over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...isa.table import Function
from .. import te
from ..expressions import with_padding
from ..graph import Node, Value
from ..schedule.pool import Pooling, schedule_pooling
from ..schedule.scope import Scope
from ..window import Window
from .registry import Arrays, Operator, Signature, operator
from .window import window_of


@operator("qpad")
class QuantisedPad(Operator):
    """int8 (N, C, H, W) → int8 with rows and columns of `fill` around: attribute pads as in ONNX's convolution."""

    accelerated = True

    def _window(self, node: Node, shape: tuple[int, ...]) -> Window:
        return window_of(node, shape, (1, 1))

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image = arguments[0]
        assert image is not None
        window = self._window(node, image.known_shape)
        return [Signature((*image.known_shape[:2], *window.output), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        return [np.ascontiguousarray(self._window(node, image.shape).views(image, node["fill"])[..., 0, 0])]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        padded = with_padding(image, self._window(node, image.shape), node["fill"])
        return [te.compute(padded.shape, lambda *index: padded[index])]

    def schedule(self, node: Node, scope: Scope) -> None:
        """Windows of one pixel."""
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        window, padding = self._window(node, x.shape), node["fill"]
        schedule_pooling(scope, Pooling(x, y, Function.MAX, window, None, padding, 0, 0, -128, 127))
