"""The whole system's area: the core and what is around it."""

from tilewright.config import load_config
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.families import Resources
from tilewright.fpga.formula import estimate
from tilewright.fpga.system_area import around_core, system_estimate


def test_a_system_takes_more_than_its_core() -> None:
    board, tiny = BOARDS["ulx3s-85f"], load_config("tiny")
    assert around_core(tiny, board) == Resources(lut=2297, ff=1187, block_ram=2)
    assert around_core(tiny.replace(bus_bits=256), board) == Resources(lut=3405, ff=1794, block_ram=8)
    assert system_estimate(tiny, board) == estimate(tiny, "ecp5") + around_core(tiny, board)


def test_products_without_multipliers_are_look_up_tables() -> None:
    board, large = BOARDS["ulx3s-85f"], load_config("vta-16")
    core, system = estimate(large, "ecp5"), system_estimate(large, board)
    assert system.dsp == board.has.dsp == 156
    soft = core.dsp - 156
    assert system.lut == core.lut + around_core(large, board).lut + 72 * soft and 0 < soft < 256


def test_boards_without_bitstreams_have_the_core_alone() -> None:
    tiny = load_config("tiny")
    assert system_estimate(tiny, BOARDS["pynq-z2"]) == estimate(tiny, "xilinx7")
