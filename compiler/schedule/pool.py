"""Pooling: windows reduced by the vector engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import window_reduction
from ..output import Output
from ..requantise import Requantiser
from ..window import Window
from .frame import Edges, Frame
from .layout import Blocked
from .loops import Loop, fit
from .places import Target, source, target
from .requantisation import settled, shared_scale, table_needs
from .scope import Scope
from .tensorise import Layout, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .window_tiling import TileSize, WindowChoice, WindowTiling, frame_pixels

__all__ = ["Pooling", "schedule_pooling"]


@dataclass(frozen=True)
class Pooling:
    """int8 `x` → `y` by MAX or SUM over windows.

    Members
    -------
    padding
        What the windows see outside the image.
    rectangle
        [first, end) rows and columns of `y`, where it is not all of it.
    """

    x: Blocked
    y: Blocked
    function: Function
    window: Window
    requantiser: Requantiser | None
    padding: int
    x_zero: int
    output: Output
    rectangle: tuple[tuple[int, int], tuple[int, int]] | None = None


def schedule_pooling(scope: Scope, pool: Pooling) -> None:
    """Add the items of `pool`, one a tile and group of channel blocks."""
    edges = [Edges() for _ in range(scope.config.rows)]
    tiling = _tiling(scope, pool)
    for tile in tiles(pool.y, tiling.rows, tiling.columns, pool.rectangle):
        for blocks in ranges(pool.y.blocks, tiling.blocks):
            _add_item(scope, pool, tile, blocks, edges)


def _tiling(scope: Scope, pool: Pooling) -> WindowTiling:
    config = scope.config
    inputs, outputs = scope.room(pool.x, pool.y)

    def fits(size: TileSize, copies: int) -> bool:
        blocks, rows, columns = size
        granules = blocks * pool.y.pixel * copies
        return granules * frame_pixels(pool.window, rows, columns) <= inputs and granules * rows * columns <= outputs

    choice = WindowChoice.between(config, pool.x, pool.y, pool.window, scope.layer, fits)
    if pool.rectangle is not None:
        height, width = (end - first for first, end in pool.rectangle)
        choice = replace(choice, y=replace(pool.y, shape=(*pool.y.shape[:2], height, width)))
    return scope.decide(choice)


def _add_item(scope: Scope, pool: Pooling, tile: Tile, blocks: tuple[int, int], edges: list[Edges]) -> None:
    image, frame = source(scope, pool.x, tile, pool.window, blocks, pool.padding, edges)
    result = target(scope, pool.y, tile, blocks)
    needs = [image, result.need]
    if pool.requantiser is not None:
        needs.append(shared_scale(scope, pool.requantiser))
    needs += table_needs(scope, pool.output)

    def work(places: Sequence[int]) -> None:
        _reduce(scope, pool, tile, frame, result, places)
        tile.store(scope, pool.y, blocks, places[1], result.row, result.block)

    kernel = pool.window.kernel[0] * pool.window.kernel[1]
    parts = pool.y.pixel * scope.config.granule // scope.config.block_out
    scope.add(needs, work, (blocks[1] - blocks[0]) * parts * tile.rows * tile.columns * kernel)


def _reduce_loops(scope: Scope, pool: Pooling, tile: Tile, frame: Frame, result: Target) -> list[Loop]:
    """Steps of the frame and of the result, both in ACT; the windows are walked inside."""
    config = scope.config
    step = config.block_out // config.granule
    parts = frame.pixel // step
    x = te.placeholder((1, frame.blocks * config.channels, frame.height, frame.width), "int8", "x")
    y = window_reduction(x, pool.window, largest=pool.function is Function.MAX)
    layouts: dict[te.Tensor, Layout] = {
        x: (
            plain(1, 0),
            lanes((frame.blocks, frame.block), (parts, step), lanes=config.block_out),
            plain(frame.height, frame.row),
            plain(frame.width, frame.pixel),
        ),
        y: (
            plain(1, 0),
            lanes((frame.blocks, result.block), (parts, step), lanes=config.block_out),
            plain(tile.rows, result.row),
            plain(tile.columns, frame.pixel),
        ),
    }
    return nest_loops(y, layouts, [*y.axes, *y.reduce_axes])


def _reduce(scope: Scope, pool: Pooling, tile: Tile, frame: Frame, result: Target, places: Sequence[int]) -> None:
    x, y, *rest = places
    scale = rest.pop(0) if pool.requantiser is not None else None
    loops = _reduce_loops(scope, pool, tile, frame, result)
    for piece in fit(loops, VECTOR_DIMS):
        scope.emit(
            vector(
                function=pool.function,
                bounds=piece.bounds,
                reduce=len(piece.reductions),
                a=(Memory.ACT, x + piece.bases[0], piece.strides(0)),
                dst=(Memory.ACT, y + piece.bases[1], piece.strides(1)),
                scale=scale,
                scale_shared=scale is not None,
                a_zero=pool.x_zero,
                row_mask=tile.row_mask,
                **settled(scope, pool.output, rest),
            )
        )
