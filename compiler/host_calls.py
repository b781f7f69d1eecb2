"""Neighbouring host nodes become one host function: tensor expressions, composed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from . import host, te
from .graph import Graph, Node
from .ops import find_operator
from .ops.registry import refuse
from .schedule.layout import blocked_shape, image_shape
from .te import layout

__all__ = ["HostCall", "is_large", "lower_host_call"]


@dataclass(frozen=True)
class HostCall:
    """A function and the values that its pointers stand for; scratch memory follows where it needs any.

    Large constants are among the inputs; small ones are part of the code.
    """

    function: te.Function
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def lower_host_call(
    symbol: str, graph: Graph, nodes: Sequence[Node], blocked: Collection[str], results: Sequence[str], channels: int
) -> HostCall:
    """The host function that runs `nodes`.

    Parameters
    ----------
    blocked
        Values that lie in blocks of `channels`, since the accelerator uses them too.
    results
        Values of `nodes` that others need.
    """
    nodes = [node for node in nodes if any(_holds_elements(graph, name) for name in node.outputs)]
    results = [name for name in results if _holds_elements(graph, name)]
    made = {name for node in nodes for name in node.outputs}
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name and name not in made)
    inputs = [name for name in read if graph.values[name].data is None or is_large(graph, name)]
    tensors: dict[str, te.Tensor] = {}
    placeholders = []
    for position, name in enumerate(inputs):
        value = graph.values[name]
        shape = blocked_shape(value.known_shape, channels) if name in blocked else value.known_shape
        placeholder = te.placeholder(shape, value.known_dtype.name, f"input{position}")
        placeholders.append(placeholder)
        tensors[name] = _unblocked(placeholder, value.known_shape) if name in blocked else placeholder
    for node in nodes:
        arguments = [_argument(graph, tensors, name) for name in node.inputs]
        results_of_node = _expression(node, arguments)[: len(node.outputs)]
        tensors.update(zip(node.outputs, results_of_node, strict=True))
    outputs = [_blocked(tensors[name], channels) if name in blocked else tensors[name] for name in results]
    try:
        function = host.lower_call(symbol, placeholders, outputs)
    except te.VerificationError:
        for node in nodes:
            _require_sound(graph, node)
        raise
    return HostCall(function, tuple(inputs), tuple(results))


def _require_sound(graph: Graph, node: Node) -> None:
    """Refuse a node whose inputs do not fit one another: alone it reads beyond them, too."""
    read = [name for name in dict.fromkeys(node.inputs) if name and graph.values[name].data is None]
    values = [graph.values[name] for name in read]
    placeholders = [te.placeholder(value.known_shape, value.known_dtype.name, value.name) for value in values]
    tensors = dict(zip(read, placeholders, strict=True))
    arguments = [_argument(graph, tensors, name) for name in node.inputs]
    try:
        host.lower_call("alone", placeholders, _expression(node, arguments)[: len(node.outputs)])
    except te.VerificationError as error:
        shapes = ", ".join("nothing" if tensor is None else str(list(tensor.shape)) for tensor in arguments)
        raise refuse(node, f"its inputs must fit one another, not {shapes}") from error


def is_large(graph: Graph, name: str) -> bool:
    """Whether a value is a constant that lies in the program's memory rather than in the code."""
    data = graph.constant(name)
    return data is not None and data.nbytes >= _LARGE


_LARGE = 1 << 16


def _holds_elements(graph: Graph, name: str) -> bool:
    return 0 not in graph.values[name].known_shape


def _expression(node: Node, arguments: list[te.Tensor | None]) -> list[te.Tensor]:
    try:
        return find_operator(node).expression(node, arguments)
    except (TypeError, ValueError) as error:
        given = ", ".join(
            "nothing" if tensor is None else f"{tensor.dtype}{list(tensor.shape)}" for tensor in arguments
        )
        raise refuse(node, f"the host can't compute it from {given}: {error}") from error


def _argument(graph: Graph, tensors: dict[str, te.Tensor], name: str) -> te.Tensor | None:
    if not name:
        return None
    if name not in tensors:
        data = graph.constant(name)
        assert data is not None
        tensors[name] = te.constant(data)
    return tensors[name]


def _unblocked(tensor: te.Tensor, shape: tuple[int, ...]) -> te.Tensor:
    image = image_shape(shape)
    dense = layout.unpack(tensor, image[1])
    return dense if shape == image else layout.reshape(dense, shape)


def _blocked(tensor: te.Tensor, channels: int) -> te.Tensor:
    image = image_shape(tensor.shape)
    return layout.pack(tensor if tensor.shape == image else layout.reshape(tensor, image), channels)
