"""A serial line of 8 bits, no parity, one stop bit."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import stream
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, In, Out

__all__ = ["UartReceiver", "UartTransmitter"]

_PHASE_BITS = 16
_FRAME_BITS = 10
_SLOWEST = 4  # clock cycles of a bit, at least, for its middle to be found


def _step(clock_hz: int, baud: int) -> int:
    """What a phase of _PHASE_BITS gains in a cycle, so that it overflows once a bit."""
    assert clock_hz >= _SLOWEST * baud
    return round(baud / clock_hz * (1 << _PHASE_BITS))


class UartTransmitter(Component):
    """Sends bytes.

    Members
    -------
    input
        The bytes.
    line
        The wire; 1 while idle.
    """

    def __init__(self, *, clock_hz: int, baud: int) -> None:
        self._step = _step(clock_hz, baud)
        super().__init__({"input": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shifter = Signal(_FRAME_BITS - 1, reset_less=True)
        left = Signal(range(_FRAME_BITS + 1))
        phase = Signal(_PHASE_BITS, reset_less=True)
        advanced = Signal(_PHASE_BITS + 1)
        m.d.comb += [advanced.eq(phase + self._step), self.input.ready.eq(left == 0)]
        with m.If(left != 0):
            m.d.sync += phase.eq(advanced)
            with m.If(advanced[-1]):
                m.d.sync += [Cat(self.line, shifter).eq(Cat(shifter, Const(1, 1))), left.eq(left - 1)]
        with m.Elif(self.input.valid):
            m.d.sync += [
                self.line.eq(0),
                shifter.eq(Cat(self.input.payload, 1)),
                left.eq(_FRAME_BITS),
                phase.eq(0),
            ]
        return m


class UartReceiver(Component):
    """Receives bytes; one whose stop bit is not 1 is dropped.

    Members
    -------
    line
        The wire, not synchronised.
    output
        Each byte, for one cycle.
    """

    def __init__(self, *, clock_hz: int, baud: int) -> None:
        self._step = _step(clock_hz, baud)
        super().__init__({"line": In(1, init=1), "output": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line, before = Signal(init=1), Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.line, line, init=1)
        bits = Signal(_FRAME_BITS, reset_less=True)
        left = Signal(range(_FRAME_BITS + 1))
        phase = Signal(_PHASE_BITS, reset_less=True)
        advanced = Signal(_PHASE_BITS + 1)
        m.d.comb += advanced.eq(phase + self._step)
        m.d.sync += [before.eq(line), self.output.valid.eq(0)]
        with m.If(left == 0):
            with m.If(before & ~line):
                m.d.sync += [left.eq(_FRAME_BITS), phase.eq(1 << (_PHASE_BITS - 1))]
        with m.Else():
            m.d.sync += phase.eq(advanced)
            with m.If(advanced[-1]):
                m.d.sync += [bits.eq(Cat(bits[1:], line)), left.eq(left - 1)]
                with m.If((left == _FRAME_BITS) & line):
                    m.d.sync += left.eq(0)  # a glitch, no start bit
                with m.If(left == 1):
                    m.d.sync += [self.output.valid.eq(line), self.output.payload.eq(bits[2:])]
        return m
