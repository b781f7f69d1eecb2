"""Calibration proper: what every tensor that will be quantised holds, and the integers that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import TilewrightError
from ..graph import Graph, Quantisation
from ..reference import walk
from .calibration import Sample
from .estimators import Estimator, estimate
from .histogram import Histogram
from .parameters import quantisation_of
from .placement import Placement

__all__ = ["TensorRange", "choose_ranges", "observe"]


@dataclass(frozen=True)
class TensorRange:
    """How a tensor is quantised.

    Members
    -------
    observed
        The smallest and largest element, during calibration, of the tensors that share the scale.
    chosen
        The range that its integers represent, as the estimator chose it for all tensors that share the scale.
    """

    observed: tuple[float, float]
    chosen: tuple[float, float]
    quantisation: Quantisation


def observe(graph: Graph, samples: Sequence[Sample], tensors: Iterable[str]) -> dict[str, Histogram]:
    """Run `graph` on every sample, and count the elements of `tensors`.

    Raises
    ------
    TilewrightError
        A tensor is not finite.
    """
    histograms = {name: Histogram() for name in tensors}
    for number, sample in enumerate(samples):
        for name in graph.inputs:
            if name in histograms:
                histograms[name].add(sample[name])
        for node, _, results in walk(graph, sample):
            for name, result in zip(node.outputs, results, strict=True):
                if name not in histograms:
                    continue
                if not np.isfinite(result).all():
                    raise TilewrightError(
                        f"tensor {name!r} of model {graph.name} must stay finite, but is not for calibration sample "
                        f"{number}: leave that sample out, or mend the model"
                    )
                histograms[name].add(result)
    return histograms


def choose_ranges(
    placement: Placement, histograms: dict[str, Histogram], estimator: Estimator, percentile: float
) -> dict[str, TensorRange]:
    """Of every quantised tensor; those that share a scale span what each of them needs."""
    chosen = {}
    for members in placement.groups.values():
        counted = [histograms[name] for name in members if name in placement.sources]
        ends = [estimate(histogram, estimator, percentile=percentile) for histogram in counted]
        span = min(low for low, _ in ends), max(high for _, high in ends)
        seen = min(histogram.low for histogram in counted), max(histogram.high for histogram in counted)
        chosen.update(dict.fromkeys(members, TensorRange(seen, span, quantisation_of(*span))))
    return chosen
