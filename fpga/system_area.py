"""What a whole system takes of a board's FPGA: the core, and around it memory, link and clock."""

from dataclasses import replace

from ..config import Config
from .board_system import usual_system
from .boards import Board
from .families import Resources
from .fitting import block_rams, soft_products
from .formula import estimate

__all__ = ["around_core", "system_estimate"]

# Yosys' cells for the ULX3S-85F's system with SDRAM, its core a black box: 2,297 look-up tables, 1,187 flip-flops and
# 2 block RAMs with a bus of 64 bits; 3,404, 1,793 and 8 with 256.
_LUT = (1_928.0, 5.77)  # constant, and for each bit of the bus
_FF = (985.0, 3.16)
_BLOCK_RAM = (0.0, 1 / 32)
_LUTS_OF_A_PRODUCT = 72  # 36 CCU2C of soft_product.v


def around_core(config: Config, board: Board) -> Resources:
    """What the board's system has beside the core; nothing where no bitstream can be made for the board.

    Lines through what synthesis found with buses of two widths.
    """
    if board.platform is None:
        return Resources()
    system = usual_system(board)
    memory = 0 if system.sdram else block_rams(system.memory_bytes // config.bus_bytes, config.bus_bits)
    lut, ff, blocks = (round(a + b * config.bus_bits) for a, b in (_LUT, _FF, _BLOCK_RAM))
    return Resources(lut=lut, ff=ff, block_ram=blocks + memory)


def system_estimate(config: Config, board: Board) -> Resources:
    """The whole system in closed form; the core alone where no bitstream can be made for the board.

    Products that the FPGA has no multipliers for count as the look-up tables that synthesis makes them of.
    """
    takes, soft = estimate(config, board.family) + around_core(config, board), soft_products(config, board)
    return replace(takes, dsp=takes.dsp - soft, lut=takes.lut + soft * _LUTS_OF_A_PRODUCT)
