"""Consecutive layers on the accelerator become one run of instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..isa.instruction import Instruction
from .graph import Node
from .ops import find_operator
from .placement import Placement
from .schedule.builder import ProgramBuilder
from .schedule.decision import Decisions
from .schedule.layout import pack
from .schedule.pipeline import LayerWork, emit_layers
from .schedule.places import surround
from .schedule.scope import CONSTANTS, ConstantPool, Item, OnChip, Scope

__all__ = ["schedule_run"]


def schedule_run(
    placement: Placement,
    first: int,
    nodes: Sequence[Node],
    constants: ConstantPool,
    decisions: Decisions,
    *,
    only: Callable[[int, Sequence[Item]], Sequence[Item]] | None = None,
) -> tuple[list[Instruction], list[int]]:
    """The instructions of `nodes`, all of the part that begins at node `first` or neighbours in it.

    Parameters
    ----------
    only
        Which items of the node at a place in `nodes` are done, where one asks for the time of some; by default all.

    Returns
    -------
    instructions
        Closed with FINISH.
    ends
        The number of instructions after each layer's last one.
    """
    config, graph, division = placement.config, placement.graph, placement.divisions[first]
    builder = ProgramBuilder(config, [0, placement.activation_bytes], constant=[CONSTANTS])
    memories = OnChip(config, division.constants)
    scope = Scope(config, builder, memories, constants, placement.tensors, graph, decisions)
    work = []
    for place, node in enumerate(nodes):
        _place_constant_terms(placement, node, constants)
        scope.layer, scope.items = node.name, []
        memories.divide(division.limits[node.name])
        for name in node.outputs:
            scope.items += [item for item in (surround(scope, placement.tensors[name]),) if item is not None]
        find_operator(node).schedule(node, scope)
        items = scope.items if only is None else only(place, scope.items)
        work.append(LayerWork(node.name, tuple(items)))
    ends = emit_layers(builder, work)
    return builder.finish(), ends


def _place_constant_terms(placement: Placement, node: Node, constants: ConstantPool) -> None:
    """A sum's or product's constant term lies in blocks among the constants."""
    for name in node.inputs if find_operator(node).blocked_constants else ():
        data = placement.graph.constant(name)
        if data is not None and name not in placement.tensors:
            offset = constants.add(pack(data, placement.config.channels).tobytes())
            placement.tensors[name] = placement.tensor(name, CONSTANTS, offset)
