"""Depthwise convolutions: the vector engine reduces over the taps and requantises in one pass; so does, beside it,
the matrix engine for its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...config import Config
from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import depthwise
from .conv import Convolution
from .depthwise_gemm import DiagonalWeights, share_of_gemm
from .frame import Edges, Frame
from .layout import pack
from .loops import Loop, fit
from .places import Target, source, target
from .requantisation import ChannelParameters, requantise
from .scope import Need, Scope
from .tensorise import Layout, Piece, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .weights import eight_bit_parts, shifted_to_eight_bits
from .window_tiling import TileSize, choose_tile, frame_pixels, pipelined

__all__ = ["depthwise_granules", "schedule_depthwise"]


def schedule_depthwise(scope: Scope, conv: Convolution) -> None:
    """Add the items of `conv`, one a group of channel blocks and tile."""
    _Schedule(scope, conv).run()


def depthwise_granules(config: Config, weight: np.ndarray) -> tuple[int, int]:
    """Granules of ACT that `weight` (C, 1, KH, KW) takes, and of one channel block of it."""
    parts = _parts(weight)[0]
    block = len(parts) * weight.shape[2] * weight.shape[3] * (config.channels // config.granule)
    return -(-len(weight) // config.channels) * block, block


def _parts(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """What is multiplied instead of `weight`: int8 (P, C, 1, KH, KW), each channel's sign, and a zero point."""
    shifted = shifted_to_eight_bits(weight)
    if shifted is not None:
        return shifted[0][np.newaxis], np.ones(len(weight), np.int64), shifted[1]
    parts, signs = eight_bit_parts(weight)
    return parts, signs, 0


@dataclass(frozen=True)
class _Share:
    """What one engine does of a tile: channel blocks [first_block, first_block + blocks) of some of its rows."""

    first_block: int
    blocks: int
    first_row: int
    rows: int

    @property
    def lines(self) -> int:
        return self.blocks * self.rows


class _Schedule:
    """Both engines that multiply work on every tile, each on its share.

    The vector engine's weights lie in other banks than the image: each step reads one cell of both. Parts of
    weights with more than eight bits lie one after the other, and each meets the same pixels.
    """

    def __init__(self, scope: Scope, conv: Convolution) -> None:
        config = scope.config
        self.scope = scope
        self.conv = conv
        self.pixel = conv.y.pixel
        self.step = config.block_out // config.granule
        self.sub_out = config.channels // config.block_out
        channels = conv.y.blocks * config.channels
        count = len(conv.weight)
        self.parts, signs, self.weight_zero = _parts(conv.weight)
        self.taps = conv.window.kernel[0] * conv.window.kernel[1] * len(self.parts)
        stacked = self.parts.transpose(2, 1, 0, 3, 4).reshape(1, count, -1, conv.window.kernel[1])
        self.weights = pack(stacked, config.channels)[0]
        bias = conv.bias.astype(np.int64)
        self.parameters = ChannelParameters(scope, signs * bias, conv.requantiser.signed(signs), channels)
        self.diagonals = DiagonalWeights(scope, conv.weight) if any(self._gemm_share(2, 2)) else None
        sums = conv.x_zero * conv.weight.astype(np.int64).sum(axis=(1, 2, 3))
        self.gemm_parameters = ChannelParameters(scope, bias - sums, conv.requantiser, channels, "gemm")
        self.edges = [Edges() for _ in range(config.rows)]

    def _gemm_share(self, blocks: int, rows: int) -> tuple[int, int]:
        return share_of_gemm(self.scope.config, self.conv.weight, blocks, rows)

    def run(self) -> None:
        conv = self.conv
        size, rows, columns = choose_tile(self.scope.config, conv.y, conv.window, self.scope.layer, self._fits)
        rows = pipelined(conv.x, conv.y, rows)
        for blocks in ranges(conv.y.blocks, size):
            for tile in tiles(conv.y, rows, columns):
                self._add_item(tile, blocks)

    def _fits(self, size: TileSize, copies: int) -> bool:
        blocks, rows, columns = size
        config, memories = self.scope.config, self.scope.memories
        inputs, outputs = self.scope.room(self.conv.x, self.conv.y)
        return (
            blocks * frame_pixels(self.conv.window, rows, columns) * self.pixel * copies <= inputs
            and blocks * rows * columns * self.pixel * copies <= outputs
            and blocks * self.taps * self.pixel <= memories.act_constants.size
            and 2 * blocks * self.sub_out * copies <= min(config.bias_depth, config.scale_depth)
            and (
                self.diagonals is None
                or (
                    blocks * rows * columns * copies <= config.acc_depth
                    and blocks * self.diagonals.taps * copies <= config.wgt_depth
                )
            )
        )

    def _shares(self, tile: Tile, blocks: int) -> tuple[_Share, _Share]:
        """The matrix engine's, from the first block and row on, and the vector engine's."""
        most_blocks, most_rows = self._gemm_share(blocks, tile.rows)
        if most_rows:
            rest = _Share(0, blocks, most_rows, tile.rows - most_rows)
            return _Share(0, blocks, 0, most_rows), rest
        return _Share(0, most_blocks, 0, tile.rows), _Share(most_blocks, blocks - most_blocks, 0, tile.rows)

    def _add_item(self, tile: Tile, blocks: tuple[int, int]) -> None:
        scope, conv = self.scope, self.conv
        image, frame = source(scope, conv.x, tile, conv.window, blocks, conv.x_zero, self.edges)
        result = target(scope, conv.y, tile, blocks)
        matrix, lanes = self._shares(tile, blocks[1] - blocks[0])
        needs = [image, result.need]
        if matrix.lines:
            needs += self._matrix_needs(tile, matrix, blocks[0])
        if lanes.lines:
            needs += self._vector_needs(lanes, blocks[0])

        def work(places: Sequence[int]) -> None:
            x, y, *others = places
            if matrix.lines:
                self._multiply(tile, matrix, frame, x, others)
            if lanes.lines:
                self._reduce(tile, lanes, frame, result, (x, y, *others[-3:]))
            if matrix.lines:
                self._requantise(tile, matrix, result, y, others)
            tile.store(scope, conv.y, blocks, y, result.row, result.block)

        steps = max(matrix.lines, lanes.lines) * self.sub_out * tile.columns * self.taps
        scope.add(needs, work, steps)

    def _matrix_needs(self, tile: Tile, share: _Share, first: int) -> list[Need]:
        assert self.diagonals is not None
        blocks = (first + share.first_block, first + share.first_block + share.blocks)
        key = (self.scope.layer, "sum", tile, blocks)
        cells = Need(self.scope.memories.accumulators, key, share.lines * tile.columns)
        return [self.diagonals.need(blocks), cells, *self.gemm_parameters.needs(blocks)]

    def _vector_needs(self, share: _Share, first: int) -> list[Need]:
        blocks = (first + share.first_block, first + share.first_block + share.blocks)
        weights = self.weights[blocks[0] : blocks[1]].tobytes()
        table = self.scope.constant(self.scope.memories.act_constants, Memory.ACT, weights, blocks)
        return [table, *self.parameters.needs(blocks)]

    def _multiply(self, tile: Tile, share: _Share, frame: Frame, x: int, places: Sequence[int]) -> None:
        assert self.diagonals is not None
        extents = (share.blocks, share.rows, tile.columns)
        self.diagonals.multiply(frame, self.conv.window, extents, (x, *places[:2]), share.rows * tile.columns)

    def _requantise(self, tile: Tile, share: _Share, result: Target, y: int, places: Sequence[int]) -> None:
        _, acc, bias, scale, *_ = places
        conv = self.conv
        requantise(
            self.scope,
            [
                Loop(share.blocks, (share.rows * tile.columns, result.block, 1)),
                Loop(share.rows, (tile.columns, result.row, 0)),
                Loop(tile.columns, (1, self.pixel, 0)),
            ],
            (acc, bias, scale, y),
            shared=self.gemm_parameters.shared,
            zero_point=conv.y_zero,
            minimum=conv.minimum,
            maximum=conv.maximum,
            row_mask=tile.row_mask,
        )

    def _loops(self, tile: Tile, share: _Share, frame: Frame, result: Target) -> list[Loop]:
        """Steps of the frame, the weights, the result and the channels' parameters."""
        config, kernel, window = self.scope.config, self.conv.window.kernel, self.conv.window
        channels = share.blocks * config.channels
        height = (share.rows - 1) * window.strides[0] + window.reach[0]
        x = te.placeholder((1, channels, height, frame.width), "int8", "x")
        w = te.placeholder((channels, 1, *kernel), "int8", "w")
        y = depthwise(x, w, window)

        def in_blocks(stride: int) -> tuple[Piece, ...]:
            return lanes((share.blocks, stride), (self.sub_out, self.step), lanes=config.block_out)

        layouts: dict[te.Tensor, Layout] = {
            x: (plain(1, 0), in_blocks(frame.block), plain(height, frame.row), plain(frame.width, frame.pixel)),
            w: (
                in_blocks(self.taps * self.pixel),
                plain(1, 0),
                plain(kernel[0], kernel[1] * self.pixel),
                plain(kernel[1], self.pixel),
            ),
            y: (
                plain(1, 0),
                in_blocks(result.block),
                plain(share.rows, result.row),
                plain(tile.columns, frame.pixel),
            ),
        }
        part = self.taps // len(self.parts) * self.pixel
        loops = nest_loops(y, layouts, [*y.axes, *y.reduce_axes])
        loops.append(Loop(len(self.parts), (0, part, 0), reduction=True))
        cells = (0, self.sub_out, 1, 0, 0, 0, 0, 0)
        return [replace(loop, strides=(*loop.strides, cell)) for loop, cell in zip(loops, cells, strict=True)]

    def _reduce(self, tile: Tile, share: _Share, frame: Frame, result: Target, places: Sequence[int]) -> None:
        x, y, weights, bias, scale = places
        conv, shared = self.conv, self.parameters.shared
        x += share.first_block * frame.block + share.first_row * conv.window.strides[0] * frame.row
        y += share.first_block * result.block + share.first_row * result.row
        for piece in fit(self._loops(tile, share, frame, result), VECTOR_DIMS):
            self.scope.emit(
                vector(
                    function=Function.MAC,
                    bounds=piece.bounds,
                    reduce=len(piece.reductions),
                    a=(Memory.ACT, x + piece.bases[0], piece.strides(0)),
                    b=(Memory.ACT, weights + piece.bases[1], piece.strides(1)),
                    dst=(Memory.ACT, y + piece.bases[2], piece.strides(2)),
                    bias=bias + piece.bases[3],
                    scale=scale if shared else scale + piece.bases[3],
                    scale_shared=shared,
                    channel_strides=piece.strides(3),
                    a_zero=conv.x_zero,
                    b_zero=self.weight_zero,
                    zero_point=conv.y_zero,
                    minimum=conv.minimum,
                    maximum=conv.maximum,
                    row_mask=tile.row_mask,
                )
            )
