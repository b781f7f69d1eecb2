"""Times of compiled programs."""

from dataclasses import dataclass

from ...errors import DeviceError
from ...isa.program import Program, Run
from ...isa.table import ErrorCode
from ..dram import Dram
from .model import DEFAULT_LATENCY, Timing, TimingModel

__all__ = ["RunTiming", "time_program"]


@dataclass(frozen=True)
class RunTiming:
    """One of a program's runs of the core, and what it takes."""

    run: Run
    timing: Timing


def time_program(
    program: Program, *, latency: int = DEFAULT_LATENCY, trace: bool = False, model: TimingModel | None = None
) -> tuple[RunTiming, ...]:
    """What each of the program's runs takes, its memory placed as a session places it in a fresh DRAM.

    Parameters
    ----------
    model
        Of the program's configuration, with its own latency; a new one by default.

    Raises
    ------
    DeviceError
        A run does not end; the message names the error and the instruction.
    """
    chosen = TimingModel(program.config, latency=latency) if model is None else model
    dram = Dram()
    segments = tuple((dram.allocate(segment.size), segment.size) for segment in program.segments)
    code = dram.allocate(program.instructions.size)
    timings = []
    for step in program.steps:
        if not isinstance(step, Run):
            continue
        instructions = program.instructions[step.first : step.first + step.count]
        address = code + instructions.shape[1] * step.first
        timing = chosen.time(instructions, address=address, segments=segments, trace=trace)
        if timing.error is not ErrorCode.NONE:
            raise DeviceError(
                f"the program must run without error, but stops with {timing.error.name} "
                f"at instruction {step.first + timing.index}"
            )
        timings.append(RunTiming(step, timing))
    return tuple(timings)
