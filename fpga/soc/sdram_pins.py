"""An SDRAM chip's pins on an FPGA: a register on each, and the clock inverted."""

from typing import Any

from amaranth import Cat, Module
from amaranth.lib.io import DDRBuffer, FFBuffer
from amaranth.lib.wiring import Component, In

from ..sdram_chip import SdramChip
from .sdram import SdramPins

__all__ = ["SdramBuffers"]


class SdramBuffers(Component):
    """The chip sees everything half a clock after it left, and its data are there half a clock before they are taken.

    Parameters
    ----------
    port
        The board's SDRAM as amaranth-boards has it, not yet buffered.

    Members
    -------
    controller
        What to connect the controller to.
    """

    def __init__(self, port: Any, chip: SdramChip) -> None:
        self._port, self._chip = port, chip
        super().__init__({"controller": In(SdramPins(chip))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        port, controller = self._port, self.controller
        m.submodules.clock = clock = DDRBuffer("o", port.clk)
        m.d.comb += clock.o.eq(Cat(0, 1))
        always = {name: 1 for name in ("clk_en", "cs") if hasattr(port, name)}
        driven = {"ras": controller.ras, "cas": controller.cas, "we": controller.we}
        driven |= {"dqm": controller.mask} if self._chip.masks else {}
        for name, value in {**always, **driven, "ba": controller.bank, "a": controller.address}.items():
            m.submodules[name] = pin = FFBuffer("o", getattr(port, name))
            m.d.comb += pin.o.eq(value)
        m.submodules.dq = dq = FFBuffer("io", port.dq)
        m.d.comb += [dq.o.eq(controller.output), dq.oe.eq(controller.drive), controller.input.eq(dq.i)]
        return m
