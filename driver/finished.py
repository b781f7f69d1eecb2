"""What was finished when a run of a program was interrupted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..isa.program import Layer, Program, Run, Tensor
from ..isa.tokens import engines_of
from ..isa.until import ended_after
from .session import Session, StepRecord

__all__ = ["Finished", "finished"]


@dataclass(frozen=True)
class Finished:
    """The layers that were done.

    Members
    -------
    program
        Up to the last of them; None where not even the first was done.
    records
        Of that program's steps, as :attr:`.Session.records`; the last run's counters are its cycles alone.
    results
        What they computed, by name, as far as DRAM still holds it.
    instructions, total
        Instructions carried out, and those of all runs.
    cycles
        Taken so far; 0 where the device has no time.
    """

    program: Program | None
    records: tuple[StepRecord, ...]
    results: dict[str, np.ndarray]
    instructions: int
    total: int
    cycles: int


def finished(session: Session) -> Finished:
    """What `session` had finished when Ctrl-C ended its run; its device must still be open."""
    program, cut = session.program, session.interrupted
    runs = [step for step in program.steps if isinstance(step, Run)]
    done = sum(record.step.count - 1 for record in session.records if isinstance(record.step, Run))
    over = {layer for record in session.records for layer in record.layers}
    records = session.records
    if cut is not None:
        done += cut.counters.get("instructions", 0)
        over |= set(_layers_done(program, cut))
    count = next((n for n, layer in enumerate(program.layers) if layer not in over), len(program.layers))
    ended = ended_after(program, count - 1) if count else None
    if ended is not None and cut is not None and len(ended.steps) > len(records):
        records = [*records, _cut_short(cut, ended.steps[-1])]
    results = dict(_results(session, program.layers, count))
    took = [*session.records, *([] if cut is None else [cut])]
    cycles = sum(record.counters.get("cycles", 0) for record in took)
    return Finished(ended, tuple(records), results, done, sum(run.count - 1 for run in runs), cycles)


def _layers_done(program: Program, cut: StepRecord) -> Iterator[Layer]:
    """Those of which every instruction had retired, where the device knows that."""
    assert isinstance(cut.step, Run)
    retired = np.zeros(cut.step.count, bool)
    if cut.events is not None:
        retired[cut.events["index"][cut.events["retired"] == 1]] = True
    if cut.unfinished is not None:
        engines = engines_of(program.instructions[cut.step.first : cut.step.first + cut.step.count])
        for engine, oldest in cut.unfinished.items():
            retired[:oldest] |= engines[:oldest] == engine
    for layer in cut.layers:
        first = layer.first - cut.step.first
        if retired[first : min(first + layer.count, cut.step.count - 1)].all():
            yield layer


def _cut_short(cut: StepRecord, step: object) -> StepRecord:
    """As if the run had ended with the last instruction of `step`."""
    assert isinstance(step, Run)
    layers = tuple(layer for layer in cut.layers if layer.first < step.first + step.count - 1)
    if cut.events is None:
        return StepRecord(step, layers, cut.seconds)
    events = cut.events[cut.events["index"] < step.count - 1]
    return StepRecord(step, layers, cut.seconds, {"cycles": int(events["cycle"].max(initial=0))}, events)


def _results(session: Session, layers: Sequence[Layer], count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Results of the first `count` layers in places that no later layer writes to."""
    buffers = {buffer.name: buffer for buffer in session.program.buffers}

    def spread(tensor: Tensor) -> tuple[int | str, int, int] | None:
        if tensor.resident is not None:
            return None
        buffer = buffers[tensor.buffer]
        space = buffer.name if buffer.segment is None else buffer.segment
        return space, buffer.offset, buffer.offset + buffer.size

    taken: list[tuple[int | str, int, int]] = []
    for number in range(len(layers) - 1, -1, -1):
        places = [(tensor, place) for tensor in layers[number].results if (place := spread(tensor)) is not None]
        if number < count:
            for tensor, (space, first, end) in places:
                if not any(other == space and first < stop and start < end for other, start, stop in taken):
                    yield tensor.name, session.fetch(tensor)
        taken += [place for _, place in places]
