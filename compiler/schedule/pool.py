"""Pooling: windows reduced by the vector engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .. import te
from ..expressions import window_reduction
from ..requantise import Requantiser
from ..window import Window
from .frame import Edges, Frame
from .layout import Blocked
from .loops import Loop, fit
from .scope import Need, Scope
from .tensorise import Layout, lanes, nest_loops, plain
from .tile import Tile, ranges, tiles
from .window_tiling import TileSize, choose_tile, frame_pixels

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
    y_zero: int
    minimum: int
    maximum: int
    rectangle: tuple[tuple[int, int], tuple[int, int]] | None = None


def schedule_pooling(scope: Scope, pool: Pooling) -> None:
    """Add the items of `pool`, one a tile and group of channel blocks."""
    edges = [Edges() for _ in range(scope.config.rows)]
    size, rows, columns = _tile_sizes(scope, pool)
    for tile in tiles(pool.y, rows, columns, pool.rectangle):
        for blocks in ranges(pool.y.blocks, size):
            _add_item(scope, pool, tile, blocks, edges)


def _tile_sizes(scope: Scope, pool: Pooling) -> TileSize:
    config = scope.config
    pixel, half = config.channels // config.granule, config.act_depth // 2

    def fits(size: TileSize, copies: int) -> bool:
        blocks, rows, columns = size
        return blocks * pixel * max(frame_pixels(pool.window, rows, columns), rows * columns) * copies <= half

    part = pool.y
    if pool.rectangle is not None:
        height, width = (end - first for first, end in pool.rectangle)
        part = replace(part, shape=(*part.shape[:2], height, width))
    return choose_tile(config, part, pool.window, scope.layer, fits)


def _add_item(scope: Scope, pool: Pooling, tile: Tile, blocks: tuple[int, int], edges: list[Edges]) -> None:
    memories, count = scope.memories, blocks[1] - blocks[0]
    frame = tile.frame(pool.x, pool.window, blocks, pool.padding)
    size = count * tile.rows * tile.columns * frame.pixel
    needs = [
        Need(
            memories.inputs,
            (scope.layer, "x", tile, blocks),
            frame.size,
            lambda base: tile.load(scope, frame, pool.window, base, edges),
        ),
        Need(memories.outputs, (scope.layer, "y", tile, blocks), size),
    ]
    if pool.requantiser is not None:
        content = pool.requantiser.cells(scope.config.block_out)
        needs.append(scope.constant(memories.scales, Memory.SCALE, content, content))

    def work(places: Sequence[int]) -> None:
        _reduce(scope, pool, tile, frame, places)
        tile.store(scope, pool.y, blocks, places[1])

    scope.add(needs, work)


def _reduce_loops(scope: Scope, pool: Pooling, tile: Tile, frame: Frame) -> list[Loop]:
    """Steps of the frame and of the result, both in ACT; the windows are walked inside."""
    config = scope.config
    step, line = config.block_out // config.granule, tile.columns * frame.pixel
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
            lanes((frame.blocks, tile.rows * line), (parts, step), lanes=config.block_out),
            plain(tile.rows, line),
            plain(tile.columns, frame.pixel),
        ),
    }
    return nest_loops(y, layouts, [*y.axes, *y.reduce_axes])


def _reduce(scope: Scope, pool: Pooling, tile: Tile, frame: Frame, places: Sequence[int]) -> None:
    loops = _reduce_loops(scope, pool, tile, frame)
    for piece in fit(loops, VECTOR_DIMS):
        scope.emit(
            vector(
                function=pool.function,
                bounds=piece.bounds,
                reduce=len(piece.reductions),
                a=(Memory.ACT, places[0] + piece.bases[0], piece.strides(0)),
                dst=(Memory.ACT, places[1] + piece.bases[1], piece.strides(1)),
                scale=places[2] if pool.requantiser is not None else None,
                scale_shared=pool.requantiser is not None,
                a_zero=pool.x_zero,
                zero_point=pool.y_zero,
                minimum=pool.minimum,
                maximum=pool.maximum,
                row_mask=tile.row_mask,
            )
        )
