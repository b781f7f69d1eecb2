"""How ACT is divided over the layers of one run: constants, activations that stay, and room for tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..config import Config
from .graph import Graph, Node
from .ops import find_operator
from .schedule.decision import Schedule
from .schedule.layout import Blocked, Resident, image_shape
from .schedule.resident import Candidate, Reading, bank_edge, margins, plan_residents
from .schedule.scope import ACTIVATIONS

__all__ = ["Division", "divide"]


@dataclass(frozen=True)
class Division:
    """ACT of one run.

    Members
    -------
    constants
        Granules at its beginning for weights that the vector engine reads.
    residents
        By name: the activations that stay.
    limits
        By the node's name: granules below all that is resident while it runs.
    """

    constants: int
    residents: Mapping[str, Resident]
    limits: Mapping[str, int]


def divide(graph: Graph, nodes: Sequence[Node], config: Config, schedule: Schedule) -> Division:
    """The division for `nodes`. Nothing stays where rows of the core have parts of an image each."""
    constants = _constants(graph, nodes, config)
    candidates: dict[str, Candidate] = {}
    for first, node in enumerate(nodes):
        for name in node.outputs if config.rows == 1 else ():
            candidate = None if name in schedule.leaving else _candidate(graph, nodes, config, schedule, name, first)
            if candidate is not None:
                candidates[name] = candidate
    touched = [[name for name in (*node.inputs, *node.outputs) if graph.values[name].data is None] for node in nodes]
    residents, limits = plan_residents(config, candidates, touched, constants)
    return Division(constants, residents, {node.name: limit for node, limit in zip(nodes, limits, strict=True)})


def _candidate(
    graph: Graph, nodes: Sequence[Node], config: Config, schedule: Schedule, name: str, first: int
) -> Candidate | None:
    """The value `name`, made by node `first`, if others of `nodes` read it and one frame serves them all."""
    readers = [
        (number, reader, place)
        for number, reader in enumerate(nodes)
        for place, read in enumerate(reader.inputs)
        if read == name
    ]
    readings = [_reading(graph, reader, place, config, schedule) for _, reader, place in readers]
    image = Blocked(image_shape(graph.values[name].known_shape), ACTIVATIONS, 0, config)
    frame = margins(image.shape, readings)
    if not readers or frame is None:
        return None
    return Candidate(image, frame, first, readers[-1][0], bank_edge(image, frame, readings))


def _reading(graph: Graph, reader: Node, place: int, config: Config, schedule: Schedule) -> Reading:
    reading = find_operator(reader).reading(reader, graph.arguments(reader), place, config)
    share = schedule.share(reader.name)
    return reading if share is None else replace(reading, split=share)


def _constants(graph: Graph, nodes: Sequence[Node], config: Config) -> int:
    """Those of two layers, as far as a quarter of ACT goes."""
    wanted = [find_operator(node).act_constants(node, graph.arguments(node), config) for node in nodes]
    whole, least = (max((pair[place] for pair in wanted), default=0) for place in range(2))
    return min(max(min(2 * whole, config.act_depth // 4), least), config.act_depth // 2)
