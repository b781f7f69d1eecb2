"""The whole system on the chip: accelerator, memory and host link."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped

from ...config import Config
from ...hw.core import GATED, Core
from ...hw.signatures import log2
from ...isa.registers import Control, register
from ..system_config import SystemConfig
from .arbiter import MemoryArbiter
from .axi_memory import AxiMemory
from .block_memory import BlockMemory
from .link import HostLink
from .sdram import SdramController, SdramPins
from .uart import UartReceiver, UartTransmitter
from .whole_words import WholeWords

__all__ = ["System"]


class System(Component):
    """Core, memory and host link on one clock.

    Members
    -------
    rx, tx
        The host's serial line: `rx` comes from the host, and is not synchronised.
    running
        Between a start of the core and its interrupt, for a lamp.
    sdram
        Where the memory is SDRAM, its pins (see :class:`SdramPins`).
    clocks, awake
        With `gated_clocks`, as those of :class:`Core`: for simulators.
    """

    def __init__(self, config: Config, system: SystemConfig, *, gated_clocks: bool = False) -> None:
        self._config, self._system, self._gated = config, system, gated_clocks
        lines = Signature({name: Out(1) for name in GATED})
        gating = {"clocks": In(lines), "awake": Out(lines)} if gated_clocks else {}
        chip = {"sdram": Out(SdramPins(system.sdram))} if system.sdram else {}
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "running": Out(1), **gating, **chip})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, system = self._config, self._system
        words, word_bytes = system.memory_bytes // config.bus_bytes, config.bus_bytes
        m.submodules.core = core = Core(config, gated_clocks=self._gated)
        m.submodules.link = link = HostLink(
            base=system.memory_base, size=system.memory_bytes, word_bytes=word_bytes, clock_hz=system.clock_hz
        )
        m.submodules.axi = axi = AxiMemory(config, base=system.memory_base, size=system.memory_bytes)
        m.submodules.arbiter = arbiter = MemoryArbiter(address_bits=log2(words), word_bytes=word_bytes)
        m.submodules.memory = memory = self._memory(m)
        m.submodules.receiver = receiver = UartReceiver(clock_hz=system.clock_hz, baud=system.baud)
        m.submodules.transmitter = transmitter = UartTransmitter(clock_hz=system.clock_hz, baud=system.baud)
        connect(m, receiver.output, link.received)
        connect(m, link.sent, transmitter.input)
        connect(m, link.registers, core.s_axi)
        connect(m, core.m_axi, axi.axi)
        connect(m, link.memory, arbiter.first)
        connect(m, axi.memory, arbiter.second)
        connect(m, arbiter.memory, memory.bus)
        m.d.comb += [receiver.line.eq(self.rx), self.tx.eq(transmitter.line)]
        self._lamp(m, core, link)
        if self._gated:
            connect(m, flipped(self.clocks), core.clocks)
            connect(m, core.awake, flipped(self.awake))
        return m

    def _memory(self, m: Module) -> Any:
        system, word_bytes = self._system, self._config.bus_bytes
        if system.sdram is None:
            return BlockMemory(words=system.memory_bytes // word_bytes, word_bytes=word_bytes)
        controller = SdramController(system.sdram, clock_hz=system.clock_hz, word_bytes=word_bytes)
        connect(m, controller.pins, flipped(self.sdram))
        if system.sdram.masks:
            return controller
        words = system.memory_bytes // word_bytes
        m.submodules.controller = controller
        whole = WholeWords(address_bits=log2(words), word_bytes=word_bytes)
        connect(m, whole.memory, controller.bus)
        return whole

    def _lamp(self, m: Module, core: Core, link: HostLink) -> None:
        bus, control, before = link.registers, Signal(), Signal()
        m.d.comb += control.eq(bus.wvalid & bus.wready & (bus.awaddr == register("CONTROL")))
        m.d.sync += before.eq(core.irq)
        with m.If(core.irq & ~before):
            m.d.sync += self.running.eq(0)
        with m.If(control):
            m.d.sync += self.running.eq((bus.wdata & Control.START).any())
