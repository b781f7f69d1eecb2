"""Bytes of a word in a memory that writes whole words only."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from .memory_bus import MemoryBus

__all__ = ["WholeWords"]


class WholeWords(Component):
    """Reads the word of which only some bytes are to be written, and writes it whole; all else passes.

    Parameters
    ----------
    reads
        Most reads of the user without an answer.

    Members
    -------
    bus
        The user's.
    memory
        It never sees a strobe that is not all ones.
    """

    def __init__(self, *, address_bits: int, word_bytes: int, reads: int = 16) -> None:
        self._word_bytes, self._reads = word_bytes, reads
        bus = MemoryBus(address_bits=address_bits, word_bytes=word_bytes)
        super().__init__({"bus": In(bus), "memory": Out(bus)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        user, memory = self.bus.command, self.memory.command
        partial = user.p.write & ~user.p.strobe.all()
        asked, waiting = Signal(), Signal(range(self._reads + 1))
        word = Signal(8 * self._word_bytes, reset_less=True)
        m.d.sync += waiting.eq(waiting + asked - self.bus.answered)
        m.d.comb += [memory.payload.eq(user.payload), self.bus.answer.eq(self.memory.answer)]
        with m.FSM():
            with m.State("PASS"):
                m.d.comb += [
                    memory.valid.eq(user.valid & ~partial),
                    user.ready.eq(memory.ready & ~partial),
                    asked.eq(memory.valid & memory.ready & ~user.p.write),
                    self.bus.answered.eq(self.memory.answered),
                ]
                with m.If(user.valid & partial & (waiting == 0)):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += [memory.valid.eq(1), memory.p.write.eq(0)]
                with m.If(memory.ready):
                    m.next = "MERGE"
            with m.State("MERGE"), m.If(self.memory.answered):
                old, new, strobe = self.memory.answer, user.p.data, user.p.strobe
                lanes = ((old.word_select(n, 8), new.word_select(n, 8), strobe[n]) for n in range(self._word_bytes))
                m.d.sync += word.eq(Cat(Mux(written, after, before) for before, after, written in lanes))
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [
                    memory.valid.eq(1),
                    memory.p.data.eq(word),
                    memory.p.strobe.eq(~0),
                    user.ready.eq(memory.ready),
                ]
                with m.If(memory.ready):
                    m.next = "PASS"
        return m
