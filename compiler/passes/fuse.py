"""Neighbouring nodes that are one."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Node, Value
from ..ops.shape import RESHAPES

__all__ = ["absorb_flattening", "fuse_bias", "fuse_limits", "remove_rescales"]


def fuse_bias(graph: Graph) -> Graph:
    """MatMul and the Add of a constant row after it become Gemm."""
    nodes: list[Node] = []
    taken: set[str] = set()
    for node in graph.nodes:
        add = graph.sole_consumer(node.outputs[0]) if node.operator == "MatMul" else None
        if add is not None and add.operator == "Add" and (row := _row(graph, add, node.outputs[0])) is not None:
            nodes.append(Node(node.name, "Gemm", (*node.inputs, row), add.outputs))
            taken.add(add.outputs[0])
        elif node.outputs[0] not in taken:
            nodes.append(node)
    return graph.edit(nodes=nodes).sorted()


def _row(graph: Graph, add: Node, product: str) -> str | None:
    """The other term of `add`, where it is a constant, plain or quantised, as long as a row of the product."""
    other = add.inputs[1] if add.inputs[0] == product else add.inputs[0]
    source = graph.producers.get(other)
    origin = other if source is None else source.inputs[0]
    if (source is not None and source.operator != "DequantizeLinear") or graph.constant(origin) is None:
        return None
    shape, result = graph.values[other].known_shape, graph.values[product].known_shape
    return other if len(result) == 2 and shape in ((result[1],), (1, result[1])) else None


def remove_rescales(graph: Graph) -> Graph:
    """Leave out each qrescale that changes nothing."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = node.replace(inputs=tuple(renamed.get(name, name) for name in node.inputs))
        whole = node.operator == "qrescale" and (node["minimum"], node["maximum"]) == (-128, 127)
        same = whole and node["requantiser"] is None and node["x_zero"] == node["y_zero"]
        if same and node.outputs[0] not in graph.outputs:
            renamed[node.outputs[0]] = node.inputs[0]
        else:
            nodes.append(node)
    return graph.edit(nodes=nodes)


def fuse_limits(graph: Graph) -> Graph:
    """A qrescale that only limits becomes part of the integer operator before it."""
    nodes: list[Node] = []
    by_output: dict[str, Node] = {}
    for node in graph.nodes:
        before = by_output.get(node.inputs[0]) if node.operator == "qrescale" else None
        lone = before is not None and graph.sole_consumer(node.inputs[0]) is node
        if before is not None and lone and node["requantiser"] is None and node["x_zero"] == node["y_zero"]:
            limits = {
                "minimum": min(max(before["minimum"], node["minimum"]), node["maximum"]),
                "maximum": max(min(before["maximum"], node["maximum"]), node["minimum"]),
            }
            merged = before.replace(outputs=node.outputs, attributes={**before.attributes, **limits})
            nodes[nodes.index(before)] = merged
        else:
            merged = node
            nodes.append(node)
        if "minimum" in merged.attributes:
            by_output[merged.outputs[0]] = merged
    return graph.edit(nodes=nodes)


def absorb_flattening(graph: Graph) -> Graph:
    """A reshape that keeps the first dimension, before a qdense, becomes the shape of the qdense's weights."""
    values: dict[str, Value] = dict(graph.values)
    nodes = []
    for node in graph.nodes:
        if node.operator == "qdense":
            node = _absorbed(graph, node, values)
        nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _absorbed(graph: Graph, node: Node, values: dict[str, Value]) -> Node:
    source = node.inputs[0]
    while (before := graph.producers.get(source)) is not None and before.operator in RESHAPES:
        if graph.values[before.inputs[0]].known_shape[0] != graph.values[source].known_shape[0]:
            break
        source = before.inputs[0]
    shape = graph.values[source].known_shape
    weight = values[node.inputs[1]]
    assert weight.data is not None
    if source == node.inputs[0] or len(shape) not in (2, 4):
        return node
    rearranged = np.ascontiguousarray(weight.data.reshape(len(weight.data), *shape[1:]))
    name = f"{weight.name}/shaped"
    values[name] = Value.constant(name, rearranged)
    return node.replace(inputs=(source, name, *node.inputs[2:]))
