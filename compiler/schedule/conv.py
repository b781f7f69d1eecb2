"""Convolutions and fully connected layers: tiles of GEMM, requantised by the vector engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...isa.instruction import gemm
from ...isa.table import GEMM_DIMS, VECTOR_DIMS, Memory
from .. import te
from ..expressions import convolution
from ..output import Output
from ..requantise import Requantiser
from ..window import Window
from .addition import PASSES, Sum, emit_sum
from .conv_tiling import ConvChoice, ConvShape
from .frame import Edges, Frame
from .layout import Blocked
from .loops import Loop, fit
from .places import Target, source, target
from .requantisation import ChannelParameters, requantise, table_needs
from .scope import Need, Scope
from .tensorise import Layout, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .weights import eight_bit_parts

__all__ = ["Addend", "Convolution", "schedule_convolution"]


@dataclass(frozen=True)
class Addend:
    """int8 `term`, of the result's shape, which `sum` adds to it as its second term."""

    term: Blocked
    sum: Sum


@dataclass(frozen=True)
class Convolution:
    """int8 `x`, `weight` (O, C, KH, KW), `bias` (O,) → `y`; see the operators qconv, its variants, and qdepthwise.

    Members
    -------
    columns
        Neighbouring columns of `y` that a window makes; its groups of weights fill whole channel blocks then.
    """

    x: Blocked
    y: Blocked
    weight: np.ndarray
    bias: np.ndarray
    window: Window
    requantiser: Requantiser
    x_zero: int
    output: Output
    columns: int = 1
    addend: Addend | None = None


def schedule_convolution(scope: Scope, conv: Convolution) -> None:
    """Add the items of `conv`: for every tile, group of output channels and pass over input channels one."""
    _Schedule(scope, conv).run()


@dataclass(frozen=True)
class _Other:
    """What a tile needs to add its other term, which lies as `frame`."""

    sum: Sum
    frame: Frame
    needs: list[Need]


class _Schedule:
    def __init__(self, scope: Scope, conv: Convolution) -> None:
        config = scope.config
        self.scope = scope
        self.conv = conv
        self.parts, signs = eight_bit_parts(conv.weight)
        n, channels, height, width = conv.y.shape
        across = len(conv.weight) if conv.columns > 1 else channels
        self.results = (n, across, height, width // conv.columns)
        self.shape = ConvShape.of(
            config,
            conv.x.shape,
            self.results,
            conv.window,
            parts=len(self.parts),
            together=conv.columns > 1,
            passes=1 + PASSES if conv.addend else 1,
            brought=scope.memories.inputs.size if conv.addend and conv.addend.term.resident is None else 0,
        )
        self.tiling = scope.decide(ConvChoice(config, self.shape, scope.layer, scope.room(conv.x, conv.y)))
        self.tables = table_needs(scope, conv.output)
        self.edges = [Edges() for _ in range(config.rows)]
        self.loops: dict[tuple[int, ...], list[Loop]] = {}
        self.pixel = conv.y.pixel
        self.sub_in = self.shape.sub_in
        self.sub_out = config.channels // config.block_out
        self.tiles = self._packed_weights()
        count = len(conv.bias)
        sums = conv.weight[:count].astype(np.int64).sum(axis=(1, 2, 3))
        bias = signs[:count] * (conv.bias.astype(np.int64) - conv.x_zero * sums)
        requantiser = conv.requantiser.signed(signs[:count])
        self.parameters = ChannelParameters(scope, bias, requantiser, conv.y.blocks * config.channels)

    def _packed_weights(self) -> np.ndarray:
        """int8 (output tiles, input blocks, tiles of a block, parts, KH, KW, block_out, block_in), zeros beyond."""
        config = self.scope.config
        parts, outputs, inputs, *kernel = self.parts.shape
        blocks_out = self.shape.blocks_out * self.sub_out
        width = self.shape.blocks_in * config.channels
        padded = np.zeros((parts, blocks_out * config.block_out, width, *kernel), dtype=np.int8)
        padded[:, :outputs, :inputs] = self.parts
        split = padded.reshape(parts, blocks_out, config.block_out, self.shape.blocks_in, -1, config.block_in, *kernel)
        return np.ascontiguousarray(split.transpose(1, 3, 4, 0, 6, 7, 2, 5)[:, :, : self.sub_in])

    def run(self) -> None:
        parts = list(tiles(replace(self.conv.y, shape=self.results), self.tiling.rows, self.tiling.columns))
        groups = list(ranges(self.shape.blocks_out, self.tiling.outputs))
        pairs = [(tile, group) for tile in parts for group in groups]
        if self.tiling.groups_outside:
            pairs = [(tile, group) for group in groups for tile in parts]
        passes = list(ranges(self.shape.blocks_in, self.tiling.inputs))
        for tile, group in pairs:
            for inputs in passes:
                self._add_item(tile, group, inputs, first=inputs == passes[0], last=inputs == passes[-1])

    def _add_item(
        self, tile: Tile, group: tuple[int, int], inputs: tuple[int, int], *, first: bool, last: bool
    ) -> None:
        memories, layer = self.scope.memories, self.scope.layer
        conv = self.conv
        image, frame = source(self.scope, conv.x, tile, conv.window, inputs, conv.x_zero, self.edges)
        made, whole = tile, group
        if conv.columns > 1:
            made = replace(tile, column=tile.column * conv.columns, columns=tile.columns * conv.columns)
            whole = (0, conv.y.blocks)
        result = target(self.scope, conv.y, made, whole)
        pixels = tile.rows * tile.columns
        blocks = group[1] - group[0]
        needs = [
            image,
            self._weights(group, inputs),
            Need(memories.accumulators, (layer, "sum", tile, group), blocks * self.sub_out * pixels),
        ]
        if last:
            needs += self.parameters.needs(whole)
            needs += [result.need, *self.tables]
        other = self._other(tile, group) if last else None
        if other is not None:
            needs += other.needs

        def work(places: Sequence[int]) -> None:
            self._multiply(tile, frame, blocks, places, accumulate=not first)
            if last:
                self._requantise(tile, blocks, result, places[: 6 + len(self.tables)])
                if other is not None:
                    self._add(tile, blocks, result, other, (*places[:6], *places[6 + len(self.tables) :]))
                made.store(self.scope, conv.y, whole, places[5], result.row, result.block)

        products = (inputs[1] - inputs[0]) * self.sub_in * self.shape.taps
        passes = 1 + PASSES if other is not None else int(last)
        self.scope.add(needs, work, pixels * blocks * self.sub_out * max(products, passes))

    def _weights(self, group: tuple[int, int], inputs: tuple[int, int]) -> Need:
        chosen = self.tiles[group[0] * self.sub_out : group[1] * self.sub_out, inputs[0] : inputs[1]]
        return self.scope.constant(self.scope.memories.weights, Memory.WGT, chosen.tobytes(), (group, inputs))

    def _multiply_loops(self, tile: Tile, frame: Frame, blocks: int) -> list[Loop]:
        """Steps of ACT, WGT and ACC: weight tiles outside, pixels inside; each part meets the same pixels."""
        config, (kernel_rows, kernel_columns) = self.scope.config, self.conv.window.kernel
        inputs, outputs = (frame.blocks, self.sub_in), blocks * self.sub_out
        part = kernel_rows * kernel_columns
        taps = part * len(self.parts)
        x = te.placeholder((1, prod(inputs) * config.block_in, frame.height, frame.width), "int8", "x")
        w = te.placeholder((outputs * config.block_out, x.shape[1], kernel_rows, kernel_columns), "int8", "w")
        y = convolution(x, w, self.conv.window)
        step = config.block_in // config.granule
        layouts: dict[te.Tensor, Layout] = {
            x: (
                plain(1, 0),
                lanes((inputs[0], frame.block), (inputs[1], step), lanes=config.block_in),
                plain(frame.height, frame.row),
                plain(frame.width, frame.pixel),
            ),
            w: (
                lanes((outputs, prod(inputs) * taps), lanes=config.block_out),
                lanes((inputs[0], inputs[1] * taps), (inputs[1], taps), lanes=config.block_in),
                plain(kernel_rows, kernel_columns),
                plain(kernel_columns, 1),
            ),
            y: (
                plain(1, 0),
                lanes((outputs, tile.rows * tile.columns), lanes=config.block_out),
                plain(tile.rows, tile.columns),
                plain(tile.columns, 1),
            ),
        }
        n, channel, row, column = y.axes
        loops = nest_loops(y, layouts, [n, channel, *y.reduce_axes, row, column])
        return [Loop(len(self.parts), (0, part, 0), reduction=True), *loops]

    def _multiply(self, tile: Tile, frame: Frame, blocks: int, places: Sequence[int], *, accumulate: bool) -> None:
        shape = (tile.rows, tile.columns, frame.blocks, blocks)
        if shape not in self.loops:
            self.loops[shape] = self._multiply_loops(tile, frame, blocks)
        loops = self.loops[shape]
        for piece in fit(loops, GEMM_DIMS):
            adds = accumulate or not piece.first
            act, wgt, acc = ((places[k] + piece.bases[k], piece.strides(k)) for k in range(3))
            overwrite = [] if adds else piece.reductions
            self.scope.emit(gemm(bounds=piece.bounds, act=act, wgt=wgt, acc=acc, accumulate=adds, overwrite=overwrite))

    def _requantise(self, tile: Tile, blocks: int, result: Target, places: Sequence[int]) -> None:
        _, _, acc, bias, scale, out, *tables = places
        conv, pixels = self.conv, tile.rows * tile.columns
        granules = self.scope.config.block_out // self.scope.config.granule
        blocks //= conv.columns
        loops = [
            Loop(conv.columns, (blocks * self.sub_out * pixels, self.pixel, 0)),
            Loop(blocks, (self.sub_out * pixels, result.block, self.sub_out)),
            Loop(self.sub_out, (pixels, granules, 1)),
            Loop(tile.rows, (tile.columns, result.row, 0)),
            Loop(tile.columns, (1, conv.columns * self.pixel, 0)),
        ]
        requantise(
            self.scope,
            loops,
            (acc, bias, scale, out),
            shared=self.parameters.shared,
            output=conv.output,
            tables=tables,
            row_mask=tile.row_mask,
        )

    def _other(self, tile: Tile, group: tuple[int, int]) -> _Other | None:
        addend = self.conv.addend
        if addend is None:
            return None
        pixels = Window.of_pixels(self.results[2:])
        need, frame = source(self.scope, addend.term, tile, pixels, group, 0, self.edges)
        return _Other(addend.sum, frame, [need, *addend.sum.needs(self.scope)])

    def _add(self, tile: Tile, blocks: int, result: Target, other: _Other, places: Sequence[int]) -> None:
        """The other term to the result, by way of the accumulators that it came from."""
        _, _, acc, _, _, out, term, *constants = places
        pixels, frame = tile.rows * tile.columns, other.frame
        step = self.scope.config.block_out // self.scope.config.granule
        loops = [
            Loop(blocks, (result.block, frame.block, self.sub_out * pixels, result.block)),
            Loop(self.sub_out, (step, step, pixels, step)),
            Loop(tile.rows, (result.row, frame.row, tile.columns, result.row)),
            Loop(tile.columns, (self.pixel, frame.pixel, 1, self.pixel)),
        ]
        for piece in fit(loops, VECTOR_DIMS):
            emit_sum(self.scope, other.sum, piece, (out, term, acc, out), constants, tile.row_mask)
