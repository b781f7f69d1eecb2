"""Run a graph by its operators' reference meaning: slow, and the measure of everything else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import TilewrightError
from .graph import Graph
from .ops import find_operator

__all__ = ["evaluate"]


def evaluate(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value of the graph by name.

    Raises
    ------
    TilewrightError
        An input is missing, or has another shape or dtype.
    """
    results = {name: value.data for name, value in graph.values.items() if value.data is not None}
    for name in graph.inputs:
        value = graph.values[name]
        given = inputs.get(name)
        if given is None or given.shape != value.shape or given.dtype != value.dtype:
            stated = "nothing" if given is None else f"{given.dtype}{list(given.shape)}"
            raise TilewrightError(f"input {name!r} must be {value.dtype}{list(value.known_shape)}, not {stated}")
        results[name] = given
    for node in graph.nodes:
        arguments = [results[name] if name else None for name in node.inputs]
        results.update(zip(node.outputs, find_operator(node).reference(node, arguments), strict=True))
    return results
