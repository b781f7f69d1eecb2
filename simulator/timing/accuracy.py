"""How near the timing model is to the Verilog: the same programs on both, cycle for cycle."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np

from ...config import Config
from ...errors import DeviceError
from ...isa.launch import Launch
from ...isa.program import Program, Run
from ...isa.random_programs import RandomProgram, random_program
from ...isa.table import INSTRUCTION_BYTES, ErrorCode
from ..agreement import COMPARISON_DRAM_BYTES
from ..cycle import CycleSimulator
from ..dram import Dram
from .device import events_of
from .model import DEFAULT_LATENCY, Timing, TimingModel

__all__ = ["Comparison", "Distribution", "compare_program", "compare_random", "distribution", "require_accuracy"]

MEAN_LIMIT = 0.005
WORST_LIMIT = 0.02
_REPEATS = 5
_POINTS = (40, 160, 400, 1000)
_SIZES = (24, 24, 60)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One program.

    Members
    -------
    cycles, modelled
        The Verilog's, and the model's.
    instructions_off
        Instructions that start or retire in another cycle.
    counters_off
        Names of the counters that differ.
    seconds, modelled_seconds
        CPU time of the two runs; of the model's, which are short, the least of five.
    """

    name: str
    cycles: int
    modelled: int
    instructions_off: int
    counters_off: tuple[str, ...]
    seconds: float
    modelled_seconds: float

    @property
    def error(self) -> float:
        """Of the cycles, relative to the Verilog's."""
        return (self.modelled - self.cycles) / self.cycles

    @property
    def exact(self) -> bool:
        """Every cycle, every instruction and every counter."""
        return self.modelled == self.cycles and not self.instructions_off and not self.counters_off


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Of several comparisons: how many are exact in everything, mean and worst absolute relative error of the cycles,
    and CPU seconds of the Verilog over those of the model."""

    programs: int
    cycles: int
    exact: int
    mean: float
    worst: float
    speed: float


def distribution(comparisons: Sequence[Comparison]) -> Distribution:
    """Of at least one comparison."""
    errors = [abs(each.error) for each in comparisons]
    return Distribution(
        programs=len(comparisons),
        cycles=sum(each.cycles for each in comparisons),
        exact=sum(each.exact for each in comparisons),
        mean=sum(errors) / len(errors),
        worst=max(errors),
        speed=sum(each.seconds for each in comparisons) / sum(each.modelled_seconds for each in comparisons),
    )


def require_accuracy(comparisons: Sequence[Comparison]) -> None:
    """Raise DeviceError where the mean error is above MEAN_LIMIT, or one above WORST_LIMIT; it names the worst."""
    worst = max(comparisons, key=lambda each: abs(each.error))
    mean = distribution(comparisons).mean
    if mean > MEAN_LIMIT or abs(worst.error) > WORST_LIMIT:
        raise DeviceError(
            f"the timing model must be within {MEAN_LIMIT:.1%} on the mean and {WORST_LIMIT:.1%} at worst, "
            f"not {mean:.2%} and {abs(worst.error):.2%} ({worst.name})"
        )


class _Pair:
    """Both simulators of one configuration, on one DRAM."""

    def __init__(self, config: Config, *, latency: int, dram: Dram) -> None:
        self.dram = dram
        self._rtl = CycleSimulator(config, dram=dram, latency=latency, trace=True)
        self._model = TimingModel(config, latency=latency)

    def close(self) -> None:
        self._rtl.close()

    def run(self, launch: Launch, instructions: np.ndarray, name: str) -> Comparison:
        """Raises DeviceError where one of them does not come to a good end."""
        timing, modelled_seconds = self._time(launch, instructions)
        _require_end(timing.error, name, "timing model")
        begun = process_time()
        outcome = self._rtl.run(launch)
        seconds = process_time() - begun
        _require_end(outcome.error, name, "Verilog")
        seen, foreseen = self._rtl.events(), events_of(instructions, timing)
        off = _places(seen, len(instructions)) != _places(foreseen, len(instructions))
        return Comparison(
            name=name,
            cycles=outcome.counters["cycles"],
            modelled=timing.cycles,
            instructions_off=int(off.any(axis=0).sum()),
            counters_off=tuple(k for k, v in outcome.counters.items() if timing.counters[k] != v),
            seconds=seconds,
            modelled_seconds=modelled_seconds,
        )

    def _time(self, launch: Launch, instructions: np.ndarray) -> tuple[Timing, float]:
        timing = self._model.time(instructions, address=launch.program, segments=launch.segments, trace=True)
        seconds = []
        for _ in range(_REPEATS):
            begun = process_time()
            self._model.time(instructions, address=launch.program, segments=launch.segments)
            seconds.append(process_time() - begun)
        return timing, min(seconds)


def _require_end(error: ErrorCode, name: str, where: str) -> None:
    if error is not ErrorCode.NONE:
        raise DeviceError(f"program {name} must end well, and ends with {error.name} in the {where}")


def _places(events: np.ndarray, count: int) -> np.ndarray:
    """int64, shape (2, count): when each instruction started and retired."""
    places = np.zeros((2, count), np.int64)
    places[events["retired"], events["index"]] = events["cycle"]
    return places


def compare_random(config: Config, seeds: Iterable[int], *, latency: int = DEFAULT_LATENCY) -> Iterator[Comparison]:
    """Random programs of 24 and 60 instructions with nests of up to 1,000 points, one for each seed."""
    pair = _Pair(config, latency=latency, dram=Dram(size=COMPARISON_DRAM_BYTES))
    try:
        for seed in seeds:
            program = random_program(config, seed, points=_POINTS[seed % len(_POINTS)], size=_SIZES[seed % len(_SIZES)])
            yield _compare_one(pair, program)
    finally:
        pair.close()


def _compare_one(pair: _Pair, program: RandomProgram) -> Comparison:
    pair.dram.release_all()
    segments = []
    for content in program.segments:
        address = pair.dram.allocate(len(content))
        pair.dram.view(address, len(content))[:] = content
        segments.append((address, len(content)))
    instructions = np.frombuffer(program.encode(), np.uint8).reshape(-1, INSTRUCTION_BYTES)
    code = pair.dram.allocate(instructions.size)
    pair.dram.view(code, instructions.size)[:] = instructions.reshape(-1)
    launch = Launch(program=code, count=len(instructions), segments=tuple(segments))
    return pair.run(launch, instructions, f"{program.config.name}, seed {program.seed}")


def compare_program(program: Program, name: str, *, latency: int = DEFAULT_LATENCY) -> list[Comparison]:
    """Every run of the core in a compiled program, on data that are all zero: they do not change the time."""
    pair = _Pair(program.config, latency=latency, dram=Dram())
    try:
        segments = tuple((pair.dram.allocate(segment.size), segment.size) for segment in program.segments)
        code = pair.dram.allocate(program.instructions.size)
        pair.dram.view(code, program.instructions.size)[:] = program.instructions.reshape(-1)
        comparisons = []
        for step in program.steps:
            if isinstance(step, Run):
                launch = Launch(code + INSTRUCTION_BYTES * step.first, step.count, segments)
                instructions = program.instructions[step.first : step.first + step.count]
                comparisons.append(pair.run(launch, instructions, name))
        return comparisons
    finally:
        pair.close()
