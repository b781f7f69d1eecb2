"""Depthwise convolutions: the vector engine multiplies and adds over the taps, and requantises in the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...config import Config
from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import depthwise
from .conv import Convolution
from .frame import Edges, Frame
from .layout import pack
from .loops import Loop, fit
from .places import Target, source, target
from .scope import Scope
from .tensorise import Layout, Piece, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .weights import eight_bit_parts, scale_cells, shifted_to_eight_bits
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


class _Schedule:
    """Weights lie with the results, in other banks than the image: each step reads one cell of both.

    Parts of weights with more than eight bits lie one after the other, and each meets the same pixels.
    """

    def __init__(self, scope: Scope, conv: Convolution) -> None:
        config = scope.config
        self.scope = scope
        self.conv = conv
        self.pixel = config.channels // config.granule
        self.step = config.block_out // config.granule
        self.sub_out = config.channels // config.block_out
        channels = conv.y.blocks * config.channels
        count = len(conv.weight)
        self.parts, signs, self.weight_zero = _parts(conv.weight)
        self.taps = conv.window.kernel[0] * conv.window.kernel[1] * len(self.parts)
        stacked = self.parts.transpose(2, 1, 0, 3, 4).reshape(1, count, -1, conv.window.kernel[1])
        self.weights = pack(stacked, config.channels)[0]
        self.biases = np.zeros(channels, dtype=np.int32)
        self.biases[:count] = signs * conv.bias.astype(np.int64)
        self.scales = scale_cells(conv.requantiser.signed(signs), count, channels)
        self.edges = [Edges() for _ in range(config.rows)]

    def run(self) -> None:
        conv = self.conv
        size, rows, columns = choose_tile(self.scope.config, conv.y, conv.window, self.scope.layer, self._fits)
        rows = pipelined(conv.x, conv.y, rows)
        for blocks in ranges(conv.y.blocks, size):
            for tile in tiles(conv.y, rows, columns):
                self._add_item(tile, blocks)

    def _fits(self, size: TileSize, copies: int) -> bool:
        blocks, rows, columns = size
        config = self.scope.config
        inputs, outputs = self.scope.room(self.conv.x, self.conv.y)
        return (
            blocks * frame_pixels(self.conv.window, rows, columns) * self.pixel * copies <= inputs
            and blocks * rows * columns * self.pixel * copies <= outputs
            and blocks * self.taps * self.pixel <= self.scope.memories.act_constants.size
            and blocks * self.sub_out * copies <= min(config.bias_depth, config.scale_depth)
        )

    def _add_item(self, tile: Tile, blocks: tuple[int, int]) -> None:
        scope, conv = self.scope, self.conv
        memories, channels = scope.memories, scope.config.channels
        span = slice(blocks[0] * channels, blocks[1] * channels)
        image, frame = source(scope, conv.x, tile, conv.window, blocks, conv.x_zero, self.edges)
        result = target(scope, conv.y, tile, blocks)
        weights = self.weights[blocks[0] : blocks[1]].tobytes()
        needs = [
            image,
            scope.constant(memories.act_constants, Memory.ACT, weights, blocks),
            scope.constant(memories.biases, Memory.BIAS, self.biases[span].tobytes(), blocks),
            scope.constant(memories.scales, Memory.SCALE, self.scales[span].tobytes(), blocks),
            result.need,
        ]

        def work(places: Sequence[int]) -> None:
            self._reduce(tile, frame, result, places)
            tile.store(scope, conv.y, blocks, places[4], result.row, result.block)

        steps = (blocks[1] - blocks[0]) * self.sub_out * tile.rows * tile.columns * self.taps
        scope.add(needs, work, steps)

    def _loops(self, tile: Tile, frame: Frame, result: Target) -> list[Loop]:
        """Steps of the frame, the weights, the result and the channels' parameters."""
        config, kernel = self.scope.config, self.conv.window.kernel
        channels = frame.blocks * config.channels
        x = te.placeholder((1, channels, frame.height, frame.width), "int8", "x")
        w = te.placeholder((channels, 1, *kernel), "int8", "w")
        y = depthwise(x, w, self.conv.window)

        def in_blocks(stride: int) -> tuple[Piece, ...]:
            return lanes((frame.blocks, stride), (self.sub_out, self.step), lanes=config.block_out)

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

    def _reduce(self, tile: Tile, frame: Frame, result: Target, places: Sequence[int]) -> None:
        x, weights, bias, scale, y = places
        conv = self.conv
        for piece in fit(self._loops(tile, frame, result), VECTOR_DIMS):
            self.scope.emit(
                vector(
                    function=Function.MAC,
                    bounds=piece.bounds,
                    reduce=len(piece.reductions),
                    a=(Memory.ACT, x + piece.bases[0], piece.strides(0)),
                    b=(Memory.ACT, weights + piece.bases[1], piece.strides(1)),
                    dst=(Memory.ACT, y + piece.bases[2], piece.strides(2)),
                    bias=bias + piece.bases[3],
                    scale=scale + piece.bases[3],
                    channel_strides=piece.strides(3),
                    a_zero=conv.x_zero,
                    b_zero=self.weight_zero,
                    zero_point=conv.y_zero,
                    minimum=conv.minimum,
                    maximum=conv.maximum,
                    row_mask=tile.row_mask,
                )
            )
