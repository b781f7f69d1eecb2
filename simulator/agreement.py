"""Do simulators agree? One program, the same beginning everywhere, every memory and DRAM byte compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from ..config import Config
from ..isa.launch import Launch, Outcome
from ..isa.memories import memory_shape
from ..isa.random_programs import RandomProgram
from ..isa.registers import SEGMENT_ALIGNMENT
from ..isa.shrink import shrink
from ..isa.table import ErrorCode, Memory
from .dram import Dram

__all__ = ["COMPARISON_DRAM_BYTES", "Simulator", "Timed", "compare", "memory_differences", "shrink_and_save"]

COMPARISON_DRAM_BYTES = 1 << 20
_GUARD_BYTES = 256


class Timed(Protocol):
    """What a comparison needs of a simulator without memories."""

    name: str
    config: Config
    dram: Dram

    def run(self, launch: Launch) -> Outcome: ...


class Simulator(Timed, Protocol):
    """What a comparison needs of a simulator."""

    def peek(self, memory: Memory, row: int = 0) -> np.ndarray: ...

    def poke(self, memory: Memory, array: np.ndarray, row: int = 0) -> None: ...


@dataclass(frozen=True)
class _Layout:
    """A comparison's DRAM: `image` at the start; `writable` is false where nothing may change."""

    launch: Launch
    image: np.ndarray
    writable: np.ndarray


def compare(
    program: RandomProgram,
    simulators: Sequence[Simulator],
    *,
    may_fail: bool = False,
    timing: Timed | None = None,
) -> list[str]:
    """Run `program` on every simulator; one line for each difference from the first of them.

    Also a difference: another number of instructions than the others count, a DRAM byte outside all segments that
    changed, and, unless `may_fail`, any end but a good one. After an error memories are not compared: the manual
    leaves open what had run.

    Parameters
    ----------
    simulators
        Of the program's configuration, each with its own DRAM, of one size and base. Everything in them is
        overwritten. ``Dram(size=COMPARISON_DRAM_BYTES)`` is enough for random programs, and quick.
    timing
        The timing model, which has no memories to compare; its DRAM is like the others'.
    """
    first = simulators[0]
    layout = _lay_out(program, first.dram)
    outcomes = [_run(program, layout, simulator) for simulator in simulators]
    differences = list(_miscounted(layout, simulators, outcomes, timing))
    for simulator, outcome in zip(simulators, outcomes, strict=True):
        ending = f"{outcome.error.name} at {outcome.index}"
        if outcome.error is not ErrorCode.NONE and not may_fail:
            differences.append(f"{simulator.name}: ended with {ending}")
        if (outcome.error, outcome.index) != (outcomes[0].error, outcomes[0].index):
            differences.append(f"{simulator.name}: ended with {ending}, not as {first.name}")
        differences += _guards(layout, simulator)
        if simulator is not first and outcome.error is ErrorCode.NONE:
            differences += memory_differences(first, simulator)
    return differences


def _miscounted(
    layout: _Layout, simulators: Sequence[Simulator], outcomes: Sequence[Outcome], timing: Timed | None
) -> Iterator[str]:
    """One line for each who does not count the retired instructions as the first does, in a run that ends well."""
    counted = [(simulator.name, outcome) for simulator, outcome in zip(simulators, outcomes, strict=True)]
    if timing is not None:
        timing.dram.bytes[:] = layout.image
        counted.append((timing.name, timing.run(layout.launch)))
    expected = counted[0][1].counters.get("instructions")
    for name, outcome in counted:
        found = outcome.counters.get("instructions")
        if outcome.error is ErrorCode.NONE and found != expected:
            yield f"{name}: counts {found} instructions, not {expected} as {counted[0][0]}"


def shrink_and_save(
    program: RandomProgram, simulators: Sequence[Simulator], folder: Path, *, timing: Timed | None = None
) -> Path:
    """Make a program on which `simulators` differ small, and save it in `folder`; its path without suffix."""
    small = shrink(program, lambda candidate: bool(compare(candidate, simulators, timing=timing)))
    stem = folder / f"{program.config.name}-{program.config.hash[:8]}-{program.seed}"
    small.save(stem)
    return stem


def _lay_out(program: RandomProgram, dram: Dram) -> _Layout:
    """Program and segments with guard bytes around each."""
    size = len(dram.bytes)
    image = _untouched(size).copy()
    writable = np.zeros(size, dtype=bool)
    text = np.frombuffer(program.encode(), np.uint8)
    starts, position = [], 0
    for data in (text, *program.segments):
        position = -(-(position + _GUARD_BYTES) // SEGMENT_ALIGNMENT) * SEGMENT_ALIGNMENT
        image[position : position + len(data)] = data
        writable[position : position + len(data)] = True
        starts.append(position)
        position += len(data)
    writable[starts[0] : starts[0] + len(text)] = False
    segments = zip(starts[1:], program.segment_sizes, strict=True)
    launch = Launch(
        program=dram.base + starts[0],
        count=len(program.instructions),
        segments=tuple((dram.base + start, length) for start, length in segments),
        race_free=True,
    )
    return _Layout(launch, image, writable)


@cache
def _untouched(size: int) -> np.ndarray:
    """What DRAM holds before anyone writes to it: neighbouring bytes differ."""
    return (np.arange(size) * 37 + 101).astype(np.uint8)


def _run(program: RandomProgram, layout: _Layout, simulator: Simulator) -> Outcome:
    simulator.dram.bytes[:] = layout.image
    for memory, contents in program.memories.items():
        for row, cells in enumerate(contents):
            simulator.poke(memory, cells, row)
    return simulator.run(layout.launch)


def _guards(layout: _Layout, simulator: Simulator) -> Iterator[str]:
    changed = (simulator.dram.bytes != layout.image) & ~layout.writable
    if changed.any():
        yield f"{simulator.name}: DRAM byte {changed.argmax():#x} is outside all segments and was written"


def memory_differences(first: Simulator, other: Simulator) -> Iterator[str]:
    """One line for DRAM and for each on-chip memory in which `other` differs from `first`.

    A simulator with the attribute `readable` can read no other memories than those.
    """
    yield from _difference("DRAM", first.name, other.name, first.dram.bytes, other.dram.bytes)
    for memory in getattr(other, "readable", Memory):
        for row in range(memory_shape(first.config, memory).rows):
            where = f"{memory.name} row {row}"
            yield from _difference(where, first.name, other.name, first.peek(memory, row), other.peek(memory, row))


def _difference(where: str, first: str, other: str, expected: np.ndarray, actual: np.ndarray) -> Iterator[str]:
    if not np.array_equal(expected, actual):
        places = np.argwhere(expected != actual)
        place = tuple(int(i) for i in places[0])
        position = ", ".join(map(str, place))
        yield (
            f"{where} [{position}]: {first} has {expected[place]}, {other} has {actual[place]} "
            f"({len(places)} bytes differ)"
        )
