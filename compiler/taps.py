"""Tensors inside a model that are worth seeing from outside."""

from __future__ import annotations

from ..errors import TilewrightError
from .graph import Graph
from .ops.shape import RESHAPES

__all__ = ["softmax_input", "with_outputs"]

_PASSED = (*RESHAPES, "Transpose", "Identity", "DequantizeLinear", "QuantizeLinear")


def softmax_input(graph: Graph) -> str | None:
    """The quantised tensor that feeds the softmax which makes the model's last result; None without one."""
    name = graph.outputs[-1]
    while (node := graph.producers.get(name)) is not None and node.operator in _PASSED:
        name = node.inputs[0]
    if node is None or node.operator not in ("qsoftmax", "Softmax"):
        return None
    name = node.inputs[0]
    source = graph.producers.get(name)
    return source.inputs[0] if source is not None and source.operator == "DequantizeLinear" else name


def with_outputs(graph: Graph, *names: str) -> Graph:
    """`graph` with further values as outputs; images have their channels first.

    Raises
    ------
    TilewrightError
        There is no such value, or it is not computed.
    """
    for name in names:
        if name not in graph.producers:
            raise TilewrightError(f"tensor {name!r} must be one that model {graph.name} computes")
    return graph.edit(outputs=tuple(dict.fromkeys((*graph.outputs, *names))))
