"""Unsigned 8-bit tensors become signed: integers and zero points both move by 128."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Node, Value
from ..ops.registry import refuse

__all__ = ["make_signed"]


def make_signed(graph: Graph) -> Graph:
    """Afterwards every QuantizeLinear makes, and every DequantizeLinear reads, int8 where it was uint8.

    What enters or leaves the model as uint8 keeps doing so, through flip_sign.
    """
    return _Rewrite(graph).run()


class _Rewrite:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values = dict(graph.values)
        self.nodes: list[Node] = []
        self.signed: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if node.operator == "QuantizeLinear" and self.values[node.outputs[0]].dtype == np.uint8:
                self._quantise(node)
            elif node.operator == "DequantizeLinear" and self.values[node.inputs[0]].dtype == np.uint8:
                source = self._signed(node.inputs[0])
                self.nodes.append(node.replace(inputs=(source, node.inputs[1], self._zero_point(node))))
            else:
                self.nodes.append(node)
        return self.graph.edit(nodes=self.nodes, values=self.values.values())

    def _add(self, value: Value) -> str:
        self.values[value.name] = value
        return value.name

    def _zero_point(self, node: Node) -> str:
        """A new constant: the node's zero point less 128."""
        name = node.inputs[2] if len(node.inputs) > 2 else ""
        given = self.graph.constant(name) if name else np.zeros(self.values[node.inputs[1]].known_shape, np.uint8)
        if given is None:
            raise refuse(node, "its zero point must be a constant")
        return self._add(Value.constant(f"{node.outputs[0]}/zero_point", (given ^ np.uint8(128)).view(np.int8)))

    def _signed(self, name: str) -> str:
        """The int8 twin of the uint8 value `name`."""
        if name not in self.signed:
            value, twin = self.values[name], f"{name}/signed"
            if value.data is not None:
                self._add(Value.constant(twin, (value.data ^ np.uint8(128)).view(np.int8)))
            else:
                self._add(value.replace(name=twin, dtype=np.dtype(np.int8)))
                self.nodes.append(Node(f"{name}/flip", "flip_sign", (name,), (twin,)))
            self.signed[name] = twin
        return self.signed[name]

    def _quantise(self, node: Node) -> None:
        output = node.outputs[0]
        twin = self._add(self.values[output].replace(name=f"{output}/signed", dtype=np.dtype(np.int8)))
        self.signed[output] = twin
        self.nodes.append(node.replace(inputs=(*node.inputs[:2], self._zero_point(node)), outputs=(twin,)))
        others = [reader for reader in self.graph.consumers.get(output, []) if reader.operator != "DequantizeLinear"]
        if others or output in self.graph.outputs:
            self.nodes.append(Node(f"{output}/flip", "flip_sign", (twin,), (output,)))
