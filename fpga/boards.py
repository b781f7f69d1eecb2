"""Boards as data: the FPGA on each and what it has."""

from dataclasses import dataclass

from .families import Resources
from .sdram_chip import SdramChip

__all__ = ["BOARDS", "Board", "boards_with_bitstreams"]


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
        The FPGA's resources, as nextpnr's database has them (ECP5), or the maker's data sheet.
    platform
        Module and class in amaranth-boards, or in this package where the module begins with a dot; None where no
        bitstream can be made.
    place_and_route
        nextpnr's options for the FPGA.
    sdram
        The chip that bitstreams can use as memory.
    """

    name: str
    family: str
    device: str
    package: str
    speed: str
    has: Resources
    platform: tuple[str, str] | None = None
    place_and_route: tuple[str, ...] = ()
    sdram: SdramChip | None = None


_LFE5U_25F = Resources(lut=24_288, ff=24_288, dsp=28, block_ram=56)
_LFE5U_45F = Resources(lut=43_848, ff=43_848, dsp=72, block_ram=108)
_LFE5U_85F = Resources(lut=83_640, ff=83_640, dsp=156, block_ram=208)
_XC7A35T = Resources(lut=20_800, ff=41_600, dsp=90, block_ram=100)
_XC7Z020 = Resources(lut=53_200, ff=106_400, dsp=220, block_ram=280)


# Slower than any grade of it, and compatible ones; 64 ms / 4096 rows between refreshes.
_M12L64322A = SdramChip(row_bits=11, column_bits=8, data_bits=32, masks=False)


def _ecp5(
    name: str,
    size: int,
    package: str,
    platform: tuple[str, str] | None = None,
    *,
    sdram: SdramChip | None = None,
    speed: str = "6",
    kind: str = "",
) -> Board:
    """`kind` is the part of the device's name and of nextpnr's option that tells parts with transceivers."""
    return Board(
        name=name,
        family="ecp5",
        device=f"LFE5U{kind.upper()}-{size}F",
        package=package,
        speed=speed,
        has={25: _LFE5U_25F, 45: _LFE5U_45F, 85: _LFE5U_85F}[size],
        platform=platform,
        sdram=sdram,
        place_and_route=(f"--u{kind}-{size}k" if kind else f"--{size}k", "--package", package, "--speed", speed),
    )


BOARDS = {
    board.name: board
    for board in (
        _ecp5("ulx3s-85f", 85, "CABGA381", ("ulx3s", "ULX3S_85F_Platform"), sdram=SdramChip()),
        _ecp5("ulx3s-45f", 45, "CABGA381", ("ulx3s", "ULX3S_45F_Platform"), sdram=SdramChip()),
        _ecp5("colorlight-i9", 45, "CABGA381", (".soc.colorlight_i9", "ColorlightI9Platform"), sdram=_M12L64322A),
        _ecp5("ecpix-5-85f", 85, "CABGA554", ("ecpix5", "ECPIX585Platform"), speed="8", kind="m5g"),
        _ecp5("ecpix-5-45f", 45, "CABGA554", ("ecpix5", "ECPIX545Platform"), speed="8", kind="m5g"),
        _ecp5("icepi-zero", 25, "CABGA256", ("icepi_zero", "IcepiZero1_3Platform"), sdram=SdramChip()),
        _ecp5("orangecrab-25f", 25, "CSFBGA285", speed="8"),
        Board(name="pynq-z2", family="xilinx7", device="XC7Z020", package="CLG400", speed="1", has=_XC7Z020),
        Board(name="arty-a7-35", family="xilinx7", device="XC7A35T", package="CSG324", speed="1L", has=_XC7A35T),
    )
}


def boards_with_bitstreams() -> list[str]:
    """Names of those that bitstreams can be made for."""
    return sorted(name for name, board in BOARDS.items() if board.platform)
