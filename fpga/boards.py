"""Boards as data: the FPGA on each and what it has."""

from dataclasses import dataclass

from .families import Resources

__all__ = ["BOARDS", "Board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Members
    -------
    family
        A name in FAMILIES.
    device, package, speed
        The FPGA, its package and its speed grade, as its maker names them.
    has
        The FPGA's resources.
    """

    name: str
    family: str
    device: str
    package: str
    speed: str
    has: Resources


_LFE5U_25F = Resources(lut=24_288, ff=24_288, dsp=28, block_ram=56)
_LFE5U_85F = Resources(lut=83_640, ff=83_640, dsp=156, block_ram=208)
_XC7A35T = Resources(lut=20_800, ff=41_600, dsp=90, block_ram=100)
_XC7Z020 = Resources(lut=53_200, ff=106_400, dsp=220, block_ram=280)

BOARDS = {
    board.name: board
    for board in (
        Board(name="ulx3s-85f", family="ecp5", device="LFE5U-85F", package="CABGA381", speed="6", has=_LFE5U_85F),
        Board(name="orangecrab-25f", family="ecp5", device="LFE5U-25F", package="CSFBGA285", speed="8", has=_LFE5U_25F),
        Board(name="pynq-z2", family="xilinx7", device="XC7Z020", package="CLG400", speed="1", has=_XC7Z020),
        Board(name="arty-a7-35", family="xilinx7", device="XC7A35T", package="CSG324", speed="1L", has=_XC7A35T),
    )
}
