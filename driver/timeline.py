"""A run as a timeline in the Trace Event Format, which the Perfetto UI and Chrome's about:tracing open.

A cycle is shown as a nanosecond. Runs of the core follow one another without the host's time between them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..isa.assembly import disassemble_line
from ..isa.instruction import Instruction
from ..isa.program import Program, Run
from ..isa.table import ENGINES
from .attribution import Attribution, attribute
from .session import StepRecord

__all__ = ["timeline"]

_PROCESS = 1
_LAYERS = 0  # the track above those of the engines
_CYCLES_PER_UNIT = 1000  # the format counts in microseconds
_NOBODY = -1


def timeline(program: Program, records: Sequence[StepRecord]) -> dict[str, Any]:
    """The object to write as JSON: a track for layers, see :class:`.Attribution`, and one for each engine.

    On an engine's track an instruction lasts from its start, or from the retirement of the one before where that is
    later, to its retirement; it bears the name of the layer that it serves, and carries what it is.
    """
    events = list(_tracks(program))
    offset = 0
    for record in records:
        if not isinstance(record.step, Run) or record.events is None:
            continue
        instructions = program.decoded(record.step)
        attribution = attribute(program, record, instructions)
        events += _layers(program, attribution, offset)
        events += _instructions(program, record.step, attribution, instructions, offset)
        offset += record.counters["cycles"]
    about = {"config": program.config.name, "config_hash": program.config.hash, "time": "1 ns is 1 cycle"}
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}


def _tracks(program: Program) -> Iterator[dict[str, Any]]:
    yield _meta("process_name", name=f"core {program.config.name}")
    for track, name in enumerate(["layers", *(engine.name.lower() for engine in ENGINES)]):
        yield _meta("thread_name", track, name=name)
        yield _meta("thread_sort_index", track, sort_index=track)


def _meta(kind: str, track: int = _LAYERS, **args: Any) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": _PROCESS, "tid": track, "args": args}


def _slice(name: str, category: str, track: int, first: int, last: int, args: dict[str, Any]) -> dict[str, Any]:
    times = {"ts": first / _CYCLES_PER_UNIT, "dur": (last - first) / _CYCLES_PER_UNIT}
    return {"name": name, "cat": category, "ph": "X", "pid": _PROCESS, "tid": track, **times, "args": args}


def _layers(program: Program, attribution: Attribution, offset: int) -> Iterator[dict[str, Any]]:
    edges, numbers = attribution.edges + offset, attribution.layers
    firsts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    lasts = [*firsts[1:].tolist(), len(numbers)]
    for first, last in zip(firsts.tolist(), lasts, strict=True):
        if numbers[first] == _NOBODY:
            continue
        layer = program.layers[numbers[first]]
        args = {"operator": layer.operator, "macs": layer.macs}
        yield _slice(layer.name, "layer", _LAYERS, int(edges[first]), int(edges[last]), args)


def _instructions(
    program: Program, run: Run, attribution: Attribution, instructions: Sequence[Instruction], offset: int
) -> Iterator[dict[str, Any]]:
    for engine, work in attribution.work.items():
        for index, begin, end in zip(work.index.tolist(), work.begin.tolist(), work.end.tolist(), strict=True):
            instruction, owner = instructions[index], int(attribution.owners[index])
            kind = instruction.spec.name
            args: dict[str, Any] = {"index": run.first + index, "instruction": disassemble_line(instruction)}
            if owner != _NOBODY:
                args |= {"layer": program.layers[owner].name, "operator": program.layers[owner].operator}
            name = args.get("layer", kind)
            yield _slice(name, kind, 1 + engine, begin + offset, end + offset, args)
