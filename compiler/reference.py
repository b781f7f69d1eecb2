"""Run a graph by its operators' reference meaning: slow, and the measure of everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..errors import TilewrightError
from .graph import Graph, Node
from .ops import find_operator

__all__ = ["evaluate", "walk"]

Arrays = list[np.ndarray | None]


def evaluate(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value of the graph by name.

    Raises
    ------
    TilewrightError
        An input is missing, or has another shape or dtype.
    """
    results = {name: value.data for name, value in graph.values.items() if value.data is not None}
    results.update({name: inputs[name] for name in graph.inputs if name in inputs})
    for node, _, made in walk(graph, inputs):
        results.update(zip(node.outputs, made, strict=True))
    return results


def walk(graph: Graph, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[Node, Arrays, list[np.ndarray]]]:
    """Each node with its arguments and results, in order; what no later node reads is forgotten.

    Raises
    ------
    TilewrightError
        As for :func:`evaluate`.
    """
    known = {name: value.data for name, value in graph.values.items() if value.data is not None}
    for name in graph.inputs:
        value = graph.values[name]
        given = inputs.get(name)
        if given is None or given.shape != value.shape or given.dtype != value.dtype:
            stated = "nothing" if given is None else f"{given.dtype}{list(given.shape)}"
            raise TilewrightError(f"input {name!r} must be {value.dtype}{list(value.known_shape)}, not {stated}")
        known[name] = given
    last = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    for place, node in enumerate(graph.nodes):
        arguments = [known[name] if name else None for name in node.inputs]
        results = find_operator(node).reference(node, arguments)
        known.update(zip(node.outputs, results, strict=True))
        yield node, arguments, results
        for name in (*node.inputs, *node.outputs):
            if last.get(name, place) == place:
                known.pop(name, None)
