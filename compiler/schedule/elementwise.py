"""Element by element: what such layers share, and changes of scale and functions by table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from ..output import Output
from ..requantise import Requantiser
from ..window import Window
from .frame import Edges
from .layout import Blocked
from .loops import Loop, Piece, fit
from .places import Target, source, target
from .requantisation import settled, shared_scale, table_needs
from .residency import Region
from .scope import Need, Scope
from .tile import Tile, ranges, tiles
from .window_tiling import TileSize, WindowChoice

__all__ = ["Part", "Parts", "Rescale", "Steps", "schedule_rescale"]

Steps = tuple[int, int, int, int]
"""From a channel block, a row, a column and a part of a block to the next."""


@dataclass(frozen=True)
class Rescale:
    """int8 `x` → `y`; see the operators qrescale and qtable."""

    x: Blocked
    y: Blocked
    requantiser: Requantiser | None
    x_zero: int
    output: Output


@dataclass(frozen=True)
class Part:
    """Channel blocks [first, end) of a tile."""

    tile: Tile
    blocks: tuple[int, int]

    @property
    def pixels(self) -> int:
        return (self.blocks[1] - self.blocks[0]) * self.tile.rows * self.tile.columns


class Parts:
    """A result in parts of which two fit the memories, with what each of them needs.

    Parameters
    ----------
    operands
        What is read element by element.
    beside
        What is read likewise, but passes through ACT among the results.
    sums
        Whether ACC takes part.
    """

    def __init__(
        self,
        scope: Scope,
        y: Blocked,
        operands: Sequence[Blocked],
        *,
        beside: Sequence[Blocked] = (),
        sums: bool = False,
    ) -> None:
        config = scope.config
        self.scope = scope
        self.y = y
        self.vectors = config.channels // config.block_out
        self.step = config.block_out // config.granule
        images = sum(operand.resident is None for operand in operands)
        results = sum(operand.resident is None for operand in (*beside, y))
        room, places = scope.memories.inputs.size, scope.memories.outputs.size

        def fits(size: TileSize, copies: int) -> bool:
            pixels = size[0] * size[1] * size[2] * copies
            return (
                pixels * y.pixel * images <= room
                and pixels * y.pixel * results <= places
                and (not sums or pixels * self.vectors <= config.acc_depth)
            )

        self._window = Window.of_pixels((y.shape[2], y.shape[3]))
        self._tiling = scope.decide(WindowChoice.between(config, operands[0], y, self._window, scope.layer, fits))

    def __iter__(self) -> Iterator[Part]:
        for tile in tiles(self.y, self._tiling.rows, self._tiling.columns):
            for pair in ranges(self.y.blocks, self._tiling.blocks):
                yield Part(tile, pair)

    def operand(self, x: Blocked, part: Part, region: Region | None = None) -> tuple[Need, Steps]:
        """What `part` sees of `x`, and how that lies; an `x` of one pixel meets all of them.

        `region`: where it passes through, unless among the images.
        """
        tile, window = part.tile, self._window
        if x.shape[0] != self.y.shape[0]:
            tile = replace(tile, n=0)
        spread = x.shape[2:] != self.y.shape[2:]
        if spread:
            tile = replace(tile, row=0, rows=1, column=0, columns=1, end=1)
            window = replace(window, strides=(0, 0))
        edges = [Edges() for _ in range(self.scope.config.rows)]
        need, frame = source(self.scope, x, tile, window, part.blocks, 0, edges)
        if region is not None and x.resident is None:
            need = replace(need, region=region)
        return need, (frame.block, 0 if spread else frame.row, 0 if spread else frame.pixel, self.step)

    def result(self, part: Part) -> tuple[Target, Steps]:
        """Room for `part`, and how it will lie."""
        place = target(self.scope, self.y, part.tile, part.blocks)
        return place, (place.block, place.row, self.y.pixel, self.step)

    def sums(self, part: Part) -> tuple[Need, Steps]:
        """Room in ACC for `part`, and how it will lie."""
        key = (self.scope.layer, "sum", self.y.offset, part)
        line = part.tile.columns * self.vectors
        need = Need(self.scope.memories.accumulators, key, part.pixels * self.vectors)
        return need, (part.tile.rows * line, line, self.vectors, 1)

    def nest(self, part: Part, *operands: Steps) -> Piece:
        """The nest over the vectors of `part`."""
        count = part.blocks[1] - part.blocks[0]
        extents = (count, part.tile.rows, part.tile.columns, self.vectors)
        loops = [Loop(extent, steps) for extent, steps in zip(extents, zip(*operands, strict=True), strict=True)]
        (piece,) = fit(loops, VECTOR_DIMS)
        return piece


def schedule_rescale(scope: Scope, rescale: Rescale) -> None:
    """Add the items of `rescale`: one pass of the vector engine a part."""
    parts = Parts(scope, rescale.y, [rescale.x])
    for part in parts:
        image, read = parts.operand(rescale.x, part)
        result, written = parts.result(part)
        needs = [image, result.need]
        if rescale.requantiser is not None:
            needs.append(shared_scale(scope, rescale.requantiser))
        needs += table_needs(scope, rescale.output)
        nest = parts.nest(part, read, written)

        def work(places: Sequence[int], part: Part = part, nest: Piece = nest, result: Target = result) -> None:
            _rescale(scope, rescale, part, nest, places)
            part.tile.store(scope, rescale.y, part.blocks, places[1], result.row, result.block)

        scope.add(needs, work, part.pixels * parts.vectors)


def _rescale(scope: Scope, rescale: Rescale, part: Part, nest: Piece, places: Sequence[int]) -> None:
    first, second, *rest = places
    scale = rest.pop(0) if rescale.requantiser is not None else None
    scope.emit(
        vector(
            function=Function.SUM,
            bounds=nest.bounds,
            a=(Memory.ACT, first, nest.strides(0)),
            dst=(Memory.ACT, second, nest.strides(1)),
            scale=scale,
            scale_shared=scale is not None,
            a_zero=rescale.x_zero,
            row_mask=part.tile.row_mask,
            **settled(scope, rescale.output, rest),
        )
    )
