"""Depthwise convolutions on the matrix engine: the weights of a tap stand on the diagonal of a weight tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...config import Config
from ...isa.instruction import gemm
from ...isa.table import GEMM_DIMS, Memory
from ..window import Window
from .frame import Frame
from .loops import Loop, fit
from .scope import Need, Scope

__all__ = ["DiagonalWeights", "share_of_gemm"]


def share_of_gemm(config: Config, weight: np.ndarray, rows: int) -> tuple[int, int]:
    """How many channel blocks, or of `rows` rows how many, the matrix engine should do: the first ones.

    Both engines take a cycle a tap; what the matrix engine does takes the vector engine one more. One of the two
    numbers is 0, and both where a tile of weights is not one diagonal, or where 8 bits do not hold a weight.
    """
    taps = weight.shape[2] * weight.shape[3]
    held = weight.min(initial=0) >= -128 and weight.max(initial=0) <= 127
    if config.block_in != config.block_out or not held or taps < 2:
        return 0, 0
    blocks = -(-len(weight) // config.channels)
    fraction = taps / (2 * taps - 1)
    return (round(blocks * fraction), 0) if blocks > 1 else (0, round(rows * fraction))


class DiagonalWeights:
    """The weight tiles of int8 weights (C, 1, KH, KW)."""

    def __init__(self, scope: Scope, weight: np.ndarray) -> None:
        self._scope = scope
        count, _, *kernel = weight.shape
        size = scope.config.block_out
        blocks = -(-count // size)
        self.taps = kernel[0] * kernel[1]
        padded = np.zeros((blocks * size, self.taps), dtype=np.int8)
        padded[:count] = weight.reshape(count, self.taps)
        self._tiles = np.zeros((blocks, self.taps, size, size), dtype=np.int8)
        lanes = np.arange(size)
        self._tiles[:, :, lanes, lanes] = padded.reshape(blocks, size, self.taps).transpose(0, 2, 1)

    def need(self, blocks: tuple[int, int]) -> Need:
        """The tiles of channel blocks [first, end)."""
        content = self._tiles[blocks[0] : blocks[1]].tobytes()
        return self._scope.constant(self._scope.memories.weights, Memory.WGT, content, blocks)

    def multiply(self, frame: Frame, window: Window, extents: tuple[int, int, int], places: Sequence[int]) -> None:
        """Sums of `extents` (blocks, rows, columns) of results, from addresses in ACT and WGT to ACC."""
        blocks, rows, columns = extents
        (down, right), (skip_down, skip_right) = window.strides, window.dilations
        loops = [
            Loop(blocks, (frame.block, self.taps, rows * columns)),
            Loop(window.kernel[0], (skip_down * frame.row, window.kernel[1], 0), reduction=True),
            Loop(window.kernel[1], (skip_right * frame.pixel, 1, 0), reduction=True),
            Loop(rows, (down * frame.row, 0, columns)),
            Loop(columns, (right * frame.pixel, 0, 1)),
        ]
        for piece in fit(loops, GEMM_DIMS):
            act, wgt, acc = ((places[k] + piece.bases[k], piece.strides(k)) for k in range(3))
            self._scope.emit(gemm(bounds=piece.bounds, act=act, wgt=wgt, acc=acc, overwrite=piece.reductions))
