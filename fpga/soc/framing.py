"""Bytes between flags: the hardware's side of ``driver/frames.py``."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ...driver.frames import ESCAPE, ESCAPED, FLAG

__all__ = ["Deframer", "Framer"]


class Deframer(Component):
    """Takes escapes away and finds the flags.

    Members
    -------
    input
        The line's bytes.
    output
        A frame's bytes, each for one cycle.
    flag
        A pulse at each flag: the frame before it, if there was one, has ended, and another may begin.
    """

    def __init__(self) -> None:
        byte = stream.Signature(8, always_ready=True)
        super().__init__({"input": In(byte), "output": Out(byte), "flag": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        escaped = Signal()
        m.d.sync += [self.output.valid.eq(0), self.flag.eq(0)]
        with m.If(self.input.valid):
            byte = self.input.payload
            with m.If(byte == FLAG):
                m.d.sync += [self.flag.eq(1), escaped.eq(0)]
            with m.Elif(byte == ESCAPE):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.sync += [
                    self.output.valid.eq(1),
                    self.output.payload.eq(byte ^ Mux(escaped, ESCAPED, 0)),
                    escaped.eq(0),
                ]
        return m


class Framer(Component):
    """Puts flags around frames, and escapes into them.

    Members
    -------
    input
        A frame's bytes; `last` goes with its last one.
    output
        Bytes for the line.
    """

    def __init__(self) -> None:
        byte = data.StructLayout({"byte": 8, "last": 1})
        super().__init__({"input": In(stream.Signature(byte)), "output": Out(stream.Signature(8))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        byte, special = self.input.p.byte, Signal()
        m.d.comb += special.eq((byte == FLAG) | (byte == ESCAPE))
        after = Signal()
        m.d.comb += after.eq(self.output.ready & self.input.valid)
        with m.FSM():
            with m.State("BETWEEN"):
                m.d.comb += [self.output.valid.eq(self.input.valid), self.output.payload.eq(FLAG)]
                with m.If(after):
                    m.next = "BYTE"
            with m.State("BYTE"):
                m.d.comb += [
                    self.output.valid.eq(self.input.valid),
                    self.output.payload.eq(Mux(special, ESCAPE, byte)),
                    self.input.ready.eq(self.output.ready & ~special),
                ]
                with m.If(after & special):
                    m.next = "ESCAPED"
                with m.Elif(after & self.input.p.last):
                    m.next = "END"
            with m.State("ESCAPED"):
                m.d.comb += [
                    self.output.valid.eq(1),
                    self.output.payload.eq(byte ^ ESCAPED),
                    self.input.ready.eq(self.output.ready),
                ]
                with m.If(self.output.ready):
                    m.next = "BYTE"
                    with m.If(self.input.p.last):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.output.valid.eq(1), self.output.payload.eq(FLAG)]
                with m.If(self.output.ready):
                    m.next = "BETWEEN"
        return m
