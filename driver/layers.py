"""What each layer of a program took: cycles from the core's events, bytes from its transfers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..config import Config
from ..isa.columns import field_matrix, opcodes
from ..isa.memories import memory_shape
from ..isa.program import Layer, Program, Run
from ..isa.table import ENGINES, Engine, Memory, Opcode, spec_of
from .activity import Activity, activities_from_counters, bound_of
from .attribution import attribute
from .ownership import instruction_owners
from .session import StepRecord

__all__ = ["LayerReport", "layer_reports", "total_report"]

_Time = tuple[int, Mapping[Engine, Activity]]


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer of one run, or all of them.

    Members
    -------
    cycles
        Those of the run that were this layer's; see :class:`.Attribution`. They add up to the run's. None where the
        device has no time, and for the host.
    ideal_cycles
        The least that multipliers and bus allow a core that does nothing else: MACs over MACs a cycle, or bytes over
        the bus's bytes a cycle in the direction that has more of them, whichever takes longer. A layer may take less,
        where its constants arrived during the layer before. None for the host.
    utilisation
        MACs over those that the multipliers could have done in `cycles`.
    bound
        What `cycles` were mostly spent on; see :func:`.bound_of`. None where `cycles` is, or is 0.
    bytes_read, bytes_written
        Between DRAM and the core, without instructions; read for this layer, whenever that was.
    busy
        Those of `cycles` in which each engine was occupied with this layer, by its name in lower case; empty where that
        is not known.
    """

    name: str
    operator: str
    target: str
    macs: int
    cycles: int | None
    ideal_cycles: int | None
    utilisation: float | None
    bound: str | None
    bytes_read: int
    bytes_written: int
    busy: Mapping[str, int] = field(default_factory=dict)


def layer_reports(program: Program, records: Sequence[StepRecord]) -> list[LayerReport]:
    """A report for each of the program's layers, in its order."""
    times: dict[int, _Time] = {}
    read, written = [0] * len(program.layers), [0] * len(program.layers)
    for record in records:
        if not isinstance(record.step, Run):
            continue
        if record.events is None:
            owners = instruction_owners(program, record.step)
        else:
            attribution = attribute(program, record, program.decoded(record.step))
            owners = attribution.owners
            times |= {
                number: (attribution.cycles(number), attribution.activities(number))
                for number, layer in enumerate(program.layers)
                if layer in record.layers
            }
        raw = program.instructions[record.step.first : record.step.first + record.step.count]
        for opcode, moved in ((Opcode.LOAD, read), (Opcode.STORE, written)):
            where = np.flatnonzero((opcodes(raw) == opcode) & (owners >= 0))
            for owner, nbytes in zip(owners[where].tolist(), _bytes(raw[where], opcode, program.config), strict=True):
                moved[owner] += nbytes
    return [
        _report(program.config, layer, times.get(number), read[number], written[number])
        for number, layer in enumerate(program.layers)
    ]


def _bytes(raw: np.ndarray, opcode: Opcode, config: Config) -> list[int]:
    """What each transfer moves."""
    spec = spec_of(opcode)
    assert spec is not None
    values = field_matrix(raw, spec, ("memory", *(f"bound{d}" for d in range(spec.dims))))
    cell_bytes = np.array([memory_shape(config, memory).cell_bytes for memory in Memory])
    moved: list[int] = (cell_bytes[values[:, 0]] * values[:, 1:].prod(axis=1)).tolist()
    return moved


def _report(config: Config, layer: Layer, time: _Time | None, read: int, written: int) -> LayerReport:
    cycles, activities = (None, {}) if time is None else time
    return LayerReport(
        name=layer.name,
        operator=layer.operator,
        target=layer.target,
        macs=layer.macs,
        cycles=cycles,
        ideal_cycles=_ideal(config, layer.macs, read, written) if layer.target == "accelerator" else None,
        utilisation=_utilisation(config, layer.macs, cycles),
        bound=bound_of(cycles, activities) if cycles else None,
        bytes_read=read,
        bytes_written=written,
        busy=_occupied(activities),
    )


def _ideal(config: Config, macs: int, read: int, written: int) -> int:
    return max(-(-macs // config.macs_per_cycle), -(-max(read, written) // config.bus_bytes))


def _utilisation(config: Config, macs: int, cycles: int | None) -> float | None:
    return macs / (cycles * config.macs_per_cycle) if cycles else None


def _occupied(activities: Mapping[Engine, Activity]) -> dict[str, int]:
    return {engine.name.lower(): each.occupied for engine, each in activities.items()}


def total_report(program: Program, records: Sequence[StepRecord], reports: Sequence[LayerReport]) -> LayerReport:
    """All `reports` in one, its time from the core's counters: known on every device that has those."""
    counted = [record.counters for record in records if "cycles" in record.counters]
    cycles = sum(counters["cycles"] for counters in counted) if counted else None
    core = [report for report in reports if report.target == "accelerator"]
    macs, read, written = (sum(values) for values in zip(*map(_amounts, core), strict=True)) if core else (0, 0, 0)
    parts = [activities for counters in counted if (activities := activities_from_counters(counters))]
    activities = {engine: sum((part[engine] for part in parts), Activity()) for engine in ENGINES} if parts else {}
    return LayerReport(
        name="total",
        operator="",
        target="",
        macs=sum(report.macs for report in reports),
        cycles=cycles,
        ideal_cycles=_ideal(program.config, macs, read, written) if core else None,
        utilisation=_utilisation(program.config, macs, cycles),
        bound=bound_of(cycles, activities) if cycles and activities else None,
        bytes_read=read,
        bytes_written=written,
        busy=_occupied(activities),
    )


def _amounts(report: LayerReport) -> tuple[int, int, int]:
    return report.macs, report.bytes_read, report.bytes_written
