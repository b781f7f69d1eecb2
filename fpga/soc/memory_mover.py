"""Words between the link's buffer and the system's memory."""

from typing import Any

from amaranth import Const, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from ...driver.frames import PAYLOAD_BYTES
from ...hw.signatures import log2
from .frame_receiver import BufferWrite
from .memory_bus import MemoryBus

__all__ = ["MemoryMover"]


class MemoryMover(Component):
    """Copies whole words, one way or the other.

    Members
    -------
    start, write, address, words
        Begin to copy `words` (at least 1) words from the buffer's start to word `address` of the memory (`write`), or
        from there to the buffer's start. All but `start` must stay until the end.
    head, tail
        Bytes to leave as they are: the lowest of the first word and the highest of the last.
    done
        A pulse at the end.
    read_address, read_data, buffer
        The buffer; `read_data` follows a cycle after its address.
    memory
        The memory.
    """

    def __init__(self, *, address_bits: int, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        words = PAYLOAD_BYTES // word_bytes
        super().__init__(
            {
                "start": In(1), "write": In(1), "address": In(address_bits), "words": In(range(words + 1)),
                "head": In(8), "tail": In(8), "done": Out(1),
                "read_address": Out(range(words)), "read_data": In(8 * word_bytes),
                "buffer": Out(BufferWrite(word_bytes)),
                "memory": Out(MemoryBus(address_bits=address_bits, word_bytes=word_bytes)),
            }
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        asked, answered = Signal.like(self.words), Signal.like(self.words)
        command, sent, final = self.memory.command, Signal(), Signal()
        address, strobe = Signal.like(self.address, name="address_q"), Signal(self._word_bytes)
        # What depends on `asked` is found out while the word is fetched.
        m.d.sync += [
            address.eq(self.address + asked),
            final.eq(asked == self.words - 1),
            strobe.eq(self._strobe(m, asked)),
        ]
        m.d.comb += [
            sent.eq(command.valid & command.ready),
            command.p.address.eq(address),
            command.p.write.eq(self.write),
            command.p.data.eq(self.read_data),
            command.p.strobe.eq(strobe),
            self.read_address.eq(asked),
            self.buffer.enable.eq(self.memory.answered.replicate(self._word_bytes)),
            self.buffer.address.eq(answered),
            self.buffer.data.eq(self.memory.answer),
        ]
        with m.If(sent):
            m.d.sync += asked.eq(asked + 1)
        with m.If(self.memory.answered):
            m.d.sync += answered.eq(answered + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [asked.eq(0), answered.eq(0)]
                with m.If(self.start):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += command.valid.eq(1)
                with m.If(sent):
                    m.next = "FETCH"
                    with m.If(final):
                        m.next = "END"
            with m.State("END"):
                with m.If(self.write | (answered == self.words)):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m

    def _strobe(self, m: Module, place: Signal) -> Any:
        bits = self._word_bytes
        head, tail = Signal(bits, name="head_strobe"), Signal(bits, name="tail_strobe")
        lanes, every = log2(bits), Const((1 << bits) - 1, bits)
        m.d.comb += [
            head.eq(Mux(place == 0, every << self.head[:lanes], every)),
            tail.eq(Mux(place == self.words - 1, every >> self.tail[:lanes], every)),
        ]
        return head & tail
