"""Move reshapes and transposes from real numbers to the integers that they were made from."""

from __future__ import annotations

from ..graph import Graph, Node, Value
from ..ops.shape import RESHAPES

__all__ = ["sink_dequantisation"]

_MOVEMENTS = (*RESHAPES, "Transpose")


def sink_dequantisation(graph: Graph) -> Graph:
    """``Reshape(DequantizeLinear(x))`` becomes ``DequantizeLinear(Reshape(x))``, where x has one scale."""
    values: dict[str, Value] = dict(graph.values)
    sources: dict[str, Node] = {node.outputs[0]: node for node in graph.nodes if node.operator == "DequantizeLinear"}
    nodes: list[Node] = []
    for node in graph.nodes:
        border = sources.get(node.inputs[0]) if node.operator in _MOVEMENTS else None
        if (
            border is None
            or values[border.inputs[0]].data is not None
            or values[border.inputs[1]].known_shape not in ((), (1,))
        ):
            nodes.append(node)
            continue
        result, integers = values[node.outputs[0]], values[border.inputs[0]]
        name = f"{result.name}/integer"
        values[name] = integers.replace(name=name, shape=result.shape)
        nodes.append(node.replace(inputs=(integers.name, *node.inputs[1:]), outputs=(name,)))
        lowered = border.replace(
            name=f"{node.name}/dequantise", inputs=(name, *border.inputs[1:]), outputs=node.outputs
        )
        nodes.append(lowered)
        sources[result.name] = lowered
    return graph.edit(nodes=nodes, values=values.values())
