"""Shapes of the on-chip memories and of DRAM cells, for one configuration."""

from dataclasses import dataclass

from ..config import Config
from .table import Memory

__all__ = ["ROW_MEMORIES", "STORABLE", "MemoryShape", "memory_shape", "transfer_unit"]

ROW_MEMORIES = (Memory.ACT, Memory.ACC)
STORABLE = (Memory.ACT, Memory.ACC)


@dataclass(frozen=True)
class MemoryShape:
    """One on-chip memory.

    Members
    -------
    rows
        Copies, one a row; 1 where the rows share it.
    depth
        Cells in a copy.
    cell_bytes
        Bytes of a cell, on chip as in DRAM.
    """

    memory: Memory
    rows: int
    depth: int
    cell_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.rows * self.depth * self.cell_bytes


def memory_shape(config: Config, memory: Memory) -> MemoryShape:
    depth, cell_bytes = {
        Memory.ACT: (config.act_depth, config.granule),
        Memory.ACC: (config.acc_depth, 4 * config.block_out),
        Memory.WGT: (config.wgt_depth, config.block_in * config.block_out),
        Memory.BIAS: (config.bias_depth, 4 * config.block_out),
        Memory.SCALE: (config.scale_depth, 8 * config.block_out),
        Memory.TABLE: (config.tables * 256, 1),
    }[memory]
    return MemoryShape(memory, config.rows if memory in ROW_MEMORIES else 1, depth, cell_bytes)


def transfer_unit(config: Config, memory: Memory) -> int:
    """Bytes to which DRAM addresses of a LOAD or STORE must be aligned."""
    return min(config.bus_bytes, memory_shape(config, memory).cell_bytes)
