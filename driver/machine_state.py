"""All that a device's memories hold, and its cells as numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..isa.memories import memory_shape
from ..isa.table import ErrorCode, Memory
from .device import Simulator

__all__ = ["SCALE_ENTRY", "MachineState", "Spot", "as_numbers", "capture", "differences", "restore"]

SCALE_ENTRY = np.dtype(
    [("multiplier", "<i4"), ("left", "u1"), ("right", "u1"), ("mode", "u1"), ("unused", "u1")]
)  # fmt: skip


@dataclass(frozen=True)
class MachineState:
    """A copy of every memory.

    Members
    -------
    on_chip
        By memory and row: uint8, shape (depth, cell_bytes).
    segments
        uint8, the bytes of each segment of a launch.
    error, index
        ErrorCode.NONE and 0, or how the core has stopped, and at which of the run's instructions.
    """

    on_chip: dict[tuple[Memory, int], np.ndarray]
    segments: tuple[np.ndarray, ...]
    error: ErrorCode = ErrorCode.NONE
    index: int = 0

    def same_as(self, other: "MachineState") -> bool:
        return (self.error, self.index) == (other.error, other.index) and next(differences(self, other), None) is None


@dataclass(frozen=True)
class Spot:
    """A part of a machine's memory in which two states differ.

    Members
    -------
    memory, number
        The on-chip memory and its row; or None and the segment.
    cells
        int64, ascending: the cells that differ; of a segment the bytes.
    """

    memory: Memory | None
    number: int
    cells: np.ndarray


def capture(device: Simulator, segments: Sequence[tuple[int, int]]) -> MachineState:
    """What `device` holds; `segments` are (address, bytes), with 0 bytes where it does not matter."""
    on_chip = {
        (memory, row): device.peek(memory, row)
        for memory in Memory
        for row in range(memory_shape(device.config, memory).rows)
    }
    empty = np.zeros(0, np.uint8)
    return MachineState(on_chip, tuple(device.read(*segment) if segment[1] else empty for segment in segments))


def restore(device: Simulator, segments: Sequence[tuple[int, int]], state: MachineState) -> None:
    """The inverse of :func:`capture`; what that left out stays as it is."""
    for (memory, row), cells in state.on_chip.items():
        device.poke(memory, cells, row)
    for (address, _), content in zip(segments, state.segments, strict=True):
        if len(content):
            device.write(address, content)


def differences(one: MachineState, other: MachineState) -> Iterator[Spot]:
    """Where two states of the same program differ, memory by memory."""
    for (memory, row), cells in one.on_chip.items():
        theirs = other.on_chip[memory, row]
        if not np.array_equal(cells, theirs):
            yield Spot(memory, row, np.flatnonzero((cells != theirs).any(axis=1)))
    for number, (content, theirs) in enumerate(zip(one.segments, other.segments, strict=True)):
        if not np.array_equal(content, theirs):
            yield Spot(None, number, np.flatnonzero(content != theirs))


def as_numbers(config: Config, memory: Memory, cells: np.ndarray) -> np.ndarray:
    """Cells as what they mean.

    Parameters
    ----------
    cells
        uint8, shape (…, depth, cell_bytes), C order.

    Returns
    -------
    ACT int8 (…, depth, granule); ACC and BIAS int32 (…, depth, block_out); WGT int8 (…, depth, block_out, block_in);
    SCALE `SCALE_ENTRY` (…, depth, block_out); TABLE int8 (…, depth).
    """
    outer = cells.shape[:-1]
    if memory in (Memory.ACC, Memory.BIAS):
        return cells.view("<i4")
    if memory is Memory.SCALE:
        return cells.view(SCALE_ENTRY)
    numbers = cells.view(np.int8)
    if memory is Memory.WGT:
        return numbers.reshape(*outer, config.block_out, config.block_in)
    return numbers.reshape(outer) if memory is Memory.TABLE else numbers
