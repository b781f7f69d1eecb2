"""How tensors lie in DRAM and in ACT: blocks of channels, ``[N][ceil(C / B)][H][W][B]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...config import Config

__all__ = ["Blocked", "Resident", "blocked_shape", "image_shape", "pack"]


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
class Resident:
    """Where an activation lies in ACT: ``[N][blocks][height][width]`` pixels from granule `base` on.

    Members
    -------
    top, left
        Rows above the image, and columns to its left, that hold padding.
    height, width
        Of a block, with the padding around it.
    fill
        What the padding holds.
    """

    base: int
    top: int
    left: int
    height: int
    width: int
    fill: int

    def moved(self, base: int) -> Resident:
        return replace(self, base=base)

    def rectangles(self, shape: Sequence[int]) -> list[tuple[int, int, int, int]]:
        """(first row, rows, first column, columns) of the padding around an image of `shape`, in the block."""
        rows, columns = shape[2:]
        bottom, right = self.top + rows, self.left + columns
        return [
            (0, self.top, 0, self.width),
            (bottom, self.height - bottom, 0, self.width),
            (self.top, rows, 0, self.left),
            (self.top, rows, right, self.width - right),
        ]


@dataclass(frozen=True)
class Blocked:
    """An activation in DRAM, in ACT, or in both.

    Members
    -------
    shape
        (N, C, H, W).
    segment, offset
        Where its first byte lies in DRAM.
    resident
        Where it lies in ACT while it is needed; None: only tiles of it come and go.
    stored
        Whether DRAM holds it.
    """

    shape: tuple[int, int, int, int]
    segment: int
    offset: int
    config: Config
    resident: Resident | None = None
    stored: bool = True

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

    @property
    def pixel(self) -> int:
        """Granules of a pixel of one block."""
        return self.config.channels // self.config.granule

    def part(self, n: int, block: int) -> Blocked:
        """One channel block of image `n`."""
        place = self.resident
        if place is not None:
            granules = (n * self.blocks + block) * place.height * place.width * self.pixel
            place = place.moved(place.base + granules)
        shape = (1, self.config.channels, *self.shape[2:])
        return replace(self, shape=shape, offset=self.at(n, block, 0, 0), resident=place)

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
