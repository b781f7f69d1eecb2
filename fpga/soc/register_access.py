"""Single accesses to AXI4-Lite registers."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from ...hw.signatures import AxiLite

__all__ = ["RegisterAccess"]


class RegisterAccess(Component):
    """Turns a pulse into one access.

    Members
    -------
    start, write, address, data
        Begin an access; the others must stay until it has ended.
    done
        A pulse at its end; `failed` and, of a read, `value` are then there, and last.
    bus
        The registers.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1), "write": In(1), "address": In(12), "data": In(32),
                "done": Out(1), "failed": Out(1), "value": Out(32),
                "bus": Out(AxiLite()),
            }
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bus = self.bus
        m.d.comb += [
            bus.awaddr.eq(self.address),
            bus.araddr.eq(self.address),
            bus.wdata.eq(self.data),
            bus.wstrb.eq(0xF),
            bus.rready.eq(1),
            bus.bready.eq(1),
        ]
        for channel in ("aw", "w", "ar"):
            valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
            with m.If(ready):
                m.d.sync += valid.eq(0)
            with m.If(self.start & (self.write if channel != "ar" else ~self.write)):
                m.d.sync += valid.eq(1)
        answered = Signal()
        m.d.comb += answered.eq(bus.rvalid | bus.bvalid)
        m.d.sync += self.done.eq(answered)
        with m.If(bus.rvalid):
            m.d.sync += [self.value.eq(bus.rdata), self.failed.eq(bus.rresp[1])]
        with m.If(bus.bvalid):
            m.d.sync += [self.value.eq(0), self.failed.eq(bus.bresp[1])]
        return m
