"""The store engine: ACT or ACC to DRAM."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.memories import STORABLE, transfer_unit
from ..isa.table import SEGMENTS, Opcode
from .layout import INDEX_BITS
from .packer import Packer
from .port import WRITES_OUTSTANDING
from .queue import Queue
from .signatures import READ_LATENCY, BurstRequest, CellReadPort, SegmentTable, WritePort, engine_members
from .transfer import Transfer

__all__ = ["StoreEngine"]

_BURSTS_DECIDED = 2
_BURSTS_UNANSWERED = WRITES_OUTSTANDING + 2 * _BURSTS_DECIDED  # more than there can be


class StoreEngine(Component):
    """Reads cells into bus words, and asks for a burst once all of its words are there.

    Reading goes on, into the next instructions too, while earlier bursts are written and answered.

    Members
    -------
    engine members
        See :func:`engine_members`.
    cells
        Reads of ACT and ACC.
    port
        DRAM.
    segments
        The fence.
    ahead, ahead_awake
        See :class:`Transfer`.
    """

    def __init__(self, config: Config, *, ahead: str = "sync") -> None:
        self._config, self._ahead = config, ahead
        self._depth = max(2 * config.burst_beats, 8)
        super().__init__(
            {
                **engine_members(Opcode.STORE),
                "cells": Out(CellReadPort(config)),
                "port": Out(WritePort(config)),
                "segments": In(SegmentTable(config, SEGMENTS)),
                "ahead_awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        beat = data.StructLayout({"data": config.bus_bits, "strobe": config.bus_bytes})
        units = sorted({transfer_unit(config, memory) for memory in STORABLE})
        m.submodules.transfer = transfer = Transfer(config, Opcode.STORE, STORABLE, ahead=self._ahead)
        m.submodules.packer = packer = Packer(bus_bytes=config.bus_bytes, units=units)
        m.submodules.words = words = Queue(beat, depth=self._depth, block_memory=True)
        transfer.serve(m, self)
        m.d.comb += [words.input.valid.eq(packer.word.valid), words.input.payload.eq(packer.word.payload)]
        connect(m, words.output, flipped(self.port.beat))
        read = self._read(m, transfer, packer.piece, units)
        self._write(m, transfer, packer.piece.valid & packer.piece.p.end)
        beat, cells = self.port.beat, self.cells.request
        m.d.comb += [
            transfer.moved.eq(read | (beat.valid & beat.ready) | self.port.done),
            transfer.blocked.eq(cells.valid & ~cells.ready),
        ]
        return m

    def _read(self, m: Module, transfer: Any, piece: Any, units: list[int]) -> Signal:
        """Reads only what the word queue is sure to have room for; the answer meets its place READ_LATENCY later."""
        request, beat, step = self.cells.request, self.port.beat, transfer.step
        room = Signal(range(self._depth), init=self._depth - 1)
        fresh = Signal(init=1)
        begins, sent = Signal(), Signal()
        take = Signal()
        m.d.comb += [
            request.valid.eq(step.valid & (~fresh | room.any()) & ~transfer.dead),
            request.p.memory.eq(step.p.context.memory),
            request.p.row.eq(step.p.context.row),
            request.p.address.eq(step.p.address),
            request.p.part.eq(step.p.part),
            take.eq(request.valid & request.ready),
            step.ready.eq(take),
            begins.eq(take & fresh),
            sent.eq(beat.valid & beat.ready),
        ]
        # What comes late in the cycle only chooses between sums.
        with m.If(begins & ~sent):
            m.d.sync += room.eq(room - 1)
        with m.Elif(sent & ~begins):
            m.d.sync += room.eq(room + 1)
        with m.If(take):
            m.d.sync += fresh.eq(step.p.beat_end)
        place = data.StructLayout({name: piece.payload.shape().members[name] for name in ("lane", "unit", "end")})
        asked = Signal(place, name="place_asked")
        m.d.comb += [asked.lane.eq(step.p.lane), asked.end.eq(step.p.beat_end)]
        with m.Switch(step.p.context.memory):
            for memory in STORABLE:
                with m.Case(memory):
                    m.d.comb += asked.unit.eq(units.index(transfer_unit(self._config, memory)))
        for stage in range(READ_LATENCY):
            following = Signal(place, name=f"place_{stage}", reset_less=True)
            m.d.sync += following.eq(asked)
            asked = following
        m.d.comb += [piece.valid.eq(self.cells.valid), piece.p.data.eq(self.cells.data)]
        m.d.comb += [piece.p[name].eq(asked[name]) for name in place.members]
        return take

    def _write(self, m: Module, transfer: Any, packed: Any) -> None:
        """Issues bursts whose words are all there when the port asks for them, and counts the answers.

        A word is counted as soon as it is complete, a cycle before it is in the queue, and decided on is a burst a
        cycle before it is asked for.
        """
        ticket = data.StructLayout({"index": INDEX_BITS, "last": 1})
        m.submodules.requests = requests = Queue(BurstRequest(self._config), depth=_BURSTS_DECIDED)
        m.submodules.unanswered = unanswered = Queue(ticket, depth=_BURSTS_UNANSWERED)
        available = Signal(range(self._depth + 1))
        head, decided = transfer.burst, Signal()
        difference = head.p.beats - available
        lacking = Signal(difference.shape())  # wider, it would be made of its own sign: to Verilator a loop
        connect(m, requests.output, flipped(self.port.request))
        m.d.comb += [
            lacking.eq(difference),
            requests.input.valid.eq(head.valid & (lacking < 0)),
            requests.input.p.address.eq(head.p.address),
            requests.input.p.beats.eq(head.p.beats),
            decided.eq(requests.input.valid & requests.input.ready),
            head.ready.eq(decided),
            unanswered.input.valid.eq(decided),
            unanswered.input.p.index.eq(head.p.index),
            unanswered.input.p.last.eq(head.p.last),
            unanswered.output.ready.eq(self.port.done),
        ]
        m.d.sync += available.eq(Mux(decided, available + packed - (head.p.beats + 1), available + packed))
        m.d.comb += [
            transfer.failed.eq(self.port.done & self.port.error),
            transfer.failed_index.eq(unanswered.output.p.index),
            transfer.complete.eq(self.port.done & ~self.port.error & unanswered.output.p.last & ~transfer.dead),
        ]
