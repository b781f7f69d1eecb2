"""Constant folding and dead code."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Graph
from .folding import FoldingAllowance

__all__ = ["fold_constants", "fold_most_constants", "remove_dead"]


def fold_most_constants(graph: Graph) -> Graph:
    """As :func:`fold_constants`, but keep what tells how a constant is quantised."""
    return _fold(graph, keep=("DequantizeLinear",))


def fold_constants(graph: Graph) -> Graph:
    """Compute now whatever depends on constants only."""
    return _fold(graph, keep=())


def _fold(graph: Graph, keep: Sequence[str]) -> Graph:
    values, nodes, allowance = dict(graph.values), [], FoldingAllowance(graph)
    for node in graph.nodes:
        arguments = [values[name].data if name else None for name in node.inputs]
        computed = any(name and data is None for name, data in zip(node.inputs, arguments, strict=True))
        shapes = [values[name].known_shape for name in node.outputs]
        foldable = not computed and node.operator not in keep and allowance.covers(shapes)
        results = allowance.compute(node, arguments) if foldable else None
        if results is None:
            nodes.append(node)
            continue
        for name, data in zip(node.outputs, results, strict=True):
            values[name] = values[name].replace(data=data, shape=data.shape, dtype=data.dtype)
    return graph.edit(nodes=nodes, values=values.values())


def remove_dead(graph: Graph) -> Graph:
    """Leave out nodes whose results nothing needs, and values that no node names."""
    needed, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name)
    needed.update(graph.inputs, *(node.outputs for node in kept))
    values = {name: value for name, value in graph.values.items() if name in needed}
    return Graph(graph.name, values, tuple(reversed(kept)), graph.inputs, graph.outputs)
