"""Depthwise convolutions: the vector engine reduces over the taps and requantises in one pass; so does, beside it,
the matrix engine for its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

import numpy as np

from ...config import Config
from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import depthwise
from .conv import Convolution
from .depthwise_choice import DepthwiseChoice
from .depthwise_gemm import DiagonalWeights, share_of_gemm
from .frame import Edges, Frame
from .layout import pack
from .loops import Loop, fit
from .places import Target, source, target
from .requantisation import ChannelParameters, requantise, settled, table_needs
from .scope import Need, Scope
from .tensorise import Layout, Piece, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .weights import eight_bit_parts, shifted_to_eight_bits
from .window_tiling import TileSize, WindowChoice, frame_pixels

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
    """What one engine does: channel blocks [first, end) of a tile."""

    tile: Tile
    blocks: tuple[int, int]
    frame: Frame
    result: Target
    image: Need

    @property
    def count(self) -> int:
        return self.blocks[1] - self.blocks[0]

    @property
    def pixels(self) -> int:
        return self.tile.rows * self.tile.columns


class _Schedule:
    """Both engines that multiply work side by side, each on its share of the image.

    What either reads lies in other banks than what the other reads, and the vector engine's weights again in others:
    see `split` in resident.py. So an image that only passes through ACT is the vector engine's alone. Parts of
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
        self.tiling = scope.decide(self._choice())
        self.diagonals = DiagonalWeights(scope, conv.weight) if any(self.tiling.share) else None
        sums = conv.x_zero * conv.weight.astype(np.int64).sum(axis=(1, 2, 3))
        self.gemm_parameters = ChannelParameters(scope, bias - sums, conv.requantiser, channels, "gemm")
        self.tables = table_needs(scope, conv.output)
        self.edges = [Edges() for _ in range(config.rows)]
        self.loops: dict[tuple[int, ...], list[Loop]] = {}

    def _choice(self) -> DepthwiseChoice:
        config, conv = self.scope.config, self.conv
        share = (0, 0)
        if conv.x.resident is not None:
            share = share_of_gemm(config, conv.weight, conv.y.shape[2])
        fits = partial(self._fits, self.scope.room(conv.x, conv.y))
        tile = WindowChoice.between(config, conv.x, conv.y, conv.window, self.scope.layer, partial(fits, on_gemm=False))
        return DepthwiseChoice(tile, partial(fits, on_gemm=True), share)

    def run(self) -> None:
        y, size, rows, columns = self.conv.y, self.tiling.blocks, self.tiling.rows, self.tiling.columns
        gemm_blocks, gemm_rows = self.tiling.share
        if gemm_rows:
            upper = tiles(y, rows, columns, ((0, gemm_rows), (0, y.shape[3])))
            lower = tiles(y, rows, columns, ((gemm_rows, y.shape[2]), (0, y.shape[3])))
            for matrix, lanes in zip_longest(upper, lower):
                self._add_item(self._share(matrix, (0, y.blocks)), self._share(lanes, (0, y.blocks)))
            return
        split = [*ranges(gemm_blocks, size)], [*ranges(y.blocks, size, gemm_blocks)]
        for tile in tiles(y, rows, columns):
            for matrix_blocks, lanes_blocks in zip_longest(*split):
                self._add_item(self._share(tile, matrix_blocks), self._share(tile, lanes_blocks))

    def _fits(self, room: tuple[int, int], size: TileSize, copies: int, *, on_gemm: bool) -> bool:
        blocks, rows, columns = size
        config, memories = self.scope.config, self.scope.memories
        inputs, outputs = room
        granules, taps = blocks * self.pixel * copies, self.conv.window.kernel[0] * self.conv.window.kernel[1]
        sums = blocks * rows * columns * copies if on_gemm else 0
        diagonals = blocks * taps * copies if on_gemm else 0
        return (
            granules * frame_pixels(self.conv.window, rows, columns) <= inputs
            and granules * rows * columns <= outputs
            and blocks * self.taps * self.pixel <= memories.act_constants.size
            and 2 * blocks * self.sub_out * copies <= min(config.bias_depth, config.scale_depth)
            and sums <= config.acc_depth
            and diagonals <= config.wgt_depth
        )

    def _share(self, tile: Tile | None, blocks: tuple[int, int] | None) -> _Share | None:
        if tile is None or blocks is None:
            return None
        conv = self.conv
        image, frame = source(self.scope, conv.x, tile, conv.window, blocks, conv.x_zero, self.edges)
        return _Share(tile, blocks, frame, target(self.scope, conv.y, tile, blocks), image)

    def _add_item(self, matrix: _Share | None, lanes: _Share | None) -> None:
        """The matrix engine's share, and the vector engine's, of which one may be missing."""
        needs = [] if matrix is None else self._matrix_needs(matrix)
        first = len(needs)
        needs += [] if lanes is None else self._vector_needs(lanes)

        def work(places: Sequence[int]) -> None:
            if matrix is not None:
                self._multiply(matrix, places)
            if lanes is not None:
                self._reduce(lanes, places[first:])
            if matrix is not None:
                self._requantise(matrix, places[:first])
                matrix.tile.store(
                    self.scope, self.conv.y, matrix.blocks, places[1], matrix.result.row, matrix.result.block
                )
            if lanes is not None:
                lanes.tile.store(
                    self.scope, self.conv.y, lanes.blocks, places[first + 1], lanes.result.row, lanes.result.block
                )

        steps = max(0 if share is None else share.count * share.pixels for share in (matrix, lanes))
        self.scope.add(needs, work, steps * self.sub_out * self.taps)

    def _matrix_needs(self, share: _Share) -> list[Need]:
        assert self.diagonals is not None
        key = (self.scope.layer, "sum", share.tile, share.blocks)
        sums = Need(self.scope.memories.accumulators, key, share.count * share.pixels)
        weights = self.diagonals.need(share.blocks)
        constants = [*self.gemm_parameters.needs(share.blocks), *self.tables]
        return [share.image, share.result.need, weights, sums, *constants]

    def _vector_needs(self, share: _Share) -> list[Need]:
        content = self.weights[slice(*share.blocks)].tobytes()
        weights = self.scope.constant(self.scope.memories.act_constants, Memory.ACT, content, share.blocks)
        return [share.image, share.result.need, weights, *self.parameters.needs(share.blocks), *self.tables]

    def _multiply(self, share: _Share, places: Sequence[int]) -> None:
        assert self.diagonals is not None
        x, _, weights, sums, *_ = places
        extents = (share.count, share.tile.rows, share.tile.columns)
        self.diagonals.multiply(share.frame, self.conv.window, extents, (x, weights, sums))

    def _requantise(self, share: _Share, places: Sequence[int]) -> None:
        _, y, _, sums, bias, scale, *tables = places
        conv, tile, result = self.conv, share.tile, share.result
        requantise(
            self.scope,
            [
                Loop(share.count, (share.pixels, result.block, 1)),
                Loop(tile.rows, (tile.columns, result.row, 0)),
                Loop(tile.columns, (1, self.pixel, 0)),
            ],
            (sums, bias, scale, y),
            shared=self.gemm_parameters.shared,
            output=conv.output,
            tables=tables,
            row_mask=tile.row_mask,
        )

    def _loops(self, share: _Share) -> list[Loop]:
        """Steps of the frame, the weights, the result and the channels' parameters; alike for shares of one form."""
        tile, frame, result = share.tile, share.frame, share.result
        form = (share.count, tile.rows, tile.columns, frame.height, frame.width, frame.row, frame.block)
        key = (*form, result.row, result.block)
        if key not in self.loops:
            self.loops[key] = self._loops_of(share)
        return self.loops[key]

    def _loops_of(self, share: _Share) -> list[Loop]:
        config, kernel = self.scope.config, self.conv.window.kernel
        tile, frame, result = share.tile, share.frame, share.result
        channels = share.count * config.channels
        x = te.placeholder((1, channels, frame.height, frame.width), "int8", "x")
        w = te.placeholder((channels, 1, *kernel), "int8", "w")
        y = depthwise(x, w, self.conv.window)

        def in_blocks(stride: int) -> tuple[Piece, ...]:
            return lanes((share.count, stride), (self.sub_out, self.step), lanes=config.block_out)

        layouts: dict[te.Tensor, Layout] = {
            x: (plain(1, 0), in_blocks(frame.block), plain(frame.height, frame.row), plain(frame.width, frame.pixel)),
            w: (
                in_blocks(self.taps * self.pixel),
                plain(1, 0),
                plain(kernel[0], kernel[1] * self.pixel),
                plain(kernel[1], self.pixel),
            ),
            y: (
                plain(1, 0),
                in_blocks(result.block),
                plain(tile.rows, result.row),
                plain(tile.columns, frame.pixel),
            ),
        }
        part = self.taps // len(self.parts) * self.pixel
        loops = nest_loops(y, layouts, [*y.axes, *y.reduce_axes])
        loops.append(Loop(len(self.parts), (0, part, 0), reduction=True))
        cells = (0, self.sub_out, 1, 0, 0, 0, 0, 0)
        return [replace(loop, strides=(*loop.strides, cell)) for loop, cell in zip(loops, cells, strict=True)]

    def _reduce(self, share: _Share, places: Sequence[int]) -> None:
        x, y, weights, bias, scale, *tables = places
        conv, shared = self.conv, self.parameters.shared
        for piece in fit(self._loops(share), VECTOR_DIMS):
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
                    row_mask=share.tile.row_mask,
                    **settled(self.scope, conv.output, tables),
                )
            )
