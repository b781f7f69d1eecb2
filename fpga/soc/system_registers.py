"""Registers that tell the host what surrounds the core."""

from typing import Any

from amaranth import Module
from amaranth.lib.wiring import Component, In, Out

from ...driver.frames import System

__all__ = ["SystemRegisters"]


class SystemRegisters(Component):
    """Constants, by the addresses of :class:`System`; others read as 0.

    Members
    -------
    address
        In bytes, within the page.
    value
        What is there, in the same cycle.
    """

    def __init__(self, values: dict[System, int]) -> None:
        self._values = values
        super().__init__({"address": In(12), "value": Out(32)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        with m.Switch(self.address):
            for place, value in self._values.items():
                with m.Case(place):
                    m.d.comb += self.value.eq(value)
        return m
