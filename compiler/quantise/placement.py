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

__all__ = ["PRODUCTS", "Placement", "place"]

PRODUCTS = ("Conv", "Gemm")
_LIMITS = ("Relu", "Clip")
_MOVEMENTS = (*RESHAPES, "Transpose", "Concat", "Pad")
_MAXIMA = ("MaxPool", "GlobalMaxPool")
_SUMS = ("Add", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization", *_LIMITS)
_CURVES = (
    *("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Gelu", "Mish", "Elu", "Selu", "Celu", "LeakyRelu"),
    *("PRelu", "ThresholdedRelu", "Softplus", "Softsign", "Mul"),
)
_TRIAL, _WHOLE, _BITS = Quantisation(1.0, 0), (-128, 127), 32


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
    sources
        Those of them that decide on the scale: the others are elements of these, put elsewhere.
    terms
        Names of those operators whose constant terms are quantised as well.
    """

    nodes: tuple[Node, ...]
    results: dict[str, str]
    tensors: dict[str, str]
    sources: frozenset[str]
    terms: frozenset[str]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The tensors that share a scale, by the first of them."""
        groups: dict[str, list[str]] = {}
        for name, leader in self.tensors.items():
            groups.setdefault(leader, []).append(name)
        return groups


def place(graph: Graph) -> Placement:
    """Find the placement: products with constant weights, and what stands beside them.

    Additions, averages and limits join where one of their inputs is quantised anyway, movements and maximum pools where
    an input or their result is. Activation functions and multiplications join where an input is and a product comes
    after them: behind the last one, 8 bits would cost more than they save.

    Raises
    ------
    TilewrightError
        There is no product that the accelerator could compute.
    """
    return _Search(graph).run()


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.able: set[str] = set()
        self.terms: set[str] = set()
        for node in graph.nodes:
            self._try(node)
        self.leading = self._leading()
        self.results = {node.name: self._end(node) for node in graph.nodes if node.name in self.able}
        self.chosen: set[str] = set()
        self.quantised: set[str] = set()
        self.leaders: dict[str, str] = {}
        self.copies: set[str] = set()

    def run(self) -> Placement:
        for node in self.graph.nodes:
            if node.operator in PRODUCTS and node.name in self.able:
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
        results = {node.name: self.results[node.name] for node in nodes}
        sources = frozenset(self.quantised - self.copies)
        return Placement(nodes, results, shared, sources, frozenset(self.terms & self.chosen))

    def _try(self, node: Node) -> None:
        """Find out whether `node` has an integer form, and whether its constant terms must be quantised for that."""
        if _integer_form(self.graph, node, terms=False):
            self.able.add(node.name)
        elif node.operator in ("Add", "Mul") and _integer_form(self.graph, node, terms=True):
            self.able.add(node.name)
            self.terms.add(node.name)

    def _leading(self) -> set[str]:
        """Names of the nodes from which a product is reached."""
        leading: set[str] = set()
        for node in reversed(self.graph.nodes):
            readers = [reader for name in node.outputs for reader in self.graph.consumers.get(name, [])]
            if any(r.name in leading or (r.operator in PRODUCTS and r.name in self.able) for r in readers):
                leading.add(node.name)
        return leading

    def _end(self, node: Node) -> str:
        """Where the result of `node` leaves the last of the limits that follow it."""
        name = node.outputs[0]
        while node.operator not in _MOVEMENTS and (reader := self.graph.sole_consumer(name)) is not None:
            if reader.operator not in _LIMITS or reader.inputs[0] != name or reader.name not in self.able:
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
        if node.name in self.chosen or node.name not in self.able:
            return False
        tensors = list(self._activations(node))
        if node.operator in (*_MOVEMENTS, *_MAXIMA):
            tensors.append(self.results[node.name])
        elif node.operator not in _SUMS and not (node.operator in _CURVES and node.name in self.leading):
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
            self.copies.add(result)
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


def _integer_form(graph: Graph, node: Node, *, terms: bool) -> bool:
    """Whether `node` would become integers between tensors of any scale: it is tried.

    `terms`: with its constants quantised too; those of a product always are.
    """
    values = [*(graph.values[name] for name in node.inputs[:1] if name), *(graph.values[name] for name in node.outputs)]
    if len(node.outputs) != 1 or any(value.dtype != np.float32 for value in values) or not _is_harmless(graph, node):
        return False
    integer = {1} if node.operator in PRODUCTS else set(range(len(node.inputs))) if terms else set()
    operands = tuple(_operand(graph, name, place in integer) for place, name in enumerate(node.inputs))
    shape = graph.values[node.outputs[0]].known_shape
    site = Site(node, operands, _TRIAL, shape, *_WHOLE, bits=_BITS, channels=1)
    try:
        return find_operator(node).quantise(site) is not None
    except UnsupportedOperator:
        return False


def _is_harmless(graph: Graph, node: Node) -> bool:
    """Whether 8 bits do: not for means over channels, as of normalisations, nor for padding with a range of its own."""
    if node.operator == "ReduceMean":
        axes = graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None
        rank = len(graph.values[node.inputs[0]].known_shape)
        return axes is not None and set((axes.reshape(-1) % max(rank, 1)).tolist()) <= {2, 3}
    if node.operator == "Pad" and len(node.inputs) > 2 and node.inputs[2]:
        fill = graph.constant(node.inputs[2])
        return fill is not None and bool(np.all((fill == 0) | (fill <= -np.finfo(np.float32).max)))
    return True


def _operand(graph: Graph, name: str, integer: bool) -> Operand | None:
    if not name:
        return None
    data, shape = graph.constant(name), graph.values[name].known_shape
    if data is not None and integer:
        data = np.zeros(shape, np.int8)
    return Operand(name, np.float64(1.0), np.int64(0), 0, data, shape)  # type: ignore[arg-type]
