"""What each engine of the core did when, from the moments at which instructions started and retired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..isa.instruction import Instruction
from ..isa.table import ENGINES, Engine, Opcode

__all__ = ["PRIORITY", "Activity", "EngineWork", "activities_from_counters", "bound_of", "engine_work"]

PRIORITY = (Engine.GEMM, Engine.VECTOR, Engine.LOAD, Engine.STORE)
_AS_LONG = 0.95
_PIPELINE = 24  # cycles from a lone VECTOR's start to its retirement, beside its points


@dataclass(frozen=True)
class Activity:
    """What an engine did in some stretch of time; all in cycles.

    Members
    -------
    work
        It worked on instructions; of a transfer, its waits for DRAM included.
    bank
        It had one to work on, and on-chip banks or results on their way held it up.
    """

    work: int = 0
    bank: int = 0

    @property
    def occupied(self) -> int:
        return self.work + self.bank

    def __add__(self, other: "Activity") -> "Activity":
        return Activity(self.work + other.work, self.bank + other.bank)


@dataclass(frozen=True)
class EngineWork:
    """An engine's instructions in its order, none overlapping the next.

    Members
    -------
    index
        Of the instruction in its run, int64.
    begin, end
        In cycles from the launch, int64: `end` is its retirement; `begin` its start, or the retirement of the one
        before where that is later, since an engine takes the next instruction in while it finishes one.
    held
        The share of these cycles that its points do not account for (VECTOR only), float64.
    """

    index: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    held: np.ndarray

    def at(self, cycles: np.ndarray) -> np.ndarray:
        """The place in `index` of the instruction that it worked on in each of `cycles`; -1 for none."""
        place = np.searchsorted(self.begin, cycles, side="right") - 1
        inside = (place >= 0) & (cycles < self.end[place]) if len(self.end) else np.zeros(len(cycles), dtype=bool)
        return np.where(inside, place, -1)


def engine_work(instructions: Sequence[Instruction], events: np.ndarray, config: Config) -> dict[Engine, EngineWork]:
    """The work of each engine in one run.

    Parameters
    ----------
    instructions
        Those of the run.
    events
        Of the run; see ``device.Traced``.
    """
    started, retired = (np.zeros(len(instructions), dtype=np.int64) for _ in range(2))
    for times, kind in ((started, 0), (retired, 1)):
        chosen = events[events["retired"] == kind]
        times[chosen["index"]] = chosen["cycle"]
    found = {}
    for engine in ENGINES:
        index = np.array([n for n, each in enumerate(instructions) if each.engine is engine], dtype=np.int64)
        end = retired[index]
        before = np.concatenate([[0], end[:-1]])[: len(end)]
        begin = np.maximum(started[index], before)
        held = np.zeros(len(index))
        if engine is Engine.VECTOR:
            needed = np.array([_vector_cycles(instructions[n], config) for n in index], dtype=np.int64)
            excess = end - begin - needed - np.where(started[index] > before, _PIPELINE, 0)
            held = np.maximum(excess, 0) / np.maximum(end - begin, 1)
        found[engine] = EngineWork(index, begin, end, held)
    return found


def _vector_cycles(instruction: Instruction, config: Config) -> int:
    if instruction.opcode is not Opcode.VECTOR:
        return 0
    return instruction.nest.points * (config.block_out // config.vector_lanes)


def activities_from_counters(counters: Mapping[str, int]) -> dict[Engine, Activity]:
    """What each engine did in a whole run by the core's counters; empty where they lack it."""
    found = {}
    for engine in ENGINES:
        name = engine.name.lower()
        if f"{name}_busy" not in counters:
            return {}
        busy, token, bank = (counters[f"{name}_{what}"] for what in ("busy", "token", "bank"))
        found[engine] = Activity(max(busy - token - bank, 0), bank)
    return found


def bound_of(cycles: int, activities: Mapping[Engine, Activity]) -> str:
    """What bound a stretch of `cycles`: ``gemm``, ``vector``, ``load``, ``store``, ``bank`` or ``token``.

    The engine that was occupied longest decides; of those within a twentieth of it, gemm comes before vector, load and
    store. The stretch's cycles are of three kinds: the engine worked; it was held up by on-chip banks (``bank``); or it
    had nothing that it could begin with, since engines waited for each other's tokens or for instructions (``token``).
    The most frequent kind is the answer; the first of them is called by the engine's name.
    """
    most = max(activity.occupied for activity in activities.values())
    engine = next(each for each in PRIORITY if activities[each].occupied >= _AS_LONG * most)
    decisive = activities[engine]
    kinds = {engine.name.lower(): decisive.work, "bank": decisive.bank, "token": cycles - decisive.occupied}
    return max(kinds, key=lambda kind: kinds[kind])
