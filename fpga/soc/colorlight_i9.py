"""The Colorlight i9, revision 7.2, on its extension board: what amaranth-boards has not.

Pins as in the Colorlight-FPGA-Projects, which took them off the board. The SDRAM's masks and select are tied low.
"""

from amaranth.build import Attrs, Clock, Connector, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, SDRAMResource, UARTResource

__all__ = ["ColorlightI9Platform"]

_LEVELS = {"IO_TYPE": "LVCMOS33"}


class ColorlightI9Platform(LatticeECP5Platform):
    """Clock, lamp, serial line (of the extension board's USB adapter) and SDRAM."""

    device = "LFE5U-45F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = [  # noqa: RUF012 - amaranth's class attribute
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), Attrs(**_LEVELS)),
        *LEDResources(pins="L2", invert=True, attrs=Attrs(**_LEVELS)),
        UARTResource(0, rx="H18", tx="J17", attrs=Attrs(**_LEVELS)),
        SDRAMResource(
            0,
            clk="B9",
            we_n="A10",
            cas_n="A9",
            ras_n="B10",
            ba="B11 C8",
            a="B13 C14 A16 A17 B16 B15 A14 A13 A12 A11 B12",
            dq="D15 E14 E13 D12 E12 D11 C10 B17 B8 A8 C7 A7 A6 B6 A5 B5 "
            "D5 C5 D6 C6 E7 D7 E8 D8 E9 D9 E11 C11 C12 D13 D14 C15",
            attrs=Attrs(**_LEVELS, SLEWRATE="FAST"),
        ),
    ]
    connectors: list[Connector] = []  # noqa: RUF012
