"""A graph as text, for dumps and error reports."""

from typing import Any

import numpy as np

from .ir import Graph, Node, Value

__all__ = ["format_graph"]


def format_graph(graph: Graph) -> str:
    """One line a value that enters, one a node, one a value that leaves."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input  {_value(graph.values[name])}" for name in graph.inputs]
    lines += [f"  {_node(graph, node)}" for node in graph.nodes]
    lines += [f"  output {_value(graph.values[name])}" for name in graph.outputs]
    return "\n".join(lines) + "\n"


def _node(graph: Graph, node: Node) -> str:
    results = ", ".join(_value(graph.values[name]) for name in node.outputs)
    operands = ", ".join(_operand(graph, name) for name in node.inputs)
    attributes = ", ".join(f"{key}={_attribute(value)}" for key, value in sorted(node.attributes.items()))
    return f"{results} = {node.operator}({operands}) {{{attributes}}} @{node.target} '{node.name}'"


def _operand(graph: Graph, name: str) -> str:
    if not name:
        return "-"
    value = graph.values[name]
    return _value(value) if value.data is not None else f"%{name}"


def _value(value: Value) -> str:
    shape = "x".join(map(str, value.shape)) if value.shape is not None else "?"
    text = f"%{value.name}: {value.dtype or '?'}[{shape}]"
    if value.quantisation is not None:
        text += f" ({value.quantisation.scale:.6g}, {value.quantisation.zero_point})"
    return text + (" const" if value.data is not None else "")


def _attribute(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype}{list(value.shape)}>"
    return str(value)
