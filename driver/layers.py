"""What each layer of a program took: cycles from the core's events, bytes from its transfers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..isa.instruction import Instruction
from ..isa.memories import memory_shape
from ..isa.program import Layer, Program, Run
from ..isa.table import Memory, Opcode
from .session import StepRecord

__all__ = ["LayerReport", "layer_reports"]


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer of one run.

    Members
    -------
    cycles
        From the moment the layer before it retired its last instruction to this layer's last, or to the
        end of the run; they add up to the run's. None where the device has no time, and for the host.
    utilisation
        MACs over those that the multipliers could have done in `cycles`.
    bytes_read, bytes_written
        Between DRAM and the core, without instructions.
    """

    name: str
    operator: str
    target: str
    macs: int
    cycles: int | None
    utilisation: float | None
    bytes_read: int
    bytes_written: int


def layer_reports(program: Program, records: Sequence[StepRecord]) -> list[LayerReport]:
    """A report for each of the program's layers, in its order."""
    cycles = _cycles(program, records)
    return [_report(program, layer, cycles.get(number)) for number, layer in enumerate(program.layers)]


def _report(program: Program, layer: Layer, cycles: int | None) -> LayerReport:
    read = written = 0
    if layer.target == "accelerator":
        run = Run(first=layer.first, count=layer.count)
        for instruction in program.decoded(run):
            if instruction.opcode is Opcode.LOAD:
                read += _bytes(instruction, program.config)
            elif instruction.opcode is Opcode.STORE:
                written += _bytes(instruction, program.config)
    utilisation = layer.macs / (cycles * program.config.macs_per_cycle) if cycles else None
    return LayerReport(
        name=layer.name,
        operator=layer.operator,
        target=layer.target,
        macs=layer.macs,
        cycles=cycles,
        utilisation=utilisation,
        bytes_read=read,
        bytes_written=written,
    )


def _bytes(instruction: Instruction, config: Config) -> int:
    return instruction.nest.points * memory_shape(config, Memory(instruction["memory"])).cell_bytes


def _cycles(program: Program, records: Sequence[StepRecord]) -> dict[int, int]:
    """By layer number; a layer ends when the last of its instructions has retired."""
    cycles: dict[int, int] = {}
    for record in records:
        if not isinstance(record.step, Run) or record.events is None:
            continue
        ends = np.zeros(record.step.count, dtype=np.int64)
        retired = record.events[record.events["retired"] == 1]
        ends[retired["index"]] = retired["cycle"]
        numbers = [number for number, layer in enumerate(program.layers) if layer in record.layers]
        before, total = 0, record.counters["cycles"]
        for number in numbers:
            layer = program.layers[number]
            first = layer.first - record.step.first
            retired_last = int(ends[first : first + layer.count].max(initial=0))
            end = total if number == numbers[-1] else min(max(retired_last, before), total)
            cycles[number] = end - before
            before = end
    return cycles
