"""The core with the port names, clock and reset that FPGA vendors' tools recognise as AXI."""

from typing import Any

from amaranth import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib.wiring import Component, In, Out

from ...config import Config
from ...hw.core import Core
from ...hw.verilog import to_verilog
from .ports import CLOCK, INTERRUPT, RESET, TOP, bus_ports

__all__ = ["AxiTop", "export_verilog"]


class AxiTop(Component):
    """The accelerator between ``m_axi_*`` (AXI4 manager) and ``s_axi_*`` (AXI4-Lite subordinate).

    Members
    -------
    aclk, aresetn
        Clock of both buses, and a reset synchronous to it, active low.
    irq
        As the core's.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        members = {port.name: (Out if port.output else In)(port.width) for port in bus_ports(config)}
        super().__init__({CLOCK: In(1), RESET: In(1), INTERRUPT: Out(1), **members})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.core = core = Core(self._config)
        m.d.comb += [
            ClockSignal().eq(getattr(self, CLOCK)),
            ResetSignal().eq(~getattr(self, RESET)),
            getattr(self, INTERRUPT).eq(core.irq),
        ]
        for port in bus_ports(self._config):
            outer, inner = getattr(self, port.name), getattr(getattr(core, port.bus), port.signal)
            m.d.comb += outer.eq(inner) if port.output else inner.eq(outer)
        return m


def export_verilog(config: Config) -> str:
    """Verilog of :class:`AxiTop`."""
    return to_verilog(AxiTop(config), name=TOP)
