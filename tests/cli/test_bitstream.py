"""The commands for boards."""

import re
from collections.abc import Callable
from pathlib import Path

from tilewright.models import DIGITS


def test_what_can_not_fit_is_one_line(tilewright: Callable, tmp_path: Path) -> None:
    out = tmp_path / "x.bit"
    told = tilewright("bitstream", "--board", "icepi-zero", "--config", "8x16", "--out", str(out)).complaint
    assert "configuration 8x16 with 65,536 bytes of memory must fit icepi-zero (LFE5U-25F), but takes" in told
    assert "32 multipliers (DSP) of 28" in told and "take a smaller configuration or a larger board" in told
    assert not out.exists()


def test_numbers_out_of_range(tilewright: Callable, tmp_path: Path) -> None:
    command = ("bitstream", "-b", "ulx3s-85f", "-c", "tiny", "-o", str(tmp_path / "x.bit"))
    assert (
        "memory_bytes must be a power of two of at least 4096, not 102400"
        in tilewright(*command, "--memory", "100").complaint
    )
    assert (
        "baud must be at most a quarter of the clock (12000000 Hz)"
        in tilewright(*command, "--clock", "12", "--baud", "4000000").complaint
    )
    assert "ulx3s-85f" in tilewright("bitstream", "-b", "de10", "-o", str(tmp_path / "x.bit")).complaint


def test_a_board_that_is_not_there(tilewright: Callable, digits: Path, image: Path) -> None:
    told = tilewright("run", digits, "-i", image, "--device", "uart:/dev/no-such-port").complaint
    assert "serial port /dev/no-such-port must be there to open at 3000000 baud" in told
    assert "name it as in uart:/dev/ttyUSB0" in tilewright("run", digits, "-i", image, "--device", "uart").complaint
    assert "device native must stand alone" in tilewright("run", digits, "-i", image, "--device", "native:x").complaint


def test_the_netlist_and_a_board_are_offered(tilewright: Callable) -> None:
    assert "|netlist|soc|uart" in tilewright("run", "--help").out
    assert "serial port is printed" in " ".join(tilewright("simulate-board", "--help").out.split())


def test_a_board_without_the_memory_that_a_network_needs(tilewright: Callable, tmp_path: Path) -> None:
    out = tmp_path / "digits.tw"
    command = ("compile", DIGITS, "--config", "tiny", "-o", out)
    told = tilewright(*command, "--board", "ulx3s-85f", "--memory", "16").complaint
    assert re.search(
        r"the memory of board ulx3s-85f must hold [\d,]+ bytes for this program, but has 16,384: take --memory sdram",
        told,
    )
    assert "--memory must go with --board" in tilewright(*command, "--memory", "16").complaint
    assert not out.exists()
    assert tilewright(*command, "--board", "ulx3s-85f", "--memory", "sdram").status == 0
    assert tilewright(*command, "--board", "icepi-zero").status == 0
