"""Reads the program ahead of its execution."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.table import INSTRUCTION_BYTES
from .queue import Queue
from .signatures import ReadPort, log2

__all__ = ["Prefetcher"]

_INSTRUCTIONS_HELD = 8
_WORDS_HELD = 16  # at least: what the bus brings until the room of a word that was taken comes back to it
_INSTRUCTIONS_A_BURST = 2


class Prefetcher(Component):
    """Asks for a burst whenever it has room for all of it, so that its beats never block the bus.

    Members
    -------
    start
        A pulse; `base` (a multiple of 64) and `count` say which instructions.
    stop
        While 1 nothing more is asked, and what still comes is swallowed.
    idle
        Nothing asked is on its way, and nothing is held.
    port
        DRAM.
    beat
        The program's bus words and whether the bus reported an error.
    awake
        Something here may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        beats = INSTRUCTION_BYTES // config.bus_bytes
        self._burst = min(config.burst_beats, _INSTRUCTIONS_A_BURST * beats)
        self._depth = max(_INSTRUCTIONS_HELD * beats, _WORDS_HELD)
        self._beat = data.StructLayout({"data": config.bus_bits, "error": 1})
        super().__init__(
            {
                "start": In(1),
                "base": In(config.address_bits),
                "count": In(32),
                "stop": In(1),
                "idle": Out(1),
                "port": Out(ReadPort(config)),
                "beat": Out(stream.Signature(self._beat)),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lane_bits = log2(self._config.bus_bytes)
        # One beat less than the queue's depth: its output register may be empty while the rest is full.
        m.submodules.held = held = Queue(self._beat, depth=self._depth + 1, block_memory=True)
        room = Signal(range(self._depth + 1), init=self._depth)
        word = Signal(self._config.address_bits - lane_bits, reset_less=True)
        left = Signal(32 + log2(INSTRUCTION_BYTES) - lane_bits)
        to_boundary, beats = Signal(range(self._burst + 1)), Signal(range(self._burst + 1), reset_less=True)
        step, final = Signal(range(self._burst + 1), reset_less=True), Signal(reset_less=True)
        offered, some, ask, taken = Signal(), Signal(), Signal(), Signal()
        request, beat = self.port.request, self.port.beat
        m.d.comb += [
            to_boundary.eq(self._burst - (word[: log2(self._burst)] if self._burst > 1 else 0)),
            request.valid.eq(offered & ~self.stop),
            request.p.address.eq(word << lane_bits),
            request.p.beats.eq((beats - 1)[: len(beats)]),
            ask.eq(request.valid & request.ready),
            held.input.valid.eq(beat.valid),
            held.input.p.data.eq(beat.p.data),
            held.input.p.error.eq(beat.p.error),
            beat.ready.eq(held.input.ready),
            self.beat.valid.eq(held.output.valid & ~self.stop),
            self.beat.payload.eq(held.output.payload),
            held.output.ready.eq(self.beat.ready | self.stop),
            taken.eq(held.output.valid & held.output.ready),
            some.eq(left.any() & (room >= self._burst) & ~self.stop),
            self.idle.eq(room == self._depth),
            self.awake.eq(held.awake | self.start | some | offered | (self.stop & left.any())),
        ]
        # A burst is measured in one cycle and asked for from the next one on.
        with m.If(~offered):
            m.d.sync += [offered.eq(some), final.eq(left <= to_boundary), step.eq(to_boundary)]
            m.d.sync += beats.eq(Mux(left <= to_boundary, left, to_boundary))
        with m.Elif(ask | self.stop):
            m.d.sync += offered.eq(0)
        m.d.sync += room.eq(Mux(ask, room - beats, room) + taken)
        with m.If(self.start):
            m.d.sync += [word.eq(self.base >> lane_bits), left.eq(self.count << (log2(INSTRUCTION_BYTES) - lane_bits))]
        with m.Elif(self.stop):
            m.d.sync += left.eq(0)
        with m.Elif(ask):
            m.d.sync += [word.eq(word + step), left.eq(Mux(final, 0, left - step))]
        return m
