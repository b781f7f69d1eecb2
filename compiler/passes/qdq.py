"""Float operators between DequantizeLinear and QuantizeLinear become integer operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import UnsupportedOperator
from ..graph import Graph, Node, Quantisation, Value
from ..ops import find_operator
from ..ops.elementwise import in_steps, limits_of
from ..ops.registry import reason_of, refuse
from ..ops.site import Lowered, Operand, Site

__all__ = ["lower_qdq"]

_LIMITS = ("Relu", "Clip")
_MOST_LIMITS = 16  # one after the other behind an operator


@dataclass(frozen=True)
class _Exit:
    """Where a float result becomes integers: the nodes that do it, after which limits.

    Members
    -------
    passed
        The float results between: each is read by one node only.
    """

    passed: tuple[str, ...]
    quantisers: tuple[Node, ...]
    quantisation: Quantisation
    minimum: int
    maximum: int


def lower_qdq(graph: Graph, *, multiplier_bits: int, channels: int) -> Graph:
    """Replace every operator that has an integer form and stands between quantised values.

    The others stay as they are, in floating point, between the borders that they have, with the reason why.

    Parameters
    ----------
    multiplier_bits
        Width of the hardware's multiplier.
    channels
        How many channels a block of its tensors has.
    """
    values, nodes = dict(graph.values), list[Node]()
    renamed: dict[str, str] = {}
    absorbed: set[str] = set()
    for node in graph.nodes:
        if node.outputs[0] in absorbed:
            continue
        site_exit = _exit_of(graph, node)
        operands = None if site_exit is None else _operands(graph, node)
        if site_exit is None or operands is None:
            nodes.append(node.replace(reason=_wide_input(graph, node)))
            continue
        lowered, reason = _lowered(graph, node, operands, site_exit, (multiplier_bits, channels))
        if lowered is None:
            nodes.append(node.replace(reason=reason))
            continue
        result = f"{site_exit.quantisers[0].outputs[0]}/integer"
        shape, quantisation = graph.values[node.outputs[0]].known_shape, site_exit.quantisation
        values[result] = Value(result, shape, np.dtype(np.int8), None, quantisation)
        renamed.update({quantiser.outputs[0]: result for quantiser in site_exit.quantisers})
        absorbed.update(site_exit.passed[1:])
        nodes += _integer_nodes(node, lowered, values[result], values)
    return _drop_quantisers(graph.edit(nodes=nodes, values=values.values()), renamed)


def _lowered(
    graph: Graph, node: Node, operands: tuple[Operand | None, ...], site_exit: _Exit, sizes: tuple[int, int]
) -> tuple[Lowered | None, str]:
    """The integer form of `node`, if there is one; else why not, where that is known."""
    shape = graph.values[node.outputs[0]].known_shape
    limits = (site_exit.minimum, site_exit.maximum)
    site = Site(node, operands, site_exit.quantisation, shape, *limits, *sizes)
    try:
        return find_operator(node).quantise(site), ""
    except UnsupportedOperator as error:
        return None, reason_of(node, error)


def _drop_quantisers(graph: Graph, renamed: dict[str, str]) -> Graph:
    """Remove the QuantizeLinear nodes that integer operators took over; a result of the model keeps its name."""
    nodes = []
    for node in graph.nodes:
        if node.outputs[0] not in renamed:
            inputs = tuple(renamed.get(name, name) for name in node.inputs)
            nodes.append(node.replace(inputs=inputs))
        elif node.outputs[0] in graph.outputs:
            nodes.append(Node(f"{node.name}/output", "Identity", (renamed[node.outputs[0]],), node.outputs))
    return graph.edit(nodes=nodes)


def _integer_nodes(node: Node, lowered: Lowered, result: Value, values: dict[str, Value]) -> list[Node]:
    """The integer operator, and a reshape after it where its result has another shape."""
    inputs = []
    for position, given in enumerate(lowered.inputs):
        if isinstance(given, np.ndarray):
            name = f"{result.name}/constant{position}"
            values[name] = Value.constant(name, given)
            inputs.append(name)
        else:
            inputs.append(given)
    if lowered.shape is None or lowered.shape == result.shape:
        return [Node(node.name, lowered.operator, tuple(inputs), (result.name,), lowered.attributes)]
    whole = result.replace(name=f"{result.name}/whole", shape=lowered.shape)
    wanted = Value.constant(f"{result.name}/shape", np.array(result.known_shape, np.int64))
    values |= {whole.name: whole, wanted.name: wanted}
    return [
        Node(node.name, lowered.operator, tuple(inputs), (whole.name,), lowered.attributes),
        Node(f"{node.name}/reshape", "Reshape", (whole.name, wanted.name), (result.name,)),
    ]


def _exit_of(graph: Graph, node: Node) -> _Exit | None:
    """Follow the one result of `node` through limits to the QuantizeLinear nodes that read it."""
    if node.operator == "DequantizeLinear" or len(node.outputs) != 1:
        return None
    if node.operator == "QuantizeLinear":
        own = _scalar_quantisation(graph, node)
        return None if own is None else _Exit((), (node,), own, -128, 127)
    name, limits = node.outputs[0], list[tuple[float, float]]()
    passed = [name]
    while len(limits) < _MOST_LIMITS and (reader := graph.sole_consumer(name)) and _is_limit(graph, reader):
        limits.append(limits_of(reader, [graph.constant(i) for i in reader.inputs]))
        name = reader.outputs[0]
        passed.append(name)
    readers = graph.consumers.get(name, [])
    if not readers or name in graph.outputs or any(reader.operator != "QuantizeLinear" for reader in readers):
        return None
    found = {_scalar_quantisation(graph, reader) for reader in readers}
    if len(found) != 1 or (quantisation := found.pop()) is None:
        return None
    low, high = -128, 127
    for lower, upper in limits:
        low = max(low, in_steps(lower, quantisation))
        high = min(high, in_steps(upper, quantisation))
    return _Exit(tuple(passed), tuple(readers), quantisation, min(low, high), high)


def _is_limit(graph: Graph, node: Node) -> bool:
    """Whether it is a Relu or Clip with constant limits."""
    return node.operator in _LIMITS and all(graph.constant(name) is not None for name in node.inputs[1:] if name)


def _scalar_quantisation(graph: Graph, node: Node) -> Quantisation | None:
    """What a QuantizeLinear to int8 does, where it has one constant scale."""
    scale = graph.constant(node.inputs[1])
    zero = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if scale is None or zero is None or zero.dtype != np.int8 or scale.size != 1 or zero.size != 1:
        return None
    _require_positive(node, scale)
    return Quantisation(float(scale.reshape(())), int(zero.reshape(())))


def _require_positive(node: Node, scale: np.ndarray) -> None:
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise refuse(node, f"its scale must be positive, not {scale.flat[np.argmin(scale)]}")


def _operands(graph: Graph, node: Node) -> tuple[Operand | None, ...] | None:
    """The inputs of `node`, None where one of them is a float that is computed."""
    operands: list[Operand | None] = []
    for name in node.inputs:
        operand = _operand(graph, name) if name else None
        if name and operand is None:
            return None
        operands.append(operand)
    return tuple(operands)


def _wide_input(graph: Graph, node: Node) -> str:
    """Which input of `node` is quantised to more than 8 bits; empty where none is."""
    sources = [graph.producers.get(name) for name in node.inputs]
    borders = [source for source in sources if source is not None and source.operator == "DequantizeLinear"]
    dtypes = [graph.values[border.inputs[0]] for border in borders]
    wide = [value.known_dtype for value in dtypes if value.data is None and value.known_dtype.itemsize > 1]
    return f"its input must be quantised to 8 bits, not to {wide[0]}" if wide else ""


def _operand(graph: Graph, name: str) -> Operand | None:
    value = graph.values[name]
    if value.data is not None:
        return Operand(name, np.float64(1.0), np.int64(0), 0, value.data, value.known_shape)  # type: ignore[arg-type]
    source = graph.producers.get(name)
    if source is None or source.operator != "DequantizeLinear":
        return None
    integers, scale = graph.values[source.inputs[0]], graph.constant(source.inputs[1])
    zero = graph.constant(source.inputs[2]) if len(source.inputs) > 2 else np.zeros((), np.int8)
    if scale is None or zero is None or (integers.data is None and integers.dtype != np.int8):
        return None
    if scale.ndim > 1 and scale.size > 1:  # in blocks
        return None
    _require_positive(source, scale)
    scales = scale.astype(np.float64).reshape(() if scale.size == 1 else -1)
    zeros = zero.astype(np.int64).reshape(() if zero.size == 1 else -1)
    return Operand(integers.name, scales, zeros, source.get("axis", 1), integers.data, integers.known_shape)
