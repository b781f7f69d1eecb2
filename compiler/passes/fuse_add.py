"""Sums that are made tile by tile, as the convolution before them goes."""

from __future__ import annotations

from math import prod

from ..graph import Graph, Node
from ..schedule.addition import Sum

__all__ = ["fuse_additions"]


def fuse_additions(graph: Graph) -> Graph:
    """A qconv and the qadd that alone reads its result become a qconv+add: the result never goes to DRAM.

    Where both terms come from such a qconv, that of more products an element is chosen, beside whose work the
    sums cost least.
    """
    fused: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        conv = _convolution(graph, node) if node.operator == "qadd" else None
        if conv is not None:
            fused[node.outputs[0]] = _joined(conv, node)
            gone.add(conv.outputs[0])
    nodes = [fused.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in gone]
    return graph.edit(nodes=nodes).sorted()


def _convolution(graph: Graph, add: Node) -> Node | None:
    if len({graph.values[name].known_shape for name in add.inputs}) > 1:
        return None
    if any(graph.values[name].data is not None for name in add.inputs):
        return None
    producers = [graph.producers.get(name) for name in add.inputs if graph.sole_consumer(name) is add]
    convs = [node for node in producers if node is not None and node.operator == "qconv"]
    return max(convs, key=lambda node: prod(graph.values[node.inputs[1]].known_shape[1:]), default=None)


def _joined(conv: Node, add: Node) -> Node:
    total = Sum.of(add.attributes)
    first = add.inputs[0] == conv.outputs[0]
    return conv.replace(
        operator="qconv+add",
        inputs=(*conv.inputs, add.inputs[1 if first else 0]),
        outputs=add.outputs,
        attributes={**conv.attributes, "sum": total if first else total.swapped()},
    )
