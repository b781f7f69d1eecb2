"""The on-chip memories: bytes as DRAM holds them, and typed views of the same bytes."""

import numpy as np

from ...config import Config
from ...isa.memories import memory_shape
from ...isa.table import Memory
from .arithmetic import SCALE_ENTRY

__all__ = ["Memories"]


class Memories:
    """All on-chip memories of one core, zeros at first.

    Members
    -------
    cells
        By memory: uint8, shape (rows, depth, cell_bytes).
    acc
        int32, shape (rows, depth, block_out).
    wgt
        int8, shape (depth, block_out, block_in).
    bias
        int32, shape (depth, block_out).
    scale
        SCALE_ENTRY, shape (depth, block_out).
    table
        int8, shape (256 · tables,).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cells = {memory: self._zeros(memory) for memory in Memory}
        self.acc = self.cells[Memory.ACC].view("<i4")
        self.wgt = self.cells[Memory.WGT].view(np.int8).reshape(-1, config.block_out, config.block_in)
        self.bias = self.cells[Memory.BIAS].view("<i4")[0]
        self.scale = self.cells[Memory.SCALE].view(SCALE_ENTRY)[0]
        self.table = self.cells[Memory.TABLE].view(np.int8).reshape(-1)

    def _zeros(self, memory: Memory) -> np.ndarray:
        shape = memory_shape(self.config, memory)
        return np.zeros((shape.rows, shape.depth, shape.cell_bytes), dtype=np.uint8)

    def vectors(self, memory: Memory, channels: int) -> np.ndarray:
        """`memory` as vectors of `channels`: int8 (ACT) or int32 (ACC), shape (rows, vectors, channels)."""
        if memory is Memory.ACC:
            return self.acc
        return self.cells[Memory.ACT].view(np.int8).reshape(self.config.rows, -1, channels)

    def vector_numbers(self, memory: Memory, channels: int, addresses: np.ndarray) -> np.ndarray:
        """Which of :meth:`vectors` each address means: low bits cleared, modulo the depth."""
        cells_each = 1 if memory is Memory.ACC else channels // self.config.granule
        return addresses % memory_shape(self.config, memory).depth // cells_each
