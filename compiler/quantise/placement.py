"""Which operators of a float model become integers, which tensors are quantised for that, and which share a scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import TilewrightError, UnsupportedOperator
from ..graph import Graph, Node, Quantisation
from ..ops import find_operator
from ..ops.shape import RESHAPES
from ..ops.site import Operand, Site

__all__ = ["Placement", "place"]

PRODUCTS = ("Conv", "Gemm")
_MOVEMENTS = (*RESHAPES, "Transpose", "Concat")
_MAXIMA = ("MaxPool", "GlobalMaxPool")
_LIMITS = ("Relu", "Clip")
_TRIAL = Quantisation(1.0, 0)


@dataclass(frozen=True)
class Placement:
    """What is quantised.

    Members
    -------
    nodes
        The operators that become integers, in the graph's order; those that only move elements among them.
    results
        For each of them by its name, the tensor at which its result is quantised: behind its ReLU or Clip.
    tensors
        All quantised tensors that are computed or enter the model, in order, each with the first of those that share
        its scale and zero point.
    """

    nodes: tuple[Node, ...]
    results: dict[str, str]
    tensors: dict[str, str]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The tensors that share a scale, by the first of them."""
        groups: dict[str, list[str]] = {}
        for name, leader in self.tensors.items():
            groups.setdefault(leader, []).append(name)
        return groups


def place(graph: Graph) -> Placement:
    """Find the placement: products with constant weights, and what stands beside them.

    Additions, average pools and limits join where one of their inputs is quantised anyway; movements and maximum pools
    where an input or their result is.

    Raises
    ------
    TilewrightError
        There is no product that the accelerator could compute.
    """
    return _Search(graph).run()


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.forms = {node.name: form for node in graph.nodes if (form := _integer_form(graph, node)) is not None}
        self.results = {node.name: self._end(node) for node in graph.nodes if node.name in self.forms}
        self.chosen: set[str] = set()
        self.quantised: set[str] = set()
        self.leaders: dict[str, str] = {}

    def run(self) -> Placement:
        for node in self.graph.nodes:
            if node.operator in PRODUCTS and node.name in self.forms:
                self._choose(node)
        if not self.chosen:
            raise TilewrightError(
                f"model {self.graph.name} must have a Conv, Gemm or MatMul on float32 with constant weights to be "
                "quantised: compile it with --target host"
            )
        absorbed = self._absorbed()
        while any(self._joins(node) for node in self.graph.nodes if node.name not in absorbed):
            absorbed = self._absorbed()
        order = [*self.graph.inputs, *(name for node in self.graph.nodes for name in node.outputs)]
        tensors = [name for name in order if name in self.quantised]
        firsts: dict[str, str] = {}
        shared = {name: firsts.setdefault(self._leader(name), name) for name in tensors}
        nodes = tuple(node for node in self.graph.nodes if node.name in self.chosen)
        return Placement(nodes, {node.name: self.results[node.name] for node in nodes}, shared)

    def _end(self, node: Node) -> str:
        """Where the result of `node` leaves the last of the limits that follow it."""
        name = node.outputs[0]
        while self.forms[node.name].startswith("q") and (reader := self.graph.sole_consumer(name)) is not None:
            if reader.operator not in _LIMITS or reader.inputs[0] != name or reader.name not in self.forms:
                break
            name = reader.outputs[0]
        return name

    def _absorbed(self) -> set[str]:
        """Limits that are part of a chosen operator before them."""
        found: set[str] = set()
        for node in self.graph.nodes:
            if node.name in self.chosen:
                name = node.outputs[0]
                while name != self.results[node.name]:
                    (reader,) = self.graph.consumers[name]
                    found.add(reader.name)
                    name = reader.outputs[0]
        return found

    def _joins(self, node: Node) -> bool:
        """Whether `node` becomes an integer operator now."""
        if node.name in self.chosen or node.name not in self.forms:
            return False
        tensors = list(self._activations(node))
        if node.operator in (*_MOVEMENTS, *_MAXIMA):
            tensors.append(self.results[node.name])
        elif node.operator in PRODUCTS:
            return False
        if not self.quantised.intersection(tensors):
            return False
        self._choose(node)
        return True

    def _choose(self, node: Node) -> None:
        result = self.results[node.name]
        self.chosen.add(node.name)
        tensors = [*self._activations(node), result]
        self.quantised.update(tensors)
        plain = node.operator in _MAXIMA and result == node.outputs[0]
        if node.operator in _MOVEMENTS or plain:
            for name in tensors:
                self.leaders[self._leader(name)] = self._leader(result)

    def _activations(self, node: Node) -> Iterator[str]:
        for name in node.inputs:
            if name and self.graph.constant(name) is None and self.graph.values[name].dtype == np.float32:
                yield name

    def _leader(self, name: str) -> str:
        while (other := self.leaders.get(name, name)) != name:
            name = other
        return name


def _integer_form(graph: Graph, node: Node) -> str | None:
    """The integer operator that `node` would become between tensors of any scale, if there is one: it is tried."""
    values = [*(value for value in graph.arguments(node) if value is not None), *map(graph.values.get, node.outputs)]
    if len(node.outputs) != 1 or values[0].dtype != np.float32 or values[-1].dtype != np.float32:  # type: ignore[union-attr]
        return None
    terms = {"Conv": (1,), "Gemm": (1,), "Add": (0, 1)}.get(node.operator, ())
    operands = tuple(_operand(graph, name, place in terms) for place, name in enumerate(node.inputs))
    shape = graph.values[node.outputs[0]].known_shape
    try:
        lowered = find_operator(node).quantise(Site(node, operands, _TRIAL, shape, -128, 127, 32))
    except UnsupportedOperator:
        return None
    return None if lowered is None else lowered.operator


def _operand(graph: Graph, name: str, integer: bool) -> Operand | None:
    if not name:
        return None
    data, shape = graph.constant(name), graph.values[name].known_shape
    if data is not None and integer:
        data = np.zeros(shape, np.int8)
    return Operand(name, np.float64(1.0), np.int64(0), 0, data, shape)  # type: ignore[arg-type]
