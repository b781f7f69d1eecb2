"""Depthwise convolutions: the vector engine multiplies and adds over the taps, and requantises in the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import depthwise
from .conv import Convolution
from .frame import Edges, Frame
from .layout import pack
from .loops import Loop, fit
from .scope import Need, Scope
from .tensorise import Layout, Piece, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .weights import eight_bit_parts, scale_cells, shifted_to_eight_bits
from .window_tiling import TileSize, choose_tile, frame_pixels

__all__ = ["schedule_depthwise"]


def schedule_depthwise(scope: Scope, conv: Convolution) -> None:
    """Add the items of `conv`, one a group of channel blocks and tile."""
    _Schedule(scope, conv).run()


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
        signs = np.ones(count, np.int64)
        shifted = shifted_to_eight_bits(conv.weight)
        if shifted is None:
            self.parts, signs = eight_bit_parts(conv.weight)
            self.weight_zero = 0
        else:
            self.parts, self.weight_zero = shifted[0][np.newaxis], shifted[1]
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
        for blocks in ranges(conv.y.blocks, size):
            for tile in tiles(conv.y, rows, columns):
                self._add_item(tile, blocks)

    def _fits(self, size: TileSize, copies: int) -> bool:
        blocks, rows, columns = size
        config, outputs = self.scope.config, self.scope.memories.outputs
        places = outputs.span(blocks * rows * columns * self.pixel) * copies + outputs.span(
            blocks * self.taps * self.pixel
        )
        return (
            blocks * frame_pixels(self.conv.window, rows, columns) * self.pixel * copies <= config.act_depth // 2
            and places <= outputs.size
            and blocks * self.sub_out * copies <= min(config.bias_depth, config.scale_depth)
        )

    def _add_item(self, tile: Tile, blocks: tuple[int, int]) -> None:
        scope, conv = self.scope, self.conv
        memories, channels = scope.memories, scope.config.channels
        span = slice(blocks[0] * channels, blocks[1] * channels)
        frame = tile.frame(conv.x, conv.window, blocks, conv.x_zero)
        size = (blocks[1] - blocks[0]) * tile.rows * tile.columns * self.pixel
        weights = self.weights[blocks[0] : blocks[1]].tobytes()
        needs = [
            Need(
                memories.inputs,
                (scope.layer, "x", tile, blocks),
                frame.size,
                lambda base: tile.load(scope, frame, conv.window, base, self.edges),
            ),
            scope.constant(memories.outputs, Memory.ACT, weights, blocks),
            scope.constant(memories.biases, Memory.BIAS, self.biases[span].tobytes(), blocks),
            scope.constant(memories.scales, Memory.SCALE, self.scales[span].tobytes(), blocks),
            Need(memories.outputs, (scope.layer, "y", tile, blocks), size),
        ]

        def work(places: Sequence[int]) -> None:
            self._reduce(tile, frame, places)
            tile.store(scope, conv.y, blocks, places[4])

        scope.add(needs, work)

    def _loops(self, tile: Tile, frame: Frame) -> list[Loop]:
        """Steps of the frame, the weights, the result and the channels' parameters."""
        config, kernel = self.scope.config, self.conv.window.kernel
        line = tile.columns * self.pixel
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
                in_blocks(tile.rows * line),
                plain(tile.rows, line),
                plain(tile.columns, frame.pixel),
            ),
        }
        part = self.taps // len(self.parts) * self.pixel
        loops = nest_loops(y, layouts, [*y.axes, *y.reduce_axes])
        loops.append(Loop(len(self.parts), (0, part, 0), reduction=True))
        cells = (0, self.sub_out, 1, 0, 0, 0, 0, 0)
        return [replace(loop, strides=(*loop.strides, cell)) for loop, cell in zip(loops, cells, strict=True)]

    def _reduce(self, tile: Tile, frame: Frame, places: Sequence[int]) -> None:
        x, weights, bias, scale, y = places
        conv = self.conv
        for piece in fit(self._loops(tile, frame), VECTOR_DIMS):
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
