"""The exported core's ports as data: what the Verilog, the IP-XACT component and the core file share."""

from dataclasses import dataclass

from amaranth.hdl import Shape
from amaranth.lib.wiring import Flow, Signature

from ...config import Config
from ...hw.signatures import Axi4, AxiLite

__all__ = ["CLOCK", "INTERRUPT", "RESET", "TOP", "BusPort", "bus_ports"]

TOP = "tilewright_axi"
CLOCK, RESET, INTERRUPT = "aclk", "aresetn", "irq"


@dataclass(frozen=True, kw_only=True)
class BusPort:
    """One port of a bus interface.

    Members
    -------
    bus
        ``m_axi`` or ``s_axi``.
    signal
        Its name in the AXI specification, in lower case.
    output
        The core drives it.
    """

    bus: str
    signal: str
    width: int
    output: bool

    @property
    def name(self) -> str:
        return f"{self.bus}_{self.signal}"


def bus_ports(config: Config) -> tuple[BusPort, ...]:
    """All ports of both buses; the core is manager of ``m_axi`` and subordinate of ``s_axi``."""
    return (*_flat("m_axi", Axi4(config), Flow.Out), *_flat("s_axi", AxiLite(), Flow.In))


def _flat(bus: str, signature: Signature, outputs: Flow) -> list[BusPort]:
    return [
        BusPort(bus=bus, signal=name, width=Shape.cast(member.shape).width, output=member.flow == outputs)
        for name, member in signature.members.items()
    ]
