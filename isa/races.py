"""The race checker: unordered instructions that touch the same cells, found by happens-before over tokens.

What is ordered: instructions of one engine as they are written, and a giver before the taker of its token. What any
instruction must find complete is, for each engine, a number of its first instructions; so those that it is not ordered
after are the last ones of each engine, and a race is a meeting with one of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..errors import ProgramError
from .accesses import DRAM, Touch, Touches
from .cell_sets import CellSet, common, meet, union
from .columns import opcodes, raw_instructions, token_masks
from .instruction import Instruction
from .memories import ROW_MEMORIES
from .program import Program, Run
from .table import ENGINES, Engine, Memory, Opcode
from .tokens import engines_of, execution_order

__all__ = ["Meeting", "Race", "find_races", "program_races", "require_race_free"]

_RANGES_SHOWN = 4
_GIVERS = [[engine for engine in ENGINES if mask >> engine & 1] for mask in range(1 << len(ENGINES))]

Clock = tuple[int, ...]


@dataclass(frozen=True)
class Meeting:
    """Where two instructions meet: cells of one memory, or bytes of one DRAM segment.

    Members
    -------
    memory, number
        The on-chip memory and its row; or None and the segment.
    cells
        int64, ascending.
    first_writes, second_writes
        Whether the first and the second of them writes there; otherwise it reads.
    """

    memory: Memory | None
    number: int
    cells: np.ndarray
    first_writes: bool
    second_writes: bool

    def __str__(self) -> str:
        if self.memory is None:
            return f"bytes {_ranges(self.cells)} of segment {self.number}"
        row = f" of row {self.number}" if self.memory in ROW_MEMORIES else ""
        return f"{self.memory.name} cells {_ranges(self.cells)}{row}"


@dataclass(frozen=True)
class Race:
    """Two instructions that no chain of tokens orders and that meet, at least one of them writing.

    Members
    -------
    first, second
        Indices in the program. A token from the first to the second would order them, and would let the program end.
    giver, taker
        Their engines.
    meetings
        Everything that both touch and at least one of them writes.
    """

    first: int
    second: int
    giver: Engine
    taker: Engine
    meetings: tuple[Meeting, ...]

    def __str__(self) -> str:
        met = "; ".join(
            f"{meeting}, which {self.first} {_does(meeting.first_writes)} and {self.second} "
            f"{_does(meeting.second_writes)}"
            for meeting in self.meetings
        )
        return (
            f"instructions {self.first} ({self.giver.name}) and {self.second} ({self.taker.name}) meet in {met}; "
            f"no token orders them: {self.first} must give one to {self.taker.name}, and {self.second} take it from "
            f"{self.giver.name}"
        )


def find_races(instructions: Sequence[Instruction] | np.ndarray, config: Config, *, first: int = 0) -> list[Race]:
    """The races of one run; none where whatever the engines' timing it has one result.

    Of each instruction and each other engine, the race with the latest instruction of that engine: a token from that
    one orders all earlier ones as well.

    Parameters
    ----------
    instructions
        Legal ones; as values or as uint8 of shape (n, 64). What follows a FINISH does not count.
    first
        Added to indices.

    Raises
    ------
    ProgramError
        The program deadlocks.
    """
    raw = raw_instructions(instructions)
    ends = np.flatnonzero(opcodes(raw) == Opcode.FINISH)
    raw = raw[: ends[0]] if len(ends) else raw
    network = _Ordering(raw)
    clocks = network.clocks(range(len(raw))) or network.clocks(execution_order(raw, config))
    if clocks is None:
        raise ProgramError("a program must give every token before it is taken, to be searched for races")
    return _Search(raw, config, first).races(clocks)


def program_races(program: Program) -> list[Race]:
    """Those of all runs of a program, each of which begins when the one before has ended."""
    found = []
    for step in program.steps:
        if isinstance(step, Run):
            part = program.instructions[step.first : step.first + step.count]
            found += find_races(part, program.config, first=step.first)
    return found


def require_race_free(program: Program) -> None:
    """Raise for the first of :func:`program_races`.

    Raises
    ------
    ProgramError
        There is one.
    """
    races = program_races(program)
    if races:
        more = f" (and {len(races) - 1} more races)" if len(races) > 1 else ""
        raise ProgramError(f"{races[0]}{more}")


class _Ordering:
    """Engines and tokens of a run's instructions."""

    def __init__(self, raw: np.ndarray) -> None:
        waits, signals = token_masks(raw)
        self.engines = engines_of(raw).tolist()
        self._takes = [_GIVERS[mask] for mask in waits.tolist()]
        self._gives = [_GIVERS[mask] for mask in signals.tolist()]

    def clocks(self, order: Iterable[int]) -> list[tuple[int, Clock]] | None:
        """Each instruction of `order` with, for every engine, how many of its instructions are complete before it.

        None where `order` takes a token before it is given.
        """
        latest: list[Clock] = [(0,) * len(ENGINES)] * len(ENGINES)
        waiting: dict[tuple[int, int], list[Clock]] = {(e, f): [] for e in ENGINES for f in ENGINES}
        taken = dict.fromkeys(waiting, 0)
        found = []
        for index in order:
            engine = self.engines[index]
            before = latest[engine]
            for giver in self._takes[index]:
                pair = giver, engine
                if taken[pair] == len(waiting[pair]):
                    return None
                before = tuple(map(max, before, waiting[pair][taken[pair]]))
                taken[pair] += 1
            after = (*before[:engine], before[engine] + 1, *before[engine + 1 :])
            latest[engine] = after
            for taker in self._gives[index]:
                waiting[engine, taker].append(after)
            found.append((index, before))
        return found


class _Accesses:
    """One engine's accesses of one kind to one memory, in its order; joined over aligned ranges where that is asked."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.cells: list[CellSet] = []
        self._joined: dict[tuple[int, int], CellSet] = {}

    def add(self, position: int, cells: CellSet) -> None:
        self.positions.append(position)
        self.cells.append(cells)

    def newest(self, cells: CellSet, since: int) -> int:
        """The last position from `since` on that meets `cells`; -1 where none does."""
        start, end = bisect_left(self.positions, since), len(self.positions)
        while end > start:
            level = (end & -end).bit_length() - 1
            while end - (1 << level) < start:
                level -= 1
            if meet(self._range(level, (end >> level) - 1), cells):
                return self.positions[self._last(level, (end >> level) - 1, cells)]
            end -= 1 << level
        return -1

    def _range(self, level: int, number: int) -> CellSet:
        """Those of `number` · 2^level up to the next such range."""
        if not level:
            return self.cells[number]
        key = level, number
        if key not in self._joined:
            halves = self._range(level - 1, 2 * number), self._range(level - 1, 2 * number + 1)
            self._joined[key] = union(*halves)
        return self._joined[key]

    def _last(self, level: int, number: int, cells: CellSet) -> int:
        while level:
            level, number = level - 1, 2 * number + 1
            if not meet(self._range(level, number), cells):
                number -= 1
        return number


class _Search:
    def __init__(self, raw: np.ndarray, config: Config, first: int) -> None:
        self.first = first
        self._engines = engines_of(raw).tolist()
        self._touches = Touches(raw, config)
        self._accesses: dict[tuple[int, bool], dict[tuple[int, int], _Accesses]] = {}
        self._index_at: list[list[int]] = [[] for _ in ENGINES]

    def races(self, clocks: Sequence[tuple[int, Clock]]) -> list[Race]:
        found = []
        for index, before in clocks:
            engine = self._engines[index]
            touches = self._touches.of(index)
            for other, position in sorted(self._unordered(engine, before, touches).items()):
                found.append(self._race(self._index_at[other][position], index))
            for space, rows, cells, written in touches:
                kinds = self._accesses.setdefault((space, written), {})
                kinds.setdefault((rows, engine), _Accesses()).add(len(self._index_at[engine]), cells)
            self._index_at[engine].append(index)
        return found

    def _unordered(self, engine: int, before: Clock, touches: Sequence[Touch]) -> dict[int, int]:
        """By engine the latest position that `touches` race with."""
        found: dict[int, int] = {}
        for space, rows, cells, written in touches:
            for kind in (True, False) if written else (True,):
                for (mask, other), accesses in self._accesses.get((space, kind), {}).items():
                    since = max(before[other], found.get(other, -1) + 1)
                    if other == engine or accesses.positions[-1] < since or not mask & rows:
                        continue
                    position = accesses.newest(cells, since)
                    if position >= 0:
                        found[other] = position
        return found

    def _race(self, earlier: int, later: int) -> Race:
        meetings = [
            meeting
            for one in _merged(self._touches.of(earlier))
            for other in _merged(self._touches.of(later))
            if one.space == other.space and one.rows & other.rows and (one.written or other.written)
            for meeting in self._meetings(one, other)
        ]
        engines = Engine(self._engines[earlier]), Engine(self._engines[later])
        return Race(self.first + earlier, self.first + later, *engines, tuple(meetings))

    def _meetings(self, one: Touch, other: Touch) -> list[Meeting]:
        cells = common(one.cells, other.cells)
        if not cells.bits:
            return []
        addresses = cells.addresses()
        if one.space >= DRAM:
            segment = one.space - DRAM
            unit = self._touches.units[segment]
            in_bytes = (addresses[:, None] * unit + np.arange(unit)).reshape(-1)
            return [Meeting(None, segment, in_bytes, one.written, other.written)]
        memory, rows = Memory(one.space), one.rows & other.rows
        return [
            Meeting(memory, row, addresses, one.written, other.written)
            for row in range(rows.bit_length())
            if rows >> row & 1
        ]


def _merged(touches: Iterable[Touch]) -> list[Touch]:
    """One for each memory and kind of access."""
    found: dict[tuple[int, int, bool], CellSet] = {}
    for space, rows, cells, written in touches:
        known = found.get((space, rows, written))
        found[space, rows, written] = cells if known is None else union(known, cells)
    return [Touch(space, rows, cells, written) for (space, rows, written), cells in found.items()]


def _does(writes: bool) -> str:
    return "writes" if writes else "reads"


def _ranges(cells: np.ndarray) -> str:
    """``0..15, 32 and 3 more ranges``"""
    breaks = np.flatnonzero(np.diff(cells) > 1)
    firsts, lasts = cells[[0, *(breaks + 1)]].tolist(), cells[[*breaks, -1]].tolist()
    shown = [str(a) if a == b else f"{a}..{b}" for a, b in zip(firsts, lasts, strict=True)]
    more = len(shown) - _RANGES_SHOWN
    return ", ".join(shown[:_RANGES_SHOWN]) + (f" and {more} more ranges" if more > 0 else "")
