"""The system's memory in block RAM, for boards and networks that need no other."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import memory
from amaranth.lib.wiring import Component, In

from ...hw.signatures import log2
from .memory_bus import MemoryBus

__all__ = ["BlockMemory"]


class BlockMemory(Component):
    """A command a cycle; answers come three cycles later: those memories are many, and far from one another.

    Parameters
    ----------
    words
        A power of two.

    Members
    -------
    bus
        The words from address 0 on.
    """

    def __init__(self, *, words: int, word_bytes: int) -> None:
        self._words, self._word_bytes = words, word_bytes
        super().__init__({"bus": In(MemoryBus(address_bits=log2(words), word_bytes=word_bytes))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=8 * self._word_bytes, depth=self._words, init=[])
        write, read = cells.write_port(granularity=8), cells.read_port()
        command = self.bus.command
        given = Signal(command.payload.shape(), reset_less=True)
        reads, asked = Signal(), Signal()
        enable = Signal.like(write.en)
        m.d.sync += [
            given.eq(command.payload),
            reads.eq(command.valid & ~command.p.write),
            enable.eq(Mux(command.valid & command.p.write, command.p.strobe, 0)),
        ]
        m.d.comb += [
            command.ready.eq(1),
            write.addr.eq(given.address),
            write.data.eq(given.data),
            write.en.eq(enable),
            read.addr.eq(given.address),
            read.en.eq(reads),
        ]
        answer = Signal.like(self.bus.answer, name="answer_q", reset_less=True)
        m.d.sync += [asked.eq(read.en), self.bus.answered.eq(asked), answer.eq(read.data)]
        m.d.comb += self.bus.answer.eq(answer)
        return m
