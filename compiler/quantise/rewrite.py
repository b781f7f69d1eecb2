"""The quantised model as a graph: QuantizeLinear and DequantizeLinear where integers begin and end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..graph import Graph, Node, Quantisation, Value
from .parameters import QuantisedWeight, quantisation_of
from .placement import PRODUCTS, Placement
from .ranges import TensorRange

__all__ = ["with_quantisation"]


def with_quantisation(
    graph: Graph,
    placement: Placement,
    ranges: Mapping[str, TensorRange],
    weights: Mapping[str, QuantisedWeight],
    biases: Mapping[str, np.ndarray],
) -> tuple[Graph, dict[str, str]]:
    """`graph` in the QDQ form, and the name of each quantised tensor as integers; inputs and outputs keep their names.

    Parameters
    ----------
    weights, biases
        Of the Conv and Gemm nodes of `placement`, by their names.
    """
    return _Rewrite(graph, placement, ranges, weights, biases).run()


class _Rewrite:
    def __init__(
        self,
        graph: Graph,
        placement: Placement,
        ranges: Mapping[str, TensorRange],
        weights: Mapping[str, QuantisedWeight],
        biases: Mapping[str, np.ndarray],
    ) -> None:
        self.graph = graph
        self.placement = placement
        self.ranges = ranges
        self.weights = weights
        self.biases = biases
        self.values = dict(graph.values)
        self.nodes: list[Node] = []
        self.made = set(placement.results.values())
        self.integers: dict[str, str] = {}

    def run(self) -> tuple[Graph, dict[str, str]]:
        for name in self.graph.inputs:
            self._quantise(name)
        integer = {node.name for node in self.placement.nodes}
        for node in self.graph.nodes:
            inputs = self._parameters(node) if node.name in integer else node.inputs
            outputs = tuple(self._real(name) if name in self.made else name for name in node.outputs)
            self.nodes.append(node.replace(inputs=inputs, outputs=outputs))
            for name in node.outputs:
                self._quantise(name)
        return self.graph.edit(nodes=self.nodes, values=self.values.values()), self.integers

    def _name(self, stem: str, what: str) -> str:
        """The same for the same arguments, and none of the model's."""
        return self.graph.fresh(f"{stem}/{what}")

    def _real(self, name: str) -> str:
        """Where `name` is a real number before its quantisation."""
        real = self._name(name, "real")
        self.values[real] = self.graph.values[name].replace(name=real)
        return real

    def _quantise(self, name: str) -> None:
        """The integers of `name`, and the real numbers they stand for: for everyone behind an integer operator, else
        for integer operators alone."""
        if name not in self.placement.tensors:
            return
        meaning = self.ranges[name].quantisation
        real, restored = self._name(name, "real"), self._name(name, "restored")
        source, result = (real, name) if name in self.made else (name, restored)
        value, integers = self.graph.values[name], self._name(name, "quantised")
        self.integers[name] = integers
        self.values[integers] = Value(integers, value.shape, np.dtype(np.int8), None, meaning)
        self.values[result] = value.replace(name=result)
        parameters = self._constants(name, np.float32(meaning.scale), np.int8(meaning.zero_point))
        self.nodes += [
            Node(f"{name}/quantise", "QuantizeLinear", (source, *parameters), (integers,)),
            Node(f"{name}/dequantise", "DequantizeLinear", (integers, *parameters), (result,)),
        ]

    def _constants(self, stem: str, scale: np.ndarray | np.float32, zero: np.ndarray | np.int8) -> tuple[str, str]:
        names = self._name(stem, "scale"), self._name(stem, "zero_point")
        for name, data in zip(names, (scale, zero), strict=True):
            self.values[name] = Value.constant(name, np.asarray(data))
        return names

    def _parameters(self, node: Node) -> tuple[str, ...]:
        """The inputs of an integer operator: restored tensors, and constants of its own."""
        inputs = [self._restored(node, place, name) for place, name in enumerate(node.inputs)]
        if node.operator in PRODUCTS:
            inputs[1] = self._weight(node)
            if node.name in self.biases:
                bias = self._name(node.name, "corrected_bias")
                self.values[bias] = Value.constant(bias, self.biases[node.name])
                inputs[2:] = [bias]
        return tuple(inputs)

    def _restored(self, node: Node, place: int, name: str) -> str:
        data = self.graph.constant(name)
        if node.name in self.placement.terms and node.operator not in PRODUCTS and data is not None:
            return self._term(f"{node.name}/term{place}", data)
        return self._name(name, "restored") if name in self.placement.tensors and name not in self.made else name

    def _weight(self, node: Node) -> str:
        weight = self.weights[node.name]
        zeros = np.zeros(weight.scale.shape, np.int8)
        return self._constant(f"{node.name}/weight", weight.data, weight.scale, zeros, weight.axis)

    def _term(self, stem: str, data: np.ndarray) -> str:
        """A constant that is added."""
        meaning: Quantisation = quantisation_of(min(float(data.min()), 0.0), max(float(data.max()), 0.0))
        steps = np.clip(np.rint(data / np.float32(meaning.scale)) + meaning.zero_point, -128, 127).astype(np.int8)
        return self._constant(stem, steps, np.float32(meaning.scale), np.int8(meaning.zero_point), 0)

    def _constant(
        self, stem: str, data: np.ndarray, scale: np.ndarray | np.float32, zero: np.ndarray | np.int8, axis: int
    ) -> str:
        """8-bit `data`, and the real numbers that it stands for; the latter's name."""
        integers, result = self._name(stem, "quantised"), self._name(stem, "restored")
        self.values[integers] = Value.constant(integers, data)
        self.values[result] = Value(result, data.shape, np.dtype(np.float32))
        inputs = (integers, *self._constants(stem, scale, zero))
        self.nodes.append(Node(f"{stem}/dequantise", "DequantizeLinear", inputs, (result,), {"axis": axis}))
        return result
