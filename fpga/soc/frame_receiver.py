"""Requests as they arrive: header to registers, payload to a buffer, and whether they are whole."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import Component, In, Out, Signature

from ...driver.frames import CRC_BYTES, HEADER_BYTES, PAYLOAD_BYTES, Kind
from ...hw.signatures import log2

__all__ = ["BufferWrite", "FrameReceiver", "Header"]


class Header(data.StructLayout):
    """The header of a frame, in its order on the line."""

    def __init__(self) -> None:
        super().__init__({"kind": 8, "sequence": 8, "length": 16, "session": 32, "address": 32, "value": 32})
        assert self.size == 8 * HEADER_BYTES


class BufferWrite(Signature):
    """Bytes of one word of the payload's buffer."""

    def __init__(self, word_bytes: int) -> None:
        words = PAYLOAD_BYTES // word_bytes
        super().__init__({"enable": Out(word_bytes), "address": Out(range(words)), "data": Out(8 * word_bytes)})


class FrameReceiver(Component):
    """Takes in one request after the other.

    Members
    -------
    input, flag
        A deframer's output.
    listen
        While 0, what arrives is lost, and so is what was on its way.
    buffer
        Where the payload of WRITE_MEMORY goes.
    arrived
        A pulse when a frame has ended; `header` then lasts until the next one begins.
    intact
        It is whole, its CRC fits, and its payload is as long as its header says.
    """

    def __init__(self, *, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        super().__init__(
            {
                "input": In(stream.Signature(8, always_ready=True)),
                "flag": In(1),
                "listen": In(1),
                "buffer": Out(BufferWrite(word_bytes)),
                "arrived": Out(1),
                "intact": Out(1),
                "header": Out(Header()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = catalog.CRC32_ISO_HDLC(data_width=8).create()
        longest = HEADER_BYTES + PAYLOAD_BYTES + CRC_BYTES
        count, inside, expected = Signal(range(longest + 2)), Signal(), Signal(range(1 << 17))
        taken, fits = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.input.valid & inside & self.listen),
            crc.data.eq(self.input.payload),
            crc.valid.eq(taken),
            crc.start.eq(self.flag),
        ]
        is_write = self.header.kind == Kind.WRITE_MEMORY
        # Bytes come many cycles apart, so what is known of one before the next comes may take some of them.
        m.d.sync += expected.eq(HEADER_BYTES + CRC_BYTES + Mux(is_write, self.header.length, 0))
        m.d.sync += [fits.eq(count == expected), self.arrived.eq(0), self.intact.eq(crc.match_detected & fits)]
        with m.If(taken):
            with m.If(count <= longest):
                m.d.sync += count.eq(count + 1)
            with m.If(count < HEADER_BYTES):
                shifted = Cat(self.header.as_value()[8:], self.input.payload)
                m.d.sync += self.header.as_value().eq(shifted)
        with m.If(~self.listen):
            m.d.sync += [inside.eq(0), count.eq(0)]
        with m.Elif(self.flag):
            m.d.sync += [inside.eq(1), count.eq(0), self.arrived.eq(inside & (count != 0))]
        self._store(m, taken & is_write, count)
        return m

    def _store(self, m: Module, taken: Any, count: Signal) -> None:
        """Payload bytes by their lanes; the CRC behind the longest payload is left out."""
        lanes = log2(self._word_bytes)
        place = Signal(range(2 * PAYLOAD_BYTES))
        m.d.comb += [
            place.eq(count - HEADER_BYTES),
            self.buffer.data.eq(self.input.payload.replicate(self._word_bytes)),
            self.buffer.address.eq(place[lanes:]),
        ]
        with m.If(taken & (count >= HEADER_BYTES) & (count < HEADER_BYTES + PAYLOAD_BYTES)):
            m.d.comb += self.buffer.enable.eq(1 << place[:lanes])
