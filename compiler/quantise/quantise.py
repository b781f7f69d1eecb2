"""From a float model and calibration inputs to a quantised one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import TilewrightError
from ..graph import Graph, Node
from .bias import correct_biases
from .calibration import Calibration, Progress, watched
from .canonical import canonical
from .equalise import equalise
from .estimators import ESTIMATORS, Estimator
from .parameters import QuantisedWeight, quantise_weight
from .placement import PRODUCTS, Placement, place
from .ranges import TensorRange, choose_ranges, observe
from .rewrite import with_quantisation

__all__ = ["QuantisedGraph", "quantise_graph"]


@dataclass(frozen=True)
class QuantisedGraph:
    """A float model and what became of it.

    Members
    -------
    real
        The float graph, its normalisations folded and its channels equalised: its tensors have the names that `ranges`
        has.
    graph
        The same in the QDQ form, which the compiler lowers to integers: inputs and outputs are the model's.
    ranges, integers
        Of each quantised tensor its range, and its name as integers in `graph`.
    """

    real: Graph
    graph: Graph
    placement: Placement
    ranges: Mapping[str, TensorRange]
    integers: Mapping[str, str]


def quantise_graph(
    graph: Graph,
    calibration: Calibration,
    *,
    estimator: Estimator = "mse",
    percentile: float = 99.99,
    bias_correction: bool = True,
    equalisation: bool = True,
    progress: Progress | None = None,
) -> QuantisedGraph:
    """Quantise a float model: int8 weights symmetric and per output, int8 activations asymmetric and per tensor.

    Conv, Gemm and MatMul with constant weights, and the Add, Relu, Clip, pools and movements beside them, become
    integer operators; everything else stays in floating point. On one machine the same samples give the same result.

    Parameters
    ----------
    calibration
        Inputs of the kind that the model will see; see :class:`.Calibration`.
    estimator, percentile
        How ranges of activations are chosen; see :func:`.estimate`.
    bias_correction
        Whether biases take back the mean error of their layer; see :func:`.correct_biases`.
    equalisation
        Whether channels of very different size are brought together first; see :func:`.equalise`.
    progress
        Called with what is being done, how many samples of it are, and how many there are.

    Raises
    ------
    TilewrightError
        The model is quantised already or has nothing to quantise, or a tensor does not stay finite.
    """
    if estimator not in ESTIMATORS:
        raise TilewrightError(f"estimator must be one of {', '.join(ESTIMATORS)}, not {estimator!r}")
    if not 50 < percentile <= 100:
        raise TilewrightError(f"percentile must be above 50 and at most 100, not {percentile}")
    real = canonical(graph)
    placement = place(real)
    if equalisation:
        real = equalise(real, watched(calibration, "equalisation", progress), placement)
        placement = place(real)
    histograms = observe(real, watched(calibration, "ranges", progress), placement.sources)
    ranges = choose_ranges(placement, histograms, estimator, percentile)
    products = [node for node in placement.nodes if node.operator in PRODUCTS]
    weights = {node.name: _weight(real, node, ranges) for node in products}
    biases = {}
    if bias_correction:
        seen = watched(calibration, "bias correction", progress)
        biases = correct_biases(real, seen, products, weights, ranges)
    rewritten, integers = with_quantisation(real, placement, ranges, weights, biases)
    return QuantisedGraph(real, rewritten, placement, ranges, integers)


def _weight(graph: Graph, node: Node, ranges: Mapping[str, TensorRange]) -> QuantisedWeight:
    weight = graph.constant(node.inputs[1])
    bias = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    assert isinstance(weight, np.ndarray)
    axis = 1 if node.operator == "Gemm" and not node.get("transB", 0) else 0
    return quantise_weight(weight, axis, bias=bias, x_scale=ranges[node.inputs[0]].quantisation.scale)
