"""What a point takes of an FPGA, before anything is synthesised: the one place that asks for it."""

from ..config import Config
from ..fpga.families import Family, Resources
from ..isa.memories import memory_shape
from ..isa.table import INSTRUCTION_BYTES, Memory

__all__ = ["estimate_area"]

_DSP_BITS = 18
_BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_WORDS_IN_LUTS = 32
_PREFETCHED = 8

# Solved from what Yosys found for ECP5 of 4×4 (25,256 look-up tables, 13,507 flip-flops) and 8×8 multipliers (31,273
# and 17,009), both with 4 lanes; what a lane takes is a guess.
_LUTS, _LUTS_A_MULTIPLIER, _LUTS_A_LANE = 17_250, 125, 1_500
_FFS, _FFS_A_MULTIPLIER, _FFS_A_LANE = 9_500, 73, 700


def estimate_area(config: Config, family: Family) -> Resources:
    """Multipliers and block RAM counted from the structure; look-up tables and flip-flops along a straight line.

    A lane of the vector engine multiplies 32 bits by `multiplier_bits` in pieces of 18, and has one more multiplier
    for products of activations. The line was taken from ECP5; for others it says which of two designs is larger.
    """
    lanes = config.rows * config.vector_lanes
    lane_dsp = -(-config.multiplier_bits // _DSP_BITS) * -(-32 // _DSP_BITS) + 1
    return Resources(
        lut=_LUTS + _LUTS_A_MULTIPLIER * config.macs_per_cycle + _LUTS_A_LANE * lanes,
        ff=_FFS + _FFS_A_MULTIPLIER * config.macs_per_cycle + _FFS_A_LANE * lanes,
        dsp=config.macs_per_cycle + lanes * lane_dsp,
        block_ram=_memory_blocks(config) + _queue_blocks(config),
    )


def _memory_blocks(config: Config) -> int:
    banks = {Memory.ACT: config.act_banks, Memory.ACC: config.acc_banks}
    total = 0
    for memory in (Memory.ACT, Memory.WGT, Memory.ACC, Memory.BIAS, Memory.SCALE):
        shape, count = memory_shape(config, memory), banks.get(memory, 1)
        # Granules of ACT lie side by side in words as wide as the wider block.
        word_bytes = config.channels if memory is Memory.ACT else shape.cell_bytes
        words = shape.depth * shape.cell_bytes // word_bytes // count
        total += shape.rows * count * _blocks(words, 8 * word_bytes)
    table = memory_shape(config, Memory.TABLE)
    return total + config.rows * config.vector_lanes * _blocks(table.depth, 8)


def _queue_blocks(config: Config) -> int:
    """Of the program's words read ahead, and of words on their way to DRAM."""
    burst = min(config.burst_beats, 2 * 8 * INSTRUCTION_BYTES // config.bus_bits)
    ahead = max(_PREFETCHED * 8 * INSTRUCTION_BYTES // config.bus_bits, 2 * burst)
    leaving = max(2 * config.burst_beats, 8) - 1
    return _blocks(ahead, config.bus_bits + 1) + _blocks(leaving, config.bus_bits * 9 // 8)


def _blocks(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit, none for what is shallow enough for look-up tables."""
    if words <= _WORDS_IN_LUTS:
        return 0
    return min(-(-words // depth) * -(-bits // width) for depth, width in _BLOCK_SHAPES)
