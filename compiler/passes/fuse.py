"""Neighbouring nodes that are one."""

from __future__ import annotations

from math import prod

import numpy as np

from ..graph import Graph, Node, Value
from ..ops.shape import RESHAPES

__all__ = ["absorb_flattening", "fuse_bias", "fuse_limits", "fuse_tables", "remove_rescales"]


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
    """Leave out each qrescale that changes nothing, and each Identity."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = node.replace(inputs=tuple(renamed.get(name, name) for name in node.inputs))
        whole = node.operator == "qrescale" and (node["minimum"], node["maximum"]) == (-128, 127)
        same = whole and node["requantiser"] is None and node["x_zero"] == node["y_zero"]
        if (same or node.operator == "Identity") and node.outputs[0] not in graph.outputs:
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


def fuse_tables(graph: Graph) -> Graph:
    """A qtable becomes the last step of the integer operator before it."""
    joined: dict[str, Node] = {}
    for node in graph.nodes:
        before = graph.producers.get(node.inputs[0]) if node.operator == "qtable" else None
        alone = before is not None and graph.sole_consumer(node.inputs[0]) is node
        if before is not None and alone and "minimum" in before.attributes:
            table = {**before.attributes, "table": graph.constant(node.inputs[1])}
            joined[before.outputs[0]] = before.replace(outputs=node.outputs, attributes=table)
    taken = {node.outputs[0] for node in joined.values()}
    nodes = [joined.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in taken]
    return graph.edit(nodes=nodes)


def absorb_flattening(graph: Graph) -> Graph:
    """Reshapes and transposes that keep the first dimension, before a qdense, become an order of its weights."""
    values: dict[str, Value] = dict(graph.values)
    nodes = []
    for node in graph.nodes:
        if node.operator == "qdense":
            node = _absorbed(graph, node, values)
        nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _absorbed(graph: Graph, node: Node, values: dict[str, Value]) -> Node:
    source, passed = node.inputs[0], list[Node]()
    while (before := graph.producers.get(source)) is not None and _keeps_samples(graph, before):
        source = before.inputs[0]
        passed.insert(0, before)
    shape = graph.values[source].known_shape
    weight = values[node.inputs[1]]
    assert weight.data is not None
    if source == node.inputs[0] or len(shape) not in (2, 4) or graph.values[source].dtype != np.int8:
        return node
    places = np.arange(prod(shape[1:])).reshape(1, *shape[1:])
    for movement in passed:
        if movement.operator == "Transpose":
            places = places.transpose(movement["perm"])
        else:
            places = places.reshape(1, *graph.values[movement.outputs[0]].known_shape[1:])
    rearranged = np.empty((len(weight.data), places.size), weight.data.dtype)
    rearranged[:, places.reshape(-1)] = weight.data.reshape(len(weight.data), -1)
    name = f"{node.outputs[0]}/shaped"
    values[name] = Value.constant(name, rearranged.reshape(-1, *shape[1:]))
    return node.replace(inputs=(source, name, *node.inputs[2:]))


def _keeps_samples(graph: Graph, node: Node) -> bool:
    """Whether `node` only moves elements within each slice of the first dimension."""
    if node.operator == "Transpose":
        permutation = node.get("perm")
        return permutation is not None and permutation[0] == 0
    kept = graph.values[node.inputs[0]].known_shape[:1] == graph.values[node.outputs[0]].known_shape[:1]
    return node.operator in RESHAPES and kept
