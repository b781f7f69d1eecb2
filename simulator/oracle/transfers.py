"""What LOAD and STORE mean."""

from collections.abc import Iterator

import numpy as np

from ...errors import DeviceError
from ...isa.instruction import Instruction
from ...isa.launch import Launch
from ...isa.memories import ROW_MEMORIES, memory_shape
from ...isa.table import ErrorCode, Memory
from ..dram import Dram
from .fault import Fault
from .memories import Memories

__all__ = ["load", "store"]


def load(memories: Memories, dram: Dram, launch: Launch, instruction: Instruction) -> None:
    """Run by run. Raises :class:`Fault` at the first wrong one."""
    memory = Memory(instruction["memory"])
    shape = memory_shape(memories.config, memory)
    rows = [0] if memory not in ROW_MEMORIES else [r for r in range(shape.rows) if instruction["row_mask"] >> r & 1]
    for address, cells in _runs(memories, launch, instruction):
        data = _bytes_at(dram, address, len(cells) * shape.cell_bytes, ErrorCode.BUS_READ)
        for cell, content in zip(cells, data.reshape(len(cells), shape.cell_bytes), strict=True):
            memories.cells[memory][rows, cell] = content


def store(memories: Memories, dram: Dram, launch: Launch, instruction: Instruction) -> None:
    """Run by run. Raises :class:`Fault` at the first wrong one."""
    memory = Memory(instruction["memory"])
    cells_of_row = memories.cells[memory][instruction["row"] % memories.config.rows]
    for address, cells in _runs(memories, launch, instruction):
        data = cells_of_row[cells].reshape(-1)
        _bytes_at(dram, address, len(data), ErrorCode.BUS_WRITE)[:] = data


def _runs(memories: Memories, launch: Launch, instruction: Instruction) -> Iterator[tuple[int, np.ndarray]]:
    """DRAM address and on-chip cells of each run, once it has been found to be allowed."""
    shape = memory_shape(memories.config, Memory(instruction["memory"]))
    segment_base, limit = launch.segments[instruction["segment"]]
    unit = min(memories.config.bus_bytes, shape.cell_bytes)
    *outer, cells_each = instruction.nest.bounds
    *outer_strides, cell_stride = instruction.access("mem").strides
    within = cell_stride * np.arange(cells_each, dtype=np.int64)
    for index in np.ndindex(*outer):
        start = instruction["offset"] + sum(s * i for s, i in zip(instruction.dram.strides, index, strict=True))
        start %= 1 << 32
        if start % unit:
            raise Fault(ErrorCode.ALIGNMENT)
        if start + cells_each * shape.cell_bytes > limit:
            raise Fault(ErrorCode.SEGMENT_LIMIT)
        first = instruction["mem_base"] + sum(s * i for s, i in zip(outer_strides, index, strict=True))
        yield segment_base + start, (first + within) % shape.depth


def _bytes_at(dram: Dram, address: int, nbytes: int, failure: ErrorCode) -> np.ndarray:
    try:
        return dram.view(address, nbytes)
    except DeviceError:
        raise Fault(failure) from None
