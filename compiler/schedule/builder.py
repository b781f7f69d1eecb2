"""Instructions in program order become a program: tokens are found from what each instruction touches."""

from __future__ import annotations

from collections.abc import Sequence

from ...config import Config
from ...isa.dependence import AccessHistory, Footprint, TokenClocks, footprint
from ...isa.instruction import Instruction, finish, sync
from ...isa.memories import memory_shape
from ...isa.table import ENGINES, Engine, Memory

__all__ = ["ProgramBuilder"]


class ProgramBuilder:
    """Collects the instructions of one run, which must be right if executed one after the other.

    Each instruction waits for exactly those earlier ones of other engines whose cells or bytes it
    meets, as far as earlier waits do not imply it. Tokens never outnumber what a counter holds, even
    if the program is executed in order; so it can't deadlock.

    Parameters
    ----------
    segments
        Bytes of each segment.
    constant
        Segments that no instruction writes.

    Members
    -------
    loaded
        Bytes that the instructions so far bring from DRAM.
    """

    def __init__(self, config: Config, segments: Sequence[int], constant: Sequence[int] = ()) -> None:
        self.config = config
        self._constant = frozenset(constant)
        self._history = AccessHistory(config, segments)
        self._clocks = TokenClocks()
        self._instructions: list[Instruction] = []
        self._index: dict[Engine, list[int]] = {engine: [] for engine in ENGINES}
        self._taken: dict[tuple[Engine, Engine], list[int]] = {(a, b): [] for a in ENGINES for b in ENGINES}
        self._most_tokens = (1 << config.token_bits) - 1
        self.loaded = 0

    def __len__(self) -> int:
        return len(self._instructions)

    def emit(self, instruction: Instruction) -> None:
        """Append; `wait` and `signal` are set here."""
        engine = instruction.engine
        assert engine is not None
        touched = self._mutable(footprint(instruction, self.config))
        givers = self._givers(engine, self._history.conflicts(engine, touched))
        tokens = [(giver, self._give(giver, position, engine)) for giver, position in givers]
        for giver, _ in tokens:
            self._taken[giver, engine].append(len(self._instructions))
        wait = sum(1 << giver for giver, _ in tokens)
        if engine is Engine.LOAD:
            cell = memory_shape(self.config, Memory(instruction["memory"])).cell_bytes
            self.loaded += instruction.nest.points * cell
        self._history.record(engine, self._clocks.count(engine), touched)
        self._append(instruction.replace(wait=wait, signal=0), engine, self._clocks.before(engine, tokens))

    def finish(self) -> list[Instruction]:
        """The run, closed with FINISH."""
        return [*self._instructions, finish()]

    def _append(self, instruction: Instruction, engine: Engine, before: tuple[int, ...]) -> None:
        self._clocks.add(engine, before)
        self._index[engine].append(len(self._instructions))
        self._instructions.append(instruction)

    def _mutable(self, touched: Footprint) -> Footprint:
        reads = tuple(r for r in touched.reads if r.memory is not None or r.number not in self._constant)
        return Footprint(reads, touched.writes)

    def _givers(self, engine: Engine, needed: Sequence[int]) -> list[tuple[Engine, int]]:
        """(engine, position) of the instructions to wait for: those that neither the past nor another one implies."""
        before = self._clocks.before(engine)
        wanted = [(other, needed[other] - 1) for other in ENGINES if needed[other] > before[other]]
        return [
            (other, position)
            for other, position in wanted
            if not any(
                self._clocks.after[third][place][other] > position for third, place in wanted if third is not other
            )
        ]

    def _give(self, giver: Engine, position: int, taker: Engine) -> int:
        """Let the instruction at `position` of `giver` give a token; the position of the one that does.

        Where the counter could overflow, a SYNC gives it, here and now, when all earlier ones are taken.
        """
        index = self._index[giver][position]
        if sum(taken > index for taken in self._taken[giver, taker][-self._most_tokens :]) < self._most_tokens:
            given = self._instructions[index]
            self._instructions[index] = given.replace(signal=given["signal"] | 1 << taker)
            return position
        self._append(sync(giver, signal=[taker]), giver, self._clocks.before(giver))
        return self._clocks.count(giver) - 1
