"""Random contents for memories, rich in corner values, in the DRAM format of each memory's cells."""

import numpy as np

from ..config import Config
from .memories import memory_shape
from .table import Memory

__all__ = ["random_cells"]

_BYTES = np.array([-128, -127, -1, 0, 1, 126, 127], dtype=np.int8)
_WORDS = np.array([-(1 << 31), 1 - (1 << 31), -(1 << 30), -1, 0, 1, (1 << 30), (1 << 31) - 1], dtype=np.int32)
_SHIFTS = np.array([0, 1, 30, 31], dtype=np.uint8)


def _bytes(rng: np.random.Generator, count: int) -> np.ndarray:
    values = np.frombuffer(rng.bytes(count), dtype=np.uint8).copy()
    corners = rng.integers(0, max(count, 1), count // 4)
    values[corners] = rng.choice(_BYTES, len(corners)).view(np.uint8)
    return values


def _words(rng: np.random.Generator, count: int) -> np.ndarray:
    """Half of them small, so that sums and products do not all saturate; the others full range or corners."""
    values = np.frombuffer(rng.bytes(4 * count), dtype=np.int32).copy()
    values >>= rng.choice(np.array([0, 4, 16, 20], dtype=np.int32), count)
    corners = rng.integers(0, max(count, 1), count // 8)
    values[corners] = rng.choice(_WORDS, len(corners))
    return values.view(np.uint8)


def _scales(rng: np.random.Generator, count: int, multiplier_bits: int) -> np.ndarray:
    top = 1 << (multiplier_bits - 1)
    corners = np.array([0, 1, -1, top - 1, -top, top >> 1, -(top >> 1)], dtype=np.int64)
    multipliers = np.where(rng.random(count) < 0.3, rng.choice(corners, count), rng.integers(-top, top, count))
    entries = np.frombuffer(rng.bytes(8 * count), dtype=np.uint8).reshape(count, 8).copy()
    wild = rng.random(count) < 0.1
    entries[~wild, :4] = multipliers.astype(np.int32).view(np.uint8).reshape(count, 4)[~wild]
    left = np.where(rng.random(count) < 0.6, 0, rng.integers(0, 32, count))
    right = np.where(rng.random(count) < 0.2, rng.choice(_SHIFTS, count), rng.integers(0, 16, count))
    entries[~wild, 4] = left[~wild]
    entries[~wild, 5] = right[~wild]
    entries[~wild, 6] &= 1
    return entries.reshape(-1)


def random_cells(rng: np.random.Generator, config: Config, memory: Memory, cells: int) -> np.ndarray:
    """uint8, shape (cells · bytes of a cell of `memory`,)."""
    count = cells * memory_shape(config, memory).cell_bytes
    if memory in (Memory.ACC, Memory.BIAS):
        return _words(rng, count // 4)
    if memory is Memory.SCALE:
        return _scales(rng, count // 8, config.multiplier_bits)
    return _bytes(rng, count)
