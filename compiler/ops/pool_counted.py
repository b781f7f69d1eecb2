"""Averages over as many elements of each window as count: those inside the image, or its padding too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...isa.table import Function
from .. import te
from ..expressions import centred, requantised, window_reduction, with_padding
from ..graph import Node
from ..output import Output
from ..requantise import Requantiser
from ..schedule.pool import Pooling, schedule_pooling
from ..schedule.scope import Scope
from ..window import Window
from .registry import Arrays, operator
from .sliding import SlidingOperator

__all__ = ["counted_average", "counts_of"]


def counts_of(
    window: Window, size: Sequence[int], padding: Sequence[int] = (0, 0, 0, 0)
) -> tuple[tuple[int, ...], ...]:
    """(for each row of windows, for each column) how many of a window's rows and columns count.

    Those in an image of `size` do, and so does `padding` around it: above, left, below, right.
    """
    counts = []
    for axis in range(2):
        starts = np.arange(window.output[axis]) * window.strides[axis] - window.pads[axis]
        places = starts[:, np.newaxis] + np.arange(window.kernel[axis]) * window.dilations[axis]
        inside = (places >= -padding[axis]) & (places < size[axis] + padding[2 + axis])
        counts.append(tuple(inside.sum(axis=1).tolist()))
    return tuple(counts)


def counted_average(
    window: Window, counts: tuple[tuple[int, ...], ...], factor: Callable[[int], Requantiser]
) -> tuple[str, dict[str, Any]]:
    """The operator, and those of its attributes that say over what it averages; `factor` is that of a sum of n."""
    attributes = {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
        "pads": window.pads,
    }
    if len({*counts[0]}) == len({*counts[1]}) == 1:
        return "qavgpool", {**attributes, "requantiser": factor(counts[0][0] * counts[1][0])}
    products = np.unique(np.multiply.outer(*counts)).tolist()
    return "qavgpool_counted", {
        **attributes,
        "requantiser": Requantiser.joined([factor(count) for count in products]),
        "counts": tuple(products),
        "row_counts": counts[0],
        "column_counts": counts[1],
    }


@operator("qavgpool_counted")
class QuantisedCountedAverage(SlidingOperator):
    """int8 (N, C, H, W) → int8 (N, C, OH, OW).

    The sum of window (i, j) is of ``row_counts[i] · column_counts[j]`` elements that count, and gets the factor of the
    requantiser at that number's place in `counts`. What a window sees outside the image is the real number 0.
    """

    def _padding(self, node: Node) -> int:
        return int(node["x_zero"])

    def _places(self, node: Node) -> np.ndarray:
        """int64 (OH, OW): where each window's factor is."""
        products = np.multiply.outer(node["row_counts"], node["column_counts"])
        return np.asarray(np.searchsorted(node["counts"], products))

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        views = self._window(node, image.shape).views(image.astype(np.int64) - node["x_zero"], 0)
        sums, places = views.sum(axis=(4, 5)), self._places(node)
        scaled = np.zeros_like(sums)
        for place in np.unique(places):
            scaled = np.where(places == place, node["requantiser"].at(place).apply(sums), scaled)
        return [Output.of(node.attributes).apply(scaled)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        window, zero = self._window(node, image.shape), int(node["x_zero"])
        places = te.constant(self._places(node))
        sums = window_reduction(centred(with_padding(image, window, zero), zero), window, largest=False)
        last = len(node["counts"]) - 1
        scaled = requantised(sums, node["requantiser"], lambda index: te.clamp(places[index[2], index[3]], 0, last))
        return [Output.of(node.attributes).expression(scaled)]

    def schedule(self, node: Node, scope: Scope) -> None:
        """Rectangles of windows with the same count, one after the other."""
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        window, zero = self._window(node, x.shape), node["x_zero"]
        output = Output.of(node.attributes)
        for rows in _runs(node["row_counts"]):
            for columns in _runs(node["column_counts"]):
                count = node["row_counts"][rows[0]] * node["column_counts"][columns[0]]
                factor = node["requantiser"].at(node["counts"].index(count))
                schedule_pooling(
                    scope, Pooling(x, y, Function.SUM, window, factor, zero, zero, output, (rows, columns))
                )


def _runs(counts: Sequence[int]) -> list[tuple[int, int]]:
    """[first, end) of neighbours that are equal."""
    edges = [place for place in range(1, len(counts)) if counts[place] != counts[place - 1]]
    return list(zip([0, *edges], [*edges, len(counts)], strict=True))
