"""How tensors lie in DRAM and in ACT: blocks of channels, ``[N][ceil(C / B)][H][W][B]``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...config import Config

__all__ = ["Blocked", "blocked_shape", "image_shape", "pack"]


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(N, C, H, W) of a tensor of 1 to 4 dimensions; what it lacks is 1."""
    if len(shape) > 4:
        raise ValueError(f"an activation must have at most 4 dimensions, not {len(shape)}")
    padded = (1, *shape) if len(shape) == 1 else shape
    padded = (*padded, *(1,) * (4 - len(padded)))
    return padded[0], padded[1], padded[2], padded[3]


def blocked_shape(shape: tuple[int, ...], channels: int) -> tuple[int, int, int, int, int]:
    """(N, blocks, H, W, `channels`) of an activation of logical `shape`."""
    n, c, h, w = image_shape(shape)
    return n, -(-c // channels), h, w, channels


@dataclass(frozen=True)
class Blocked:
    """An activation in DRAM.

    Members
    -------
    shape
        (N, C, H, W).
    segment, offset
        Where its first byte lies.
    """

    shape: tuple[int, int, int, int]
    segment: int
    offset: int
    config: Config

    @property
    def blocks(self) -> int:
        return -(-self.shape[1] // self.config.channels)

    @property
    def row_bytes(self) -> int:
        return self.shape[3] * self.config.channels

    @property
    def block_bytes(self) -> int:
        return self.shape[2] * self.row_bytes

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.blocks * self.block_bytes

    def part(self, n: int, block: int) -> Blocked:
        """One channel block of image `n`."""
        return replace(self, shape=(1, self.config.channels, *self.shape[2:]), offset=self.at(n, block, 0, 0))

    def at(self, n: int, block: int, row: int, column: int) -> int:
        """Byte offset in the segment."""
        block_index = n * self.blocks + block
        return self.offset + block_index * self.block_bytes + row * self.row_bytes + column * self.config.channels


def pack(array: np.ndarray, channels: int) -> np.ndarray:
    """An array of at most 4 dimensions in blocks of `channels`, zeros beyond C."""
    n, blocks, h, w, _ = blocked_shape(array.shape, channels)
    image = array.reshape(image_shape(array.shape))
    padded = np.zeros((n, blocks * channels, h, w), dtype=array.dtype)
    padded[:, : image.shape[1]] = image
    return np.ascontiguousarray(padded.reshape(n, blocks, channels, h, w).transpose(0, 1, 3, 4, 2))
