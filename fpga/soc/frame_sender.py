"""Answers: header, payload from the buffer, CRC."""

from typing import Any

from amaranth import Module, Mux, Signal
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
        chosen, valid = Signal(8), Signal()
        output, moves = self.output, Signal()
        m.d.comb += [
            output.p.byte.eq(chosen),
            output.valid.eq(valid),
            moves.eq(valid & output.ready),
            crc.data.eq(chosen),
            crc.start.eq(self.start & ~self.busy),
            self.read_address.eq(count[log2(self._word_bytes) :]),
        ]
        with m.If(moves):
            m.d.sync += count.eq(count + 1)
        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += count.eq(0)
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    valid.eq(1),
                    crc.valid.eq(moves),
                    chosen.eq(self.header.as_value().word_select(count[: log2(HEADER_BYTES)], 8)),
                ]
                with m.If(moves & (count == HEADER_BYTES - 1)):
                    m.d.sync += count.eq(0)
                    m.next = "CRC"
                    with m.If(self.payload != 0):
                        m.next = "FETCH"
            self._payload(m, count, chosen, valid, moves, crc)
            with m.State("CRC"):
                m.d.comb += [
                    valid.eq(1),
                    chosen.eq(crc.crc.word_select(count[: log2(CRC_BYTES)], 8)),
                    output.p.last.eq(count == CRC_BYTES - 1),
                ]
                with m.If(moves & output.p.last):
                    m.next = "IDLE"
        return m

    def _payload(self, m: Module, count: Signal, chosen: Signal, valid: Signal, moves: Signal, crc: Any) -> None:
        """A byte, then a cycle for the buffer to show the next one."""
        lane = count[: log2(self._word_bytes)]
        with m.State("FETCH"):
            m.next = "PAYLOAD"
        with m.State("PAYLOAD"):
            m.d.comb += [valid.eq(1), crc.valid.eq(moves), chosen.eq(self.read_data.word_select(lane, 8))]
            with m.If(moves):
                last = count == self.payload - 1
                m.d.sync += count.eq(Mux(last, 0, count + 1))
                m.next = "FETCH"
                with m.If(last):
                    m.next = "CRC"
