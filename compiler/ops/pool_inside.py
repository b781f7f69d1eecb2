"""Averages over what of each window lies inside the image, as TFLite pools with SAME padding; on the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import te
from ..expressions import window_reduction, with_padding
from ..graph import Node, Value
from ..window import Window
from .registry import Arrays, Operator, Signature, operator
from .window import window_of


@operator("qavgpool_inside")
class QuantisedInnerAverage(Operator):
    """int8 (N, C, H, W) → int8 (N, C, OH, OW) of the same scale, halves away from zero."""

    def _window(self, node: Node, shape: tuple[int, ...]) -> Window:
        return window_of(node, shape, tuple(node["kernel_shape"]))

    def _counts(self, node: Node, shape: tuple[int, ...]) -> np.ndarray:
        """int32 (OH, OW): pixels of each window that lie inside."""
        ones = np.ones((1, 1, *shape[2:]), np.int32)
        views = self._window(node, shape).views(ones, 0)
        return np.ascontiguousarray(views.sum(axis=(4, 5), dtype=np.int32)[0, 0])

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image = arguments[0]
        assert image is not None
        window = self._window(node, image.known_shape)
        return [Signature((*image.known_shape[:2], *window.output), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        sums = self._window(node, image.shape).views(image.astype(np.int64), 0).sum(axis=(4, 5))
        counts = self._counts(node, image.shape)
        average = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts)
        return [np.clip(average, node["minimum"], node["maximum"]).astype(np.int8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        window = self._window(node, image.shape)
        sums = window_reduction(with_padding(image, window, 0), window, largest=False)
        counts = te.constant(self._counts(node, image.shape))

        def element(n: te.Expr, channel: te.Expr, row: te.Expr, column: te.Expr) -> te.Expr:
            total, count = sums[n, channel, row, column], counts[row, column]
            half = count >> 1
            average = te.where(total >= 0, (total + half) // count, -((half - total) // count))
            return te.clamp(average, node["minimum"], node["maximum"]).astype("int8")

        return [te.compute(sums.shape, element)]
