"""The system on a board's pins."""

from typing import Any

from amaranth import ClockDomain, Module
from amaranth.lib.io import Buffer
from amaranth.lib.wiring import Component, connect

from ...config import Config
from ..system_config import SystemConfig
from .clocking import Ecp5Clock
from .sdram_pins import SdramBuffers
from .system import System

__all__ = ["BoardTop"]


class BoardTop(Component):
    """For an amaranth-boards platform: its clock, its serial port, and a lamp that burns while the core runs."""

    def __init__(self, config: Config, system: SystemConfig) -> None:
        self._config, self._system = config, system
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        clock = Buffer("i", platform.request(platform.default_clk, dir="-"))
        serial = platform.request("uart", 0, dir="-")
        rx, tx, lamp = Buffer("i", serial.rx), Buffer("o", serial.tx), Buffer("o", _lamp(platform))
        for name, pin in (("clock_pin", clock), ("rx_pin", rx), ("tx_pin", tx), ("lamp_pin", lamp)):
            m.submodules[name] = pin
        m.submodules.clocking = clocking = Ecp5Clock(
            given_hz=round(platform.default_clk_frequency), wanted_hz=self._system.clock_hz
        )
        m.submodules.system = system = System(self._config, self._system)
        if self._system.sdram is not None:
            m.submodules.sdram_pins = pins = SdramBuffers(platform.request("sdram", 0, dir="-"), self._system.sdram)
            connect(m, system.sdram, pins.controller)
        m.d.comb += [clocking.clock.eq(clock.i), system.rx.eq(rx.i), tx.o.eq(system.tx), lamp.o.eq(system.running)]
        return m


def _lamp(platform: Any) -> Any:
    """The port of the board's first lamp, the green part where it has colours."""
    if ("led", 0) in platform.resources:
        return platform.request("led", 0, dir="-")
    return platform.request("rgb_led", 0, dir="-").g
