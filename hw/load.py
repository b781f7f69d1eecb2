"""The load engine: DRAM to any on-chip memory."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.memories import transfer_unit
from ..isa.table import SEGMENTS, ErrorCode, Memory, Opcode
from .layout import INDEX_BITS
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
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                **engine_members(Opcode.LOAD),
                "port": Out(ReadPort(config)),
                "cells": Out(stream.Signature(CellWrite(config))),
                "segments": In(SegmentTable(config, SEGMENTS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.transfer = transfer = Transfer(self._config, Opcode.LOAD, tuple(Memory))
        for name in ("instruction", "tokens", "segments"):
            connect(m, getattr(transfer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index"):
            m.d.comb += getattr(self, name).eq(getattr(transfer, name))
        stopped, dead = Signal(), Signal()
        m.d.sync += stopped.eq(stopped | self.fault.valid)
        m.d.comb += [dead.eq(stopped | self.halt), transfer.halt.eq(dead)]
        burst, request = transfer.burst, self.port.request
        m.d.comb += [
            request.valid.eq(burst.valid),
            request.p.address.eq(burst.p.address),
            request.p.beats.eq(burst.p.beats),
            burst.ready.eq(request.ready),
        ]
        take = self._receive(m, transfer, dead)
        self._report(m, transfer, take)
        return m

    def _receive(self, m: Module, transfer: Any, dead: Signal) -> Signal:
        """Joins beats with steps; once dead, beats are only swallowed."""
        step, beat, cells = transfer.step, self.port.beat, self.cells
        room, take, failed = Signal(), Signal(), Signal()
        last = Signal(reset_less=True)
        index = Signal(INDEX_BITS, reset_less=True)
        m.d.comb += [
            room.eq(~cells.valid | cells.ready),
            take.eq(step.valid & beat.valid & room & ~dead & ~failed),
            step.ready.eq(take),
            beat.ready.eq(dead | (take & step.p.beat_end)),
            transfer.complete.eq(cells.valid & cells.ready & last),
        ]
        with m.If(room):
            m.d.sync += cells.valid.eq(take & ~beat.p.error)
        write = Signal(CellWrite(self._config), name="write_q", reset_less=True)
        m.d.comb += cells.payload.eq(write)
        m.d.sync += failed.eq(take & beat.p.error)
        with m.If(take):
            m.d.sync += [
                last.eq(step.p.last),
                index.eq(step.p.context.index),
                write.memory.eq(step.p.context.memory),
                write.row_mask.eq(step.p.context.row),
                write.address.eq(step.p.address),
                write.part.eq(step.p.part),
                write.data.eq(self._aligned(beat.p.data, step.p.lane)),
            ]
        with m.If(failed):
            m.d.comb += [self.fault.valid.eq(~dead), self.fault.code.eq(ErrorCode.BUS_READ), self.fault.index.eq(index)]
        with m.Else():
            m.d.comb += [
                self.fault.valid.eq(transfer.fault.valid & ~dead),
                self.fault.code.eq(transfer.fault.code),
                self.fault.index.eq(transfer.fault.index),
            ]
        return take

    def _aligned(self, word: Any, lane: Any) -> Any:
        """Cells smaller than the bus come down to bit 0; only as many bits as the largest of them are moved."""
        units = {transfer_unit(self._config, memory) for memory in Memory}
        small = [unit for unit in units if unit < self._config.bus_bytes]
        if not small:
            return word
        moved = 8 * max(small)
        return Cat(word.bit_select(lane << 3, moved), word[moved:])

    def _report(self, m: Module, transfer: Any, take: Signal) -> None:
        activity, cells, request = self.activity, self.cells, self.port.request
        asked, blocked = Signal(), Signal()
        m.d.comb += [
            asked.eq(request.valid & request.ready),
            blocked.eq(cells.valid & ~cells.ready),
        ]
        m.d.sync += [
            activity.busy.eq(self.pending | self.instruction.valid),
            activity.bank.eq(blocked),
            activity.memory.eq(transfer.moving & ~take & ~blocked),
            activity.token.eq(transfer.waiting & ~transfer.moving),
            activity.progress.eq(take | asked | self.started | self.retired | (cells.valid & cells.ready)),
        ]
