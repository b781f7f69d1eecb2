"""Walks the DRAM side of a transfer, run by run."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.memories import memory_shape, transfer_unit
from ..isa.table import SEGMENTS, TRANSFER_DIMS, Memory, Opcode
from .bursts import Run
from .layout import INDEX_BITS, queued
from .nest import NestWalker
from .signatures import log2

__all__ = ["RunWalker"]

_LOOPS = TRANSFER_DIMS - 1


class RunWalker(Component):
    """One run a cycle, an instruction's after another's.

    Parameters
    ----------
    opcode
        LOAD or STORE.
    memories
        Those that `opcode` may name.

    Members
    -------
    instruction
        Never a SYNC.
    run
        The runs of loops 0..2.
    awake
        Something that shows may change at the next edge.
    """

    def __init__(self, config: Config, opcode: Opcode, memories: tuple[Memory, ...]) -> None:
        self._config, self._memories = config, memories
        super().__init__(
            {
                "instruction": In(stream.Signature(queued(opcode))),
                "run": Out(stream.Signature(Run(config))),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        run = Run(self._config)
        context = data.StructLayout(
            {
                "index": INDEX_BITS,
                "segment": range(SEGMENTS),
                "size": run.members["size"],
                "unit_mask": run.members["unit_mask"],
            }
        )
        m.submodules.walker = walker = NestWalker(dims=_LOOPS, bound_bits=16, operands={"offset": 32}, context=context)
        word, start = self.instruction.p.word, walker.start
        m.d.comb += [
            start.valid.eq(self.instruction.valid),
            self.instruction.ready.eq(start.ready),
            start.p.offset_base.eq(word.offset),
            start.p.context.index.eq(self.instruction.p.index),
            start.p.context.segment.eq(word.segment),
        ]
        for d in range(_LOOPS):
            m.d.comb += [start.p.bound[d].eq(word[f"bound{d}"]), start.p.single[d].eq(self.instruction.p.single[d])]
            m.d.comb += start.p.offset_stride[d].eq(word[f"dram_stride{d}"])
        self._measure(m, word, start.p.context)
        point = walker.point
        m.d.comb += [
            self.run.valid.eq(point.valid),
            point.ready.eq(self.run.ready),
            self.run.p.offset.eq(point.p.offset),
            self.run.p.last.eq(point.p.last),
            self.awake.eq(walker.awake),
        ]
        for name in context.members:
            m.d.comb += self.run.p[name].eq(point.p.context[name])
        return m

    def _measure(self, m: Module, word: Any, context: Any) -> None:
        cells = Signal(16)
        m.d.comb += cells.eq(word[f"bound{TRANSFER_DIMS - 1}"])
        with m.Switch(word.memory):
            for memory in self._memories:
                with m.Case(memory):
                    m.d.comb += context.size.eq(cells << log2(memory_shape(self._config, memory).cell_bytes))
                    m.d.comb += context.unit_mask.eq(transfer_unit(self._config, memory) - 1)
