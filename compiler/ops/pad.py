"""Padding of an integer image that no window could take over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...isa.table import Function
from .. import te
from ..expressions import with_padding
from ..graph import Node
from ..output import Output
from ..schedule.pool import Pooling, schedule_pooling
from ..schedule.scope import Scope
from ..window import Window
from .registry import Arrays, operator
from .site import Lowered, Site
from .sliding import SlidingOperator
from .window import window_of

__all__ = ["lower_padding"]


def lower_padding(site: Site, before: Sequence[int], after: Sequence[int]) -> Lowered:
    """A Pad with as much `before` and `after` each dimension."""
    data, x = site.activation(0)
    if len(site.shape) != 4 or any((*before[:2], *after[:2])) or min(*before, *after) < 0:
        raise site.refuse("it must pad the height and width of images, and cut nothing off")
    if site.node.get("mode", "constant") != "constant":
        raise site.refuse(f"its mode must be constant, not {site.node['mode']}")
    if not site.keeps(x):
        raise site.refuse("its result must have the scale and zero point of its input")
    value = site.operands[2] if len(site.operands) > 2 else None
    real = np.zeros(1) if value is None else value.real
    if real is None or real.size != 1:
        raise site.refuse("its value must be one constant")
    fill = int(np.clip(np.rint(real.reshape(-1)[0] / x.scale) + x.zero_point, -128, 127))
    return Lowered("qpad", (data.name,), {"pads": (*before[2:], *after[2:]), "fill": fill})


@operator("qpad")
class QuantisedPad(SlidingOperator):
    """int8 (N, C, H, W) → int8 with rows and columns of `fill` around: attribute pads as in ONNX's convolution."""

    def _window(self, node: Node, shape: tuple[int, ...]) -> Window:
        return window_of(node, shape, (1, 1))

    def _padding(self, node: Node) -> int:
        return int(node["fill"])

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
        schedule_pooling(scope, Pooling(x, y, Function.MAX, window, None, padding, 0, Output()))
