"""Asks a measure for the time of whole networks, and of single layers between their neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...config import Config
from ...errors import TilewrightError
from ...isa.instruction import Instruction
from ...isa.program import Program, Run, Segment, encode_instructions
from ...isa.table import TRANSFER_DIMS, Opcode
from ..assemble import Core, assemble_core
from ..core_run import schedule_run
from ..graph import Graph
from ..placement import Part
from ..schedule.decision import Decisions, Schedule
from ..schedule.scope import CONSTANTS, ConstantPool, Item
from .database import Trial
from .measure import Measure

__all__ = ["Clock"]

BEFORE = 2  # layers before a layer that are timed with it,
_LAST = 16  # so many of each one's last items,
_FIRST = 8  # and of the first ones of the layer after

Layers = Mapping[str, tuple[Any, ...]]


class Clock:
    """Times schedules of `graph`, a lowered graph.

    Members
    -------
    spent
        Instructions that were made for it: what timing costs.
    """

    def __init__(self, graph: Graph, config: Config, measure: Measure) -> None:
        self._graph = graph
        self._config = config
        self._measure = measure
        self.spent = 0

    def network(self, schedule: Schedule) -> tuple[Core, int]:
        """The core's part of the program, and its cycles.

        Raises
        ------
        TilewrightError
            The schedule does not fit.
        """
        core = assemble_core(self._graph, self._config, schedule)
        self.spent += len(core.program.instructions)
        return core, self._measure.cycles(core.program)

    def trial(self, schedule: Schedule) -> Trial:
        """What comes of it."""
        before = self.spent
        try:
            cycles = self.network(schedule)[1]
        except TilewrightError:
            return Trial(None, self.spent - before)
        return Trial(cycles, self.spent - before)

    def layer(self, core: Core, part: Part, place: int, layers: Layers) -> int | None:
        """How long the layer at `place` of `part` takes, with the end of those before and the beginning of the next.

        None where the decisions do not fit together. `core` says where tensors lie. In a network, constants may have
        come long before, or everything waits for them; so this is the sum of two times, with constants and without.
        """
        first = max(place - BEFORE, 0)
        nodes = part.nodes[first : place + 2]
        constants, decisions = ConstantPool(), Decisions(layers)

        def only(number: int, items: Sequence[Item]) -> Sequence[Item]:
            if first + number < place:
                return items[-_LAST:]
            return items if first + number == place else items[:_FIRST]

        try:
            instructions, _ = schedule_run(core.placement, part.first, nodes, constants, decisions, only=only)
        except TilewrightError:
            return None
        self.spent += len(instructions)
        programs = [instructions, [_brief(instruction) for instruction in instructions]]
        return sum(self._measure.cycles(self._program(core, each, len(constants.data))) for each in programs)

    def _program(self, core: Core, instructions: Sequence[Instruction], constant_bytes: int) -> Program:
        """Without its constants, on which no time depends."""
        segments = (
            Segment(name="constants", size=constant_bytes, role="constants"),
            Segment(name="activations", size=core.placement.activation_bytes, role="activations"),
        )
        steps = (Run(first=0, count=len(instructions)),)
        code = encode_instructions(instructions)
        return Program(config=self._config, instructions=code, segments=segments, steps=steps)


def _brief(instruction: Instruction) -> Instruction:
    """The same, but that a constant is one cell."""
    if instruction.opcode is not Opcode.LOAD or instruction["segment"] != CONSTANTS:
        return instruction
    return instruction.replace(**{f"bound{d}": 1 for d in range(TRANSFER_DIMS)})
