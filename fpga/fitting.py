"""What a system takes of an FPGA at the very least, known before anything is synthesised."""

import math

from ..config import Config
from ..errors import ConfigError
from ..isa.memories import memory_shape
from ..isa.table import Memory
from .area_model import area_model, dsp_blocks
from .boards import Board
from .families import Resources
from .formula import formula_inventory
from .system_config import SystemConfig

__all__ = ["block_rams", "least_by_formula", "least_of_system", "least_resources", "require_fit", "soft_products"]

_BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_WORDS_IN_LUTS = 64
_DSP_BITS = 18
_LUTS_OF_A_PRODUCT = 40  # of 8 × 8 bits, at the very least
_NAMES = {"lut": "look-up tables", "ff": "flip-flops", "dsp": "multipliers (DSP)", "block_ram": "block RAMs of 18 kbit"}


def soft_products(config: Config, board: Board) -> int:
    """How many of the array's products are made of carry cells, since the FPGA has no multipliers left for them."""
    if board.family != "ecp5":
        return 0
    lacking = dsp_blocks(formula_inventory(config)) - board.has.dsp
    return min(max(lacking, 0), config.macs_per_cycle)


def least_resources(config: Config, system: SystemConfig, board: Board) -> Resources:
    """A lower bound: products and requantisation in DSPs, memories in block RAM of the best shape; no logic at all.

    Products that the FPGA has no DSP for are of look-up tables.
    """
    parts = -(-config.multiplier_bits // _DSP_BITS) * -(-32 // _DSP_BITS)
    soft = soft_products(config, board)
    dsp = config.macs_per_cycle - soft + config.vector_lanes * parts
    banks = {Memory.ACT: config.act_banks, Memory.ACC: config.acc_banks}
    blocks = _memory_blocks(config, system)
    for memory in (Memory.ACT, Memory.WGT, Memory.ACC):
        shape, count = memory_shape(config, memory), banks.get(memory, 1)
        # Cells of ACT lie side by side in words as wide as the wider block.
        word_bytes = config.channels if memory is Memory.ACT else shape.cell_bytes
        words = shape.depth * shape.cell_bytes // word_bytes // count
        blocks += shape.rows * count * block_rams(words, 8 * word_bytes)
    return Resources(lut=soft * _LUTS_OF_A_PRODUCT, dsp=dsp, block_ram=blocks)


def least_of_system(config: Config, system: SystemConfig, board: Board) -> Resources:
    """Of each resource the greater lower bound: what is certain, or what the closed form knows of the core."""
    certain, core = least_resources(config, system, board), least_by_formula(config, board)
    core += Resources(block_ram=_memory_blocks(config, system))
    return Resources(**{kind: max(count, getattr(core, kind)) for kind, count in certain.items()})


def _memory_blocks(config: Config, system: SystemConfig) -> int:
    return 0 if system.sdram else block_rams(system.memory_bytes // config.bus_bytes, config.bus_bits)


def least_by_formula(config: Config, board: Board) -> Resources:
    """A lower bound for the core alone: what the closed form estimates, less the largest error found in it.

    Multipliers beyond those that the FPGA has can be made of look-up tables, and are counted so.
    """
    model = area_model()
    takes, errors = model.takes(formula_inventory(config), board.family), model.errors["formula"][board.family]
    sure = {kind: math.floor(count / (1 + errors[kind]["worst"])) for kind, count in takes.items()}
    soft = max(sure["dsp"] - board.has.dsp, 0)
    return Resources(**sure | {"dsp": sure["dsp"] - soft, "lut": sure["lut"] + soft * _LUTS_OF_A_PRODUCT})


def block_rams(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit for a memory; 0 where it is shallow enough for look-up tables."""
    if words <= _WORDS_IN_LUTS:
        return 0
    return min(-(-words // depth) * -(-bits // width) for depth, width in _BLOCK_SHAPES)


def require_fit(takes: Resources, board: Board, *, name: str, way_out: str) -> None:
    """Raise ConfigError, saying what exceeds what, unless `board` has what the design `name` takes."""
    lacks = [
        f"{count:,} {_NAMES[kind]} of {getattr(board.has, kind):,}"
        for kind, count in takes.items()
        if count > getattr(board.has, kind)
    ]
    if lacks:
        raise ConfigError(f"{name} must fit {board.name} ({board.device}), but takes {', '.join(lacks)}: {way_out}")
