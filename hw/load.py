"""The load engine: DRAM to any on-chip memory."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.memories import transfer_unit
from ..isa.table import SEGMENTS, Memory, Opcode
from .layout import INDEX_BITS
from .queue import Queue
from .signatures import CellWrite, ReadPort, SegmentTable, engine_members
from .transfer import Transfer

__all__ = ["LoadEngine"]


class LoadEngine(Component):
    """Asks for bursts as far ahead as the memory port lets it, across instructions, and writes what comes back.

    Members
    -------
    engine members
        See :func:`engine_members`.
    port
        DRAM. Beats are always accepted in the end, whatever tokens do.
    cells
        Writes. What was accepted must be visible to any read request of a later cycle.
    segments
        The fence.
    ahead, ahead_awake
        See :class:`Transfer`.
    """

    def __init__(self, config: Config, *, ahead: str = "sync") -> None:
        self._config, self._ahead = config, ahead
        super().__init__(
            {
                **engine_members(Opcode.LOAD),
                "port": Out(ReadPort(config)),
                "cells": Out(stream.Signature(CellWrite(config))),
                "segments": In(SegmentTable(config, SEGMENTS)),
                "ahead_awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.transfer = transfer = Transfer(self._config, Opcode.LOAD, tuple(Memory), ahead=self._ahead)
        transfer.serve(m, self)
        burst, request = transfer.burst, self.port.request
        m.d.comb += [
            request.valid.eq(burst.valid),
            request.p.address.eq(burst.p.address),
            request.p.beats.eq(burst.p.beats),
            burst.ready.eq(request.ready),
        ]
        self._receive(m, transfer)
        return m

    def _receive(self, m: Module, transfer: Any) -> None:
        """Joins beats with steps; once dead, beats are only swallowed.

        A queue keeps a bank's refusal out of the memory port's timing.
        """
        step, beat, cells = transfer.step, self.port.beat, self.cells
        take, failed, dead = Signal(), Signal(), transfer.dead
        index = Signal(INDEX_BITS, reset_less=True)
        entry = data.StructLayout({"write": CellWrite(self._config), "last": 1})
        m.submodules.writes = writes = Queue(entry, depth=2)
        write, written = writes.input.p.write, writes.output
        m.d.comb += [
            take.eq(step.valid & beat.valid & writes.input.ready & ~dead & ~failed),
            step.ready.eq(take),
            beat.ready.eq(dead | (take & step.p.beat_end)),
            writes.input.valid.eq(take & ~beat.p.error),
            writes.input.p.last.eq(step.p.last),
            write.memory.eq(step.p.context.memory),
            write.row_mask.eq(step.p.context.row),
            write.address.eq(step.p.address),
            write.part.eq(step.p.part),
            write.data.eq(self._aligned(beat.p.data, step.p.lane)),
            cells.valid.eq(written.valid),
            cells.payload.eq(written.p.write),
            written.ready.eq(cells.ready),
            transfer.complete.eq(cells.valid & cells.ready & written.p.last),
            transfer.failed.eq(failed),
            transfer.failed_index.eq(index),
            transfer.moved.eq(take | (cells.valid & cells.ready)),
            transfer.blocked.eq(cells.valid & ~cells.ready),
        ]
        m.d.sync += failed.eq(take & beat.p.error)
        with m.If(take):
            m.d.sync += index.eq(step.p.context.index)

    def _aligned(self, word: Any, lane: Any) -> Any:
        """Cells smaller than the bus come down to bit 0; only as many bits as the largest of them are moved."""
        units = {transfer_unit(self._config, memory) for memory in Memory}
        small = [unit for unit in units if unit < self._config.bus_bytes]
        if not small:
            return word
        moved = 8 * max(small)
        return Cat(word.bit_select(lane << 3, moved), word[moved:])
