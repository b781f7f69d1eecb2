"""Which cells a memory becomes, by the rules that Yosys follows for each family."""

from dataclasses import dataclass

from .families import Resources
from .inventory import MemoryUse

__all__ = ["in_luts", "memory_cells"]

_LANE_BITS = 9
_BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


@dataclass(frozen=True, kw_only=True)
class _LutMemory:
    """A family's memories of look-up tables.

    Members
    -------
    shapes
        (words, bits) of a cell, shallowest first.
    luts
        That a cell takes.
    most_words, most_bits
        Of a memory that still becomes such cells: at most this deep, or of at most so many bits in all.
    """

    shapes: tuple[tuple[int, int], ...]
    luts: int
    most_words: int
    most_bits: int


_LUT_MEMORIES = {
    "ecp5": _LutMemory(shapes=((16, 4),), luts=6, most_words=32, most_bits=0),
    "xilinx7": _LutMemory(shapes=((32, 6), (64, 3)), luts=4, most_words=64, most_bits=2048),
}


def in_luts(memory: MemoryUse, family: str) -> bool:
    """Whether memories of the kind become look-up tables, their registered outputs flip-flops."""
    rule = _LUT_MEMORIES[family]
    return memory.words <= rule.most_words or memory.words * memory.bits <= rule.most_bits


def memory_cells(memory: MemoryUse, family: str) -> Resources:
    """Look-up tables or block RAMs of all memories of the kind; each read port has a copy of its own."""
    copies = memory.count * memory.read_ports
    if in_luts(memory, family):
        rule = _LUT_MEMORIES[family]
        words, bits = next((shape for shape in rule.shapes if memory.words <= shape[0]), rule.shapes[-1])
        across = memory.bits // memory.granule * -(-memory.granule // bits)
        return Resources(lut=rule.luts * -(-memory.words // words) * across) * copies
    return Resources(block_ram=_blocks(memory)) * copies


def _blocks(memory: MemoryUse) -> int:
    """In the best shape; a lane of nine bits, or the whole of a narrower block, is written all at once."""
    parts, granule = memory.bits // memory.granule, memory.granule
    return min(
        -(-memory.words // words) * -(-parts * -(-granule // min(bits, _LANE_BITS)) // max(bits // _LANE_BITS, 1))
        for words, bits in _BLOCK_SHAPES
    )
