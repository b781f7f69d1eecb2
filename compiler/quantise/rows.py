"""Products of more than two dimensions with a constant matrix, as in transformers: the same of a matrix of rows."""

from __future__ import annotations

from math import prod

import numpy as np

from ..graph import Graph, Node, Value

__all__ = ["products_of_rows"]


def products_of_rows(graph: Graph) -> Graph:
    """``MatMul(x, w)`` of (…, K) and a constant (K, N) becomes a MatMul of (rows, K) between two Reshapes.

    Additions of a constant row, Relu and Clip that follow it go with it.
    """
    values, nodes, moved = dict(graph.values), list[Node](), set[str]()
    for node in graph.nodes:
        if node.name in moved:
            continue
        if not _is_outer_product(graph, node):
            nodes.append(node)
            continue
        followers = _followers(graph, node)
        moved.update(follower.name for follower in followers)
        nodes += _of_rows(graph, node, followers, values)
    return graph.edit(nodes=nodes, values=values.values())


def _is_outer_product(graph: Graph, node: Node) -> bool:
    if node.operator != "MatMul":
        return False
    weight = graph.constant(node.inputs[1])
    data = graph.values[node.inputs[0]]
    return weight is not None and weight.ndim == 2 and len(data.known_shape) > 2 and data.data is None


def _followers(graph: Graph, node: Node) -> list[Node]:
    """What is done with each element of the product, one after the other."""
    found, name = list[Node](), node.outputs[0]
    columns = graph.values[name].known_shape[-1]
    while (reader := graph.sole_consumer(name)) is not None:
        others = [graph.constant(other) for other in reader.inputs if other and other != name]
        shapes = [other.shape for other in others if other is not None]
        known: dict[str, list[tuple[int, ...]]] = {"Relu": [()], "Clip": [(), (1,)], "Add": [(), (1,), (columns,)]}
        allowed = known.get(reader.operator, [])
        constant = len(shapes) == len(reader.inputs) - reader.inputs.count("") - 1
        if not allowed or not constant or any(shape not in allowed for shape in shapes):
            break
        found.append(reader)
        name = reader.outputs[0]
    return found


def _of_rows(graph: Graph, node: Node, followers: list[Node], values: dict[str, Value]) -> list[Node]:
    data, weight = graph.values[node.inputs[0]], graph.values[node.inputs[1]]
    rows, (inner, columns) = prod(data.known_shape[:-1]), weight.known_shape
    result = graph.values[(followers or [node])[-1].outputs[0]]

    def define(what: str, shape: tuple[int, ...]) -> str:
        name = graph.fresh(f"{result.name}/{what}")
        values[name] = result.replace(name=name, shape=shape)
        return name

    def shape(what: str, sizes: tuple[int, ...]) -> str:
        name = graph.fresh(f"{result.name}/{what}")
        values[name] = Value.constant(name, np.array(sizes, np.int64))
        return name

    flat = define("rows", (rows, inner))
    made = [Node(f"{node.name}/flatten", "Reshape", (data.name, shape("rows_shape", (rows, inner))), (flat,))]
    source = flat
    for place, step in enumerate((node, *followers)):
        name = define(f"row_step{place}", (rows, columns))
        former = node.inputs[0] if place == 0 else (node, *followers)[place - 1].outputs[0]
        inputs = tuple(source if given == former else given for given in step.inputs)
        made.append(step.replace(inputs=inputs, outputs=(name,)))
        source = name
    outer = shape("outer_shape", result.known_shape)
    return [*made, Node(f"{node.name}/restore", "Reshape", (source, outer), (result.name,))]
