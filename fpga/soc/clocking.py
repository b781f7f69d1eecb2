"""The system's clock from the board's, by an ECP5's phase-locked loop."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth import ClockSignal, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Component, In

from ...errors import ConfigError

__all__ = ["Ecp5Clock", "PllDividers"]

# ECP5 and ECP5-5G Family Data Sheet (FPGA-DS-02012), sysCLOCK PLL timing, in Hz.
_VCO = (400e6, 800e6)
_PHASE_DETECTOR = (3.125e6, 400e6)
_OUTPUT = (3.125e6, 400e6)
_INPUT_DIVIDERS, _FEEDBACK_DIVIDERS, _OUTPUT_DIVIDERS = range(1, 129), range(1, 81), range(1, 129)


@dataclass(frozen=True)
class PllDividers:
    """How a loop makes one frequency from another: output = input / `input` × `feedback`."""

    input: int
    feedback: int
    output: int

    @classmethod
    def between(cls, given_hz: int, wanted_hz: int) -> "PllDividers":
        """Dividers that make exactly `wanted_hz`, the oscillator as near the middle of its range as can be.

        Raises
        ------
        ConfigError
            There are none.
        """
        found = list(_dividers(given_hz, wanted_hz))
        if not found:
            offered = [mhz for mhz in range(4, 401) if any(_dividers(given_hz, mhz * 1_000_000))]
            nearest = min(offered, key=lambda mhz: abs(mhz - wanted_hz / 1e6))
            raise ConfigError(
                f"clock must be a frequency that an ECP5's PLL makes of {given_hz / 1e6:g} MHz, not "
                f"{wanted_hz / 1e6:.9g} MHz: take {nearest} MHz"
            )
        return min(found, key=lambda each: (abs(wanted_hz * each.output - sum(_VCO) / 2), each.input))


def _dividers(given_hz: int, wanted_hz: int) -> Iterator[PllDividers]:
    """All that keep every part of the loop within its limits."""
    if not _OUTPUT[0] <= wanted_hz <= _OUTPUT[1]:
        return
    outputs = [output for output in _OUTPUT_DIVIDERS if _VCO[0] <= wanted_hz * output <= _VCO[1]]
    for by in _INPUT_DIVIDERS:
        feedback, left = divmod(wanted_hz * by, given_hz)
        if _PHASE_DETECTOR[0] <= given_hz / by <= _PHASE_DETECTOR[1] and not left and feedback in _FEEDBACK_DIVIDERS:
            yield from (PllDividers(by, feedback, output) for output in outputs)


class Ecp5Clock(Component):
    """Drives the domain ``sync``, which stays in reset until its clock is steady.

    Members
    -------
    clock
        The board's clock.
    """

    def __init__(self, *, given_hz: int, wanted_hz: int) -> None:
        self._given, self._wanted = given_hz, wanted_hz
        self._dividers = PllDividers.between(given_hz, wanted_hz)
        super().__init__({"clock": In(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        made, locked = ClockSignal(), Signal()
        dividers = self._dividers
        off = dict.fromkeys(("PLLRST_ENA", "INTFB_WAKE", "STDBY_ENABLE", "DPHASE_SOURCE"), "DISABLED")
        m.submodules.pll = Instance(
            "EHXPLLL",
            ("a", "FREQUENCY_PIN_CLKI", f"{self._given / 1e6:g}"),
            ("a", "FREQUENCY_PIN_CLKOP", f"{self._wanted / 1e6:g}"),
            ("a", "ICP_CURRENT", "12"),
            ("a", "LPF_RESISTOR", "8"),
            *(("p", name, value) for name, value in off.items()),
            ("p", "OUTDIVIDER_MUXA", "DIVA"),
            ("p", "FEEDBK_PATH", "CLKOP"),
            ("p", "CLKI_DIV", dividers.input),
            ("p", "CLKFB_DIV", dividers.feedback),
            ("p", "CLKOP_DIV", dividers.output),
            ("p", "CLKOP_ENABLE", "ENABLED"),
            ("p", "CLKOP_CPHASE", dividers.output - 1),
            ("p", "CLKOP_FPHASE", 0),
            *(("i", name, 0) for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PHASEDIR", "PHASESTEP")),
            *(("i", name, 0) for name in ("PHASELOADREG", "PLLWAKESYNC", "ENCLKOP")),
            ("i", "CLKI", self.clock),
            ("i", "CLKFB", made),
            ("o", "CLKOP", made),
            ("o", "LOCK", locked),
        )
        m.submodules.reset = ResetSynchronizer(~locked)
        return m
