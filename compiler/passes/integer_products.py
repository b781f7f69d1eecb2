"""ConvInteger and MatMulInteger, scaled by constants and quantised again, become the QDQ form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Node, Value

__all__ = ["expand_integer_products"]

_TWINS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
_PASSED = ("Relu", "Clip", "Identity")


@dataclass(frozen=True)
class _Chain:
    """A product, and the nodes behind it that make real numbers of its sums.

    Members
    -------
    scale, bias
        One a channel, or one for all; no bias where None.
    nodes
        From the product to the last node that is part of it.
    """

    scale: np.ndarray
    bias: np.ndarray | None
    nodes: tuple[Node, ...]


def expand_integer_products(graph: Graph) -> Graph:
    """Only where a QuantizeLinear follows: elsewhere sums of integers are better kept as they are."""
    values, nodes = dict(graph.values), list[Node]()
    taken: set[str] = set()
    for node in graph.nodes:
        chain = _chain_of(graph, node) if node.operator in _TWINS else None
        if chain is not None:
            nodes += _expanded(node, chain, values)
            taken.update(part.outputs[0] for part in chain.nodes)
        elif node.outputs[0] not in taken:
            nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _chain_of(graph: Graph, node: Node) -> _Chain | None:
    weight = graph.constant(node.inputs[1])
    zeros = [name for name in node.inputs[2:] if name]
    rank = 4 if node.operator == "ConvInteger" else 2
    if weight is None or {weight.ndim, len(graph.values[node.inputs[0]].known_shape)} != {rank}:
        return None
    if any(graph.constant(name) is None for name in zeros):
        return None
    cast = graph.sole_consumer(node.outputs[0])
    factor = graph.sole_consumer(cast.outputs[0]) if cast is not None and cast.operator == "Cast" else None
    if cast is None or factor is None or factor.operator != "Mul":
        return None
    channels = weight.shape[0 if rank == 4 else 1]
    scale = _other(graph, factor, cast.outputs[0], rank, channels)
    if scale is None or not np.all(scale > 0):
        return None
    nodes: tuple[Node, ...] = (node, cast, factor)
    bias = None
    add = graph.sole_consumer(factor.outputs[0])
    if add is not None and add.operator == "Add":
        bias = _other(graph, add, factor.outputs[0], rank, channels)
        nodes = (*nodes, add) if bias is not None else nodes
    return _Chain(scale, bias, nodes) if _is_quantised(graph, nodes[-1]) else None


def _other(graph: Graph, node: Node, name: str, rank: int, channels: int) -> np.ndarray | None:
    """float32: the constant term or factor beside `name`, shape () or (`channels`,)."""
    data = graph.constant(node.inputs[1] if node.inputs[0] == name else node.inputs[0])
    if data is None or data.dtype != np.float32 or data.ndim > rank:
        return None
    if data.size == 1:
        return data.reshape(())
    wanted = (1, channels, 1, 1) if rank == 4 else (1, channels)
    return data.reshape(-1) if (1,) * (rank - data.ndim) + data.shape == wanted else None


def _is_quantised(graph: Graph, node: Node) -> bool:
    name = node.outputs[0]
    while (reader := graph.sole_consumer(name)) is not None and reader.operator in _PASSED:
        name = reader.outputs[0]
    readers = graph.consumers.get(name, [])
    quantised = all(reader.operator == "QuantizeLinear" for reader in readers)
    return bool(readers) and quantised and name not in graph.outputs


def _expanded(node: Node, chain: _Chain, values: dict[str, Value]) -> list[Node]:
    result = chain.nodes[-1].outputs[0]

    def border(place: int, scale: np.ndarray, axis: int) -> Node:
        """A DequantizeLinear of input `place`; without a zero point it is 0."""
        data = values[node.inputs[place]]
        name = node.inputs[2 + place] if len(node.inputs) > 2 + place else ""
        zero = values[name].data if name else np.zeros((), data.known_dtype)
        assert zero is not None
        zero = zero.reshape(()) if zero.size == 1 else zero.reshape(-1)
        arrays = dict(zip(("scale", "zero_point"), np.broadcast_arrays(scale, zero), strict=True))
        names = [f"{result}/{what}{place}" for what in arrays]
        for key, array in zip(names, arrays.values(), strict=True):
            values[key] = Value.constant(key, np.ascontiguousarray(array))
        real = f"{result}/real{place}"
        values[real] = Value(real, data.shape, np.dtype(np.float32))
        return Node(f"{node.name}/real{place}", "DequantizeLinear", (data.name, *names), (real,), {"axis": axis})

    borders = [
        border(0, np.ones((), np.float32), 1),
        border(1, chain.scale, 0 if node.operator == "ConvInteger" else 1),
    ]
    inputs = [made.outputs[0] for made in borders]
    twin = _TWINS[node.operator]
    if chain.bias is not None:
        bias = f"{result}/bias"
        channels = values[node.inputs[1]].known_shape[0 if twin == "Conv" else 1]
        values[bias] = Value.constant(bias, np.broadcast_to(chain.bias, (channels,)).astype(np.float32))
        inputs.append(bias)
        twin = "Gemm" if twin == "MatMul" else twin
    return [*borders, Node(node.name, twin, tuple(inputs), (result,), node.attributes)]
