"""Unsigned 8-bit tensors become signed: integers and zero points both move by 128."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Node, Value
from ..ops.shape import RESHAPES

__all__ = ["make_signed"]

_MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Split", "DepthToSpace", "SpaceToDepth", "Expand", "Tile", "Gather")


def make_signed(graph: Graph) -> Graph:
    """Afterwards every QuantizeLinear makes, and every DequantizeLinear reads, int8 where it was uint8.

    What only moves elements between them is signed too.

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
            if node.operator == "QuantizeLinear" and self._is_unsigned(node, node.outputs[0]):
                self._quantise(node)
            elif node.operator == "DequantizeLinear" and self._is_unsigned(node, node.inputs[0]):
                source = self._signed(node.inputs[0])
                self.nodes.append(node.replace(inputs=(source, node.inputs[1], self._zero_point(node))))
            elif node.operator in _MOVEMENTS and node.inputs[0] in self.signed:
                self._move(node)
            else:
                self.nodes.append(node)
        return self.graph.edit(nodes=self.nodes, values=self.values.values())

    def _add(self, value: Value) -> str:
        self.values[value.name] = value
        return value.name

    def _is_unsigned(self, node: Node, name: str) -> bool:
        """Whether the border `node` makes or reads uint8, with a zero point that is known."""
        return self.values[name].dtype == np.uint8 and _zero_of(self.graph, node) is not None

    def _zero_point(self, node: Node) -> str:
        """A new constant: the node's zero point less 128."""
        given = _zero_of(self.graph, node)
        assert given is not None
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
        self._make(node.replace(inputs=(*node.inputs[:2], self._zero_point(node))))

    def _move(self, node: Node) -> None:
        self._make(node.replace(inputs=(self.signed[node.inputs[0]], *node.inputs[1:])))

    def _make(self, node: Node) -> None:
        """Add `node` with signed results; who reads the unsigned ones still can."""
        twins, flips = [], []
        for output in node.outputs:
            twin = self._add(self.values[output].replace(name=f"{output}/signed", dtype=np.dtype(np.int8)))
            self.signed[output] = twin
            twins.append(twin)
            readers = self.graph.consumers.get(output, [])
            if output in self.graph.outputs or not all(_reads_signed(self.graph, reader, output) for reader in readers):
                flips.append(Node(f"{output}/flip", "flip_sign", (twin,), (output,)))
        self.nodes += [node.replace(outputs=tuple(twins)), *flips]


def _zero_of(graph: Graph, node: Node) -> np.ndarray | None:
    """The zero point of a border, None where it is computed."""
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    return graph.constant(name) if name else np.zeros(graph.values[node.inputs[1]].known_shape, np.uint8)


def _reads_signed(graph: Graph, reader: Node, name: str) -> bool:
    """Whether a node that reads the unsigned tensor `name` will read its signed twin instead."""
    if reader.operator == "DequantizeLinear":
        return _zero_of(graph, reader) is not None
    return reader.operator in _MOVEMENTS and reader.inputs.index(name) == 0
