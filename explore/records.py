"""A program's runs by the timing model, as if a device had made them."""

from collections.abc import Sequence

from ..driver.session import StepRecord, layers_of_step
from ..isa.program import Program
from ..simulator.timing.device import events_of
from ..simulator.timing.model import DEFAULT_LATENCY, TimingModel
from ..simulator.timing.program import time_program

__all__ = ["timed_records"]


def timed_records(
    program: Program, *, latency: int = DEFAULT_LATENCY, model: TimingModel | None = None
) -> Sequence[StepRecord]:
    """Records of the core's runs by the timing model, which needs no inputs; parameters as of `time_program`."""
    timings = {timed.run: timed.timing for timed in time_program(program, latency=latency, trace=True, model=model)}
    records = []
    for number, step in enumerate(program.steps):
        layers = layers_of_step(program, number)
        if step in timings:
            timing = timings[step]
            events = events_of(program.instructions[step.first : step.first + step.count], timing)
            records.append(StepRecord(step, layers, 0.0, timing.counters, events))
    return records
