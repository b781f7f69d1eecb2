"""Answers: header, payload from the buffer, CRC."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import Component, In, Out

from ...driver.frames import CRC_BYTES, HEADER_BYTES, PAYLOAD_BYTES
from ...hw.signatures import log2
from .frame_receiver import Header

__all__ = ["FrameSender"]


class FrameSender(Component):
    """Sends one frame at a time.

    Members
    -------
    start
        Begin, while not `busy`; `header` must then stay as it is.
    payload
        Bytes to send from the buffer.
    read_address, read_data
        The buffer; the data follow a cycle later.
    output
        A framer's input.
    """

    def __init__(self, *, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "header": In(Header()),
                "payload": In(range(PAYLOAD_BYTES + 1)),
                "read_address": Out(range(PAYLOAD_BYTES // word_bytes)),
                "read_data": In(8 * word_bytes),
                "output": Out(stream.Signature(data.StructLayout({"byte": 8, "last": 1}))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = catalog.CRC32_ISO_HDLC(data_width=8).create()
        count = Signal(range(max(PAYLOAD_BYTES, HEADER_BYTES) + 1))
        output, summed = self.output, Signal()
        before_end, ends = Signal.like(self.payload), Signal()  # known well before the byte they are about
        word = Signal.like(self.read_data, reset_less=True)
        m.d.comb += [
            crc.data.eq(output.p.byte),
            crc.valid.eq(output.valid & output.ready & summed),
            crc.start.eq(self.start & ~self.busy),
            self.read_address.eq(count[log2(self._word_bytes) :]),
        ]
        m.d.sync += [before_end.eq(self.payload - 1), ends.eq(count == before_end)]
        with m.If(output.ready):
            m.d.sync += output.valid.eq(0)

        def send(byte: Any, *, last: Any = 0, of_body: bool = True) -> None:
            """Into the output's register, which is free."""
            m.d.sync += [output.valid.eq(1), output.p.byte.eq(byte), output.p.last.eq(last), summed.eq(of_body)]
            m.d.sync += count.eq(count + 1)

        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += count.eq(0)
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"), m.If(~output.valid):
                send(self.header.as_value().word_select(count[: log2(HEADER_BYTES)], 8))
                with m.If(count == HEADER_BYTES - 1):
                    m.d.sync += count.eq(0)
                    m.next = "SUM"
                    with m.If(self.payload != 0):
                        m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "KEEP"
            with m.State("KEEP"):
                m.d.sync += word.eq(self.read_data)
                m.next = "PAYLOAD"
            with m.State("PAYLOAD"), m.If(~output.valid):
                send(word.word_select(count[: log2(self._word_bytes)], 8))
                m.next = "FETCH"
                with m.If(ends):
                    m.d.sync += count.eq(0)
                    m.next = "SUM"
            with m.State("SUM"), m.If(~output.valid):
                m.next = "CRC"
            with m.State("CRC"), m.If(~output.valid):
                last = count == CRC_BYTES - 1
                send(crc.crc.word_select(count[: log2(CRC_BYTES)], 8), last=last, of_body=False)
                with m.If(last):
                    m.next = "IDLE"
        return m
