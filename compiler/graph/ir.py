"""Values, nodes and graphs. All are immutable: a pass makes a new graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import TilewrightError

__all__ = ["Graph", "Node", "Quantisation", "Value"]


@dataclass(frozen=True)
class Quantisation:
    """real = scale · (integer − zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Value:
    """A tensor by name.

    Members
    -------
    shape, dtype
        None until shape inference has run; a constant has those of its data.
    data
        A constant's elements; None for what is computed.
    quantisation
        What the integers of an 8-bit tensor stand for, where known.
    """

    name: str
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    data: np.ndarray | None = None
    quantisation: Quantisation | None = None

    @classmethod
    def constant(cls, name: str, data: np.ndarray) -> Value:
        return cls(name, tuple(data.shape), data.dtype, data)

    def replace(self, **changes: Any) -> Value:
        return replace(self, **changes)

    @property
    def known_shape(self) -> tuple[int, ...]:
        assert self.shape is not None, self.name
        return self.shape

    @property
    def known_dtype(self) -> np.dtype[Any]:
        assert self.dtype is not None, self.name
        return self.dtype


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `inputs` names values; an optional input that is left out is ``""``.

    Members
    -------
    target
        ``"host"`` or ``"accelerator"`` once the graph is partitioned.
    reason
        Why the accelerator can't do it, where it does others of the same operator.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    target: str = "host"
    reason: str = ""

    def replace(self, **changes: Any) -> Node:
        return replace(self, **changes)

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which each comes after what it reads."""

    name: str
    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        return {output: node for node in self.nodes for output in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, list[Node]]:
        """The nodes that read each value; a node is listed once for each time it reads it."""
        readers: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def arguments(self, node: Node) -> list[Value | None]:
        """The input values of `node`, None for one that is left out."""
        return [self.values[name] if name else None for name in node.inputs]

    def constant(self, name: str) -> np.ndarray | None:
        """The elements of the constant `name`, None where it is computed or left out."""
        return self.values[name].data if name else None

    def sole_consumer(self, name: str) -> Node | None:
        """The one node that reads `name`, None where several do or where it leaves the graph."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def edit(
        self,
        *,
        nodes: Sequence[Node] | None = None,
        values: Iterable[Value] = (),
        outputs: Sequence[str] | None = None,
    ) -> Graph:
        """This graph with other nodes, and with `values` added or replaced."""
        return replace(
            self,
            nodes=self.nodes if nodes is None else tuple(nodes),
            values={**self.values, **{value.name: value for value in values}},
            outputs=self.outputs if outputs is None else tuple(outputs),
        )

    def fresh(self, stem: str) -> str:
        """A name that no value has yet."""
        name, number = stem, 0
        while name in self.values:
            number += 1
            name = f"{stem}.{number}"
        return name

    def sorted(self) -> Graph:
        """The same graph, each node after the producers of its inputs; otherwise in the given order.

        Raises
        ------
        TilewrightError
            The nodes form a cycle.
        """
        waiting = {id(node): {name for name in node.inputs if name in self.producers} for node in self.nodes}
        ready = [node for node in self.nodes if not waiting[id(node)]]
        done: list[Node] = []
        while ready:
            node = ready.pop(0)
            done.append(node)
            for output in node.outputs:
                for reader in dict.fromkeys(self.consumers.get(output, [])):
                    left = waiting[id(reader)]
                    if output in left:
                        left.remove(output)
                        if not left:
                            ready.append(reader)
        if len(done) < len(self.nodes):
            stuck = next(node for node in self.nodes if waiting[id(node)])
            raise TilewrightError(f"model {self.name} must not be cyclic, but node {stuck.name!r} waits for itself")
        return self.edit(nodes=done)
