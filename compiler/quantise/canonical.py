"""A float model in the form that is quantised: constants computed, normalisations and sums part of their products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import TilewrightError
from ..graph import Graph, Node, Value
from ..passes import Pass, run_passes
from ..passes.shapes import fold_shapes, infer_shapes
from ..passes.simplify import remove_dead
from .rows import products_of_rows

__all__ = ["canonical", "require_real"]

_INTEGER_MARKS = ("Q", "q", "DequantizeLinear", "DynamicQuantizeLinear")
_PRODUCTS = ("Conv", "Gemm")


def canonical(graph: Graph) -> Graph:
    """The same function, ready for quantisation.

    A product with a constant matrix is a Gemm of plain weights (transA 0, alpha and beta 1), whose rows are those of
    all outer dimensions; a Sum is one Add after the other. BatchNormalization and additions, subtractions,
    multiplications and divisions of constants, one a channel, are part of the Conv or Gemm before them.

    Raises
    ------
    TilewrightError
        The model is quantised already.
    """
    require_real(graph)
    return run_passes(
        graph,
        [
            Pass("dead-code", remove_dead, typed=False),
            Pass("shapes", fold_shapes),
            Pass("identities", _without_identities),
            Pass("sums", _sums_of_two),
            Pass("rows", products_of_rows),
            Pass("products", _plain_products),
            Pass("normalisations", _folded_affine),
            Pass("dead-constants", remove_dead),
            Pass("folded-shapes", infer_shapes),
        ],
    )


def require_real(graph: Graph) -> None:
    """Refuse a model that is quantised already.

    Raises
    ------
    TilewrightError
        It is; the message names the first node that shows it.
    """
    for node in graph.nodes:
        name = node.operator
        if name.startswith(_INTEGER_MARKS) or name.endswith("Integer"):
            raise TilewrightError(
                f"model {graph.name} must be in floating point to be quantised, but node {node.name!r} ({name}) is "
                "quantised already: compile it without calibration"
            )


def _without_identities(graph: Graph) -> Graph:
    """Leave out each Identity, and Dropout, whose result stays inside."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = node.replace(inputs=tuple(renamed.get(name, name) for name in node.inputs))
        unused = all(not graph.consumers.get(name) and name not in graph.outputs for name in node.outputs[1:])
        if node.operator in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs and unused:
            renamed[node.outputs[0]] = node.inputs[0]
        else:
            nodes.append(node)
    return graph.edit(nodes=nodes)


def _sums_of_two(graph: Graph) -> Graph:
    """Sum as one Add after another."""
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        if node.operator != "Sum" or len(node.inputs) < 2:
            nodes.append(node)
            continue
        total, result = node.inputs[0], graph.values[node.outputs[0]]
        for place, term in enumerate(node.inputs[1:], 2):
            last = place == len(node.inputs)
            name = result.name if last else graph.fresh(f"{result.name}/sum{place}")
            shape = np.broadcast_shapes(values[total].known_shape, values[term].known_shape)
            values[name] = result.replace(name=name, shape=shape)
            nodes.append(Node(node.name if last else name, "Add", (total, term), (name,)))
            total = name
    return graph.edit(nodes=nodes, values=values.values())


def _plain_products(graph: Graph) -> Graph:
    """MatMul and Gemm with constant weights, and constant terms, as Gemm with transA 0, alpha 1 and beta 1."""
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        nodes.append(_plain_product(graph, node, values) if node.operator in ("MatMul", "Gemm") else node)
    return graph.edit(nodes=nodes, values=values.values())


def _plain_product(graph: Graph, node: Node, values: dict[str, Value]) -> Node:
    weight = graph.constant(node.inputs[1])
    if (
        weight is None
        or weight.ndim != 2
        or len(graph.values[node.inputs[0]].known_shape) != 2
        or node.get("transA", 0)
    ):
        return node
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    term = graph.constant(bias)
    columns = weight.shape[0 if node.get("transB", 0) else 1]
    if bias and (term is None or term.size not in (1, columns) or term.shape[-1:] not in ((), (1,), (columns,))):
        return node
    inputs = [node.inputs[0], _scaled(graph, node, values, weight, "weight", node.get("alpha", 1.0))]
    if term is not None:
        row = np.broadcast_to(term.reshape(-1), (columns,))
        inputs.append(_scaled(graph, node, values, row, "bias", node.get("beta", 1.0)))
    return node.replace(operator="Gemm", inputs=tuple(inputs), attributes={"transB": node.get("transB", 0)})


def _scaled(graph: Graph, node: Node, values: dict[str, Value], data: np.ndarray, what: str, factor: float) -> str:
    scaled = data if factor == 1.0 else (data * factor).astype(data.dtype)
    return _define(graph, values, f"{node.name}/{what}", scaled)


def _define(graph: Graph, values: dict[str, Value], stem: str, data: np.ndarray) -> str:
    """A new constant's name."""
    name, number = graph.fresh(stem), 0
    while name in values:
        number += 1
        name = graph.fresh(f"{stem}.{number}")
    values[name] = Value.constant(name, np.ascontiguousarray(data))
    return name


@dataclass(frozen=True)
class _Affine:
    """y = x · factor + offset, an entry each a channel (axis 1); float64."""

    factor: np.ndarray
    offset: np.ndarray


def _folded_affine(graph: Graph) -> Graph:
    """Affine nodes after a product become part of it, however many follow one another."""
    values, nodes = dict(graph.values), list[Node]()
    by_output: dict[str, int] = {}
    for node in graph.nodes:
        source, affine = _affine(graph, node)
        place = by_output.get(source) if affine is not None and graph.sole_consumer(source) is node else None
        if affine is not None and place is not None:
            nodes[place] = _scaled_product(graph, nodes[place], affine, values).replace(outputs=node.outputs)
            by_output[node.outputs[0]] = place
            continue
        if node.operator in _PRODUCTS and _is_constant_product(values, node):
            by_output[node.outputs[0]] = len(nodes)
        nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _is_constant_product(values: dict[str, Value], node: Node) -> bool:
    plain = node.operator == "Conv" or (
        not node.get("transA", 0) and node.get("alpha", 1.0) == node.get("beta", 1.0) == 1
    )
    parameters = [values[name] for name in node.inputs[1:] if name]
    return plain and all(value.data is not None and value.dtype == np.float32 for value in parameters)


def _affine(graph: Graph, node: Node) -> tuple[str, _Affine | None]:
    """(what `node` reads, what it does with each channel), where it is nothing else."""
    if node.operator == "BatchNormalization":
        return node.inputs[0], _normalisation(graph, node)
    if node.operator not in ("Add", "Sub", "Mul", "Div"):
        return "", None
    constants = [graph.constant(name) for name in node.inputs]
    place = 0 if constants[0] is None else 1
    constant = constants[1 - place]
    shape = graph.values[node.outputs[0]].known_shape
    if constant is None or constants[place] is not None or graph.values[node.inputs[place]].shape != shape:
        return "", None
    channel = _by_channel(constant, shape)
    if channel is None or (place == 1 and node.operator == "Div") or (node.operator == "Div" and not channel.all()):
        return "", None
    one, zero = np.ones_like(channel), np.zeros_like(channel)
    affine = {
        "Add": lambda: _Affine(one, channel),
        "Sub": lambda: _Affine(one, -channel) if place == 0 else _Affine(-one, channel),
        "Mul": lambda: _Affine(channel, zero),
        "Div": lambda: _Affine(1 / channel, zero),
    }[node.operator]()
    return node.inputs[place], affine


def _normalisation(graph: Graph, node: Node) -> _Affine | None:
    scale, bias, mean, variance = (graph.constant(name) for name in node.inputs[1:5])
    if scale is None or bias is None or mean is None or variance is None:
        return None
    if node.get("training_mode", 0) or len(node.outputs) > 1 or node.get("spatial", 1) != 1:
        return None
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + node.get("epsilon", 1e-5))
    return _Affine(factor, bias - mean * factor)


def _by_channel(constant: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """float64 (channels,) where `constant` differs along axis 1 of `shape` at most."""
    if constant.dtype != np.float32 or constant.ndim > len(shape) or len(shape) < 2:
        return None
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    if any(size != 1 for axis, size in enumerate(aligned) if axis != 1):
        return None
    return np.asarray(np.broadcast_to(constant.reshape(-1), shape[1:2]).astype(np.float64))


def _scaled_product(graph: Graph, node: Node, affine: _Affine, values: dict[str, Value]) -> Node:
    """`node`, a Conv or Gemm of constants, with `affine` behind it."""
    weight = values[node.inputs[1]].data
    bias = values[node.inputs[2]].data if len(node.inputs) > 2 and node.inputs[2] else None
    assert weight is not None
    along = [1] * weight.ndim
    along[1 if node.operator == "Gemm" and not node.get("transB", 0) else 0] = -1
    moved = affine.offset if bias is None else bias.reshape(-1) * affine.factor + affine.offset
    names = [
        _define(graph, values, f"{node.name}/{what}", data.astype(np.float32))
        for what, data in (("weight", weight * affine.factor.reshape(along)), ("bias", moved))
    ]
    return node.replace(inputs=(node.inputs[0], *names))
