"""Requantisers that are too wide for this hardware."""

from __future__ import annotations

from ..graph import Graph
from ..requantise import Requantiser

__all__ = ["narrow_multipliers"]


def narrow_multipliers(graph: Graph, *, bits: int) -> Graph:
    """Multipliers of at most `bits`: TFLite's have 32, and only with as many are its answers met exactly."""
    nodes = []
    for node in graph.nodes:
        attributes = {
            key: value.narrowed(bits) if isinstance(value, Requantiser) else value
            for key, value in node.attributes.items()
        }
        nodes.append(node.replace(attributes=attributes))
    return graph.edit(nodes=nodes)
