"""Walks the on-chip side of a transfer, one bus-sized part of a cell at a time."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.memories import memory_shape, transfer_unit
from ..isa.table import TRANSFER_DIMS, Memory
from .layout import INDEX_BITS
from .nest import NestStart, NestWalker
from .signatures import CellWrite, log2

__all__ = ["CellNest", "CellSteps", "Step", "StepContext"]

OPERANDS = {"mem": 16}


class StepContext(data.StructLayout):
    """What is the same for all cells of an instruction; `row` is LOAD's `row_mask` or STORE's `row`."""

    def __init__(self) -> None:
        super().__init__({"index": INDEX_BITS, "memory": 3, "row": 8})


class CellNest(NestStart):
    """The on-chip nest of a LOAD or STORE."""

    def __init__(self) -> None:
        super().__init__(TRANSFER_DIMS, 16, OPERANDS, StepContext())


class Step(data.StructLayout):
    """The part of a cell that one bus word holds, or the cell where it is smaller.

    Members
    -------
    address, part
        As in :class:`CellWrite`.
    lane
        Its first byte in the bus word.
    beat_end
        Nothing more of this run lies in that bus word.
    last
        The instruction's last.
    context
        See :class:`StepContext`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "address": 16,
                "part": CellWrite(config).members["part"],
                "lane": log2(config.bus_bytes),
                "beat_end": 1,
                "last": 1,
                "context": StepContext(),
            }
        )


class CellSteps(Component):
    """One step a cycle, an instruction's after another's.

    Parameters
    ----------
    memories
        Those that an instruction may name.

    Members
    -------
    nest
        On-chip nests.
    lane
        For each run, in order, where in its first bus word it starts.
    step
        All payload bits are registers.
    """

    def __init__(self, config: Config, memories: tuple[Memory, ...]) -> None:
        self._config, self._memories = config, memories
        super().__init__(
            {
                "nest": In(stream.Signature(CellNest())),
                "lane": In(stream.Signature(log2(config.bus_bytes))),
                "step": Out(stream.Signature(Step(config))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lane_bits = log2(self._config.bus_bytes)
        m.submodules.walker = walker = NestWalker(
            dims=TRANSFER_DIMS, bound_bits=16, operands=OPERANDS, context=StepContext()
        )
        m.d.comb += [
            walker.start.valid.eq(self.nest.valid),
            walker.start.payload.eq(self.nest.payload),
            self.nest.ready.eq(walker.start.ready),
        ]
        point = walker.point
        part = Signal(Step(self._config).members["part"])
        in_run, room, take, part_end, run_end = Signal(), Signal(), Signal(), Signal(), Signal()
        lane_q = Signal(lane_bits, reset_less=True)
        lane, next_lane, unit = Signal(lane_bits), Signal(lane_bits), Signal(lane_bits + 1)
        last_part = Signal.like(part)
        self._shape(m, point.p.context.memory, unit, last_part)
        m.d.comb += [
            lane.eq(Mux(in_run, lane_q, self.lane.payload)),
            next_lane.eq(lane + unit),
            room.eq(~self.step.valid | self.step.ready),
            take.eq(point.valid & (in_run | self.lane.valid) & room),
            part_end.eq(part == last_part),
            run_end.eq(part_end & point.p.end[-1]),
            point.ready.eq(take & part_end),
            self.lane.ready.eq(take & ~in_run),
        ]
        with m.If(room):
            m.d.sync += self.step.valid.eq(take)
        with m.If(take):
            m.d.sync += [in_run.eq(~run_end), lane_q.eq(next_lane), part.eq(Mux(part_end, 0, part + 1))]
        step = Signal(Step(self._config), name="step_q", reset_less=True)
        m.d.comb += self.step.payload.eq(step)
        with m.If(take):
            m.d.sync += [
                step.address.eq(point.p.mem),
                step.part.eq(part),
                step.lane.eq(lane),
                step.beat_end.eq((next_lane == 0) | run_end),
                step.last.eq(point.p.last & part_end),
                step.context.eq(point.p.context),
            ]
        return m

    def _shape(self, m: Module, memory: Any, unit: Signal, last_part: Signal) -> None:
        with m.Switch(memory):
            for each in self._memories:
                unit_bytes = transfer_unit(self._config, each)
                with m.Case(each):
                    m.d.comb += unit.eq(unit_bytes)
                    m.d.comb += last_part.eq(memory_shape(self._config, each).cell_bytes // unit_bytes - 1)
