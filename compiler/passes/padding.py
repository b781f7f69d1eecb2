"""Padding becomes part of the window after it."""

from __future__ import annotations

from ..graph import Graph, Node

__all__ = ["fold_padding"]

_MOST_PADDING = 1024


def fold_padding(graph: Graph) -> Graph:
    """A qpad with the real number 0 that only one qconv or qdepthwise reads goes into its window."""
    nodes: list[Node] = []
    taken: set[str] = set()
    for node in graph.nodes:
        pad = graph.producers.get(node.inputs[0]) if node.operator in ("qconv", "qdepthwise") else None
        if pad is None or pad.operator != "qpad" or graph.sole_consumer(node.inputs[0]) is not node:
            nodes.append(node)
            continue
        own = node.get("pads", (0, 0, 0, 0))
        pads = tuple(a + b for a, b in zip(pad["pads"], own, strict=True))
        if pad["fill"] != node["x_zero"] or max(pads) > _MOST_PADDING or "auto_pad" in node.attributes:
            nodes.append(node)
            continue
        taken.add(node.inputs[0])
        attributes = {**node.attributes, "pads": pads}
        nodes.append(node.replace(inputs=(pad.inputs[0], *node.inputs[1:]), attributes=attributes))
    return graph.edit(nodes=[node for node in nodes if not taken.intersection(node.outputs)])
