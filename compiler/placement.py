"""Where the tensors of a partitioned graph lie: in DRAM by lifetime, and in ACT between layers of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..config import Config
from .graph import Graph, Node
from .on_chip import divide
from .schedule.decision import Schedule
from .schedule.layout import Blocked, image_shape
from .schedule.memory_plan import Lifetime, plan_memory
from .schedule.scope import ACTIVATIONS

__all__ = ["Part", "Placement"]

_LONGEST_CALL = 256  # nodes of a host function


@dataclass(frozen=True)
class Part:
    """Consecutive nodes with one target; `first` is the place of the first of them in the graph."""

    target: str
    nodes: tuple[Node, ...]
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.nodes) - 1


class Placement:
    """The parts of `graph`, and the places of what the accelerator reads and writes.

    Members
    -------
    parts
        In order: runs of the accelerator and calls of the host.
    divisions
        Of ACT, by the first node of a run.
    blocked
        Names of activations that the accelerator reads or writes; `stored` are those that DRAM holds.
    tensors
        Their places.
    activation_bytes
        What they take of DRAM.
    """

    def __init__(self, graph: Graph, config: Config, schedule: Schedule) -> None:
        self.graph = graph
        self.config = config
        self.parts = list(_parts(graph))
        runs = [part for part in self.parts if part.target == "accelerator"]
        touched = dict.fromkeys(name for run in runs for node in run.nodes for name in (*node.inputs, *node.outputs))
        self.blocked = [name for name in touched if graph.values[name].data is None]
        self.divisions = {run.first: divide(graph, run.nodes, config, schedule) for run in runs}
        self._residents = {name: place for d in self.divisions.values() for name, place in d.residents.items()}
        self.stored = [name for name in self.blocked if name not in self._residents or self._leaves(name)]
        offsets, self.activation_bytes = plan_memory([self._lifetime(name) for name in self.stored])
        self.tensors = {name: self.tensor(name, ACTIVATIONS, offsets.get(name, 0)) for name in self.blocked}

    def tensor(self, name: str, segment: int, offset: int) -> Blocked:
        """`name` at a byte of a segment."""
        shape = image_shape(self.graph.values[name].known_shape)
        return Blocked(shape, segment, offset, self.config, self._residents.get(name), name in self.stored)

    def _lifetime(self, name: str) -> Lifetime:
        places = []
        for part in self.parts:
            for place, node in enumerate(part.nodes, part.first):
                if name in node.inputs or name in node.outputs:
                    places += [place] if part.target == "accelerator" else [part.first, part.last]
        return Lifetime(name, self.tensor(name, ACTIVATIONS, 0).nbytes, min(places), max(places))

    def _leaves(self, name: str) -> bool:
        """Whether others than the part that makes `name` need it."""
        made = next(part for part in self.parts if any(name in node.outputs for node in part.nodes))
        inside = set(map(id, made.nodes))
        return name in self.graph.outputs or any(id(node) not in inside for node in self.graph.consumers.get(name, []))


def _parts(graph: Graph) -> Iterator[Part]:
    first = 0
    for target, members in groupby(graph.nodes, key=lambda node: node.target):
        nodes: Sequence[Node] = tuple(members)
        step = _LONGEST_CALL if target == "host" else len(nodes)
        for start in range(0, len(nodes), step):
            part = nodes[start : start + step]
            yield Part(target, tuple(part), first)
            first += len(part)
