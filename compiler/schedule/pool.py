"""Pooling: windows reduced by the vector engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ...errors import TilewrightError
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

__all__ = ["Pooling", "schedule_pooling"]


@dataclass(frozen=True)
class Pooling:
    """int8 `x` → `y` by MAX or SUM over windows; `padding` is what the windows see outside the image."""

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


@dataclass(frozen=True)
class _Tile:
    n: int
    block: int
    blocks: int
    row: int
    rows: int
    column: int
    columns: int


def schedule_pooling(scope: Scope, pool: Pooling) -> None:
    """Add the items of `pool`, one a tile."""
    edges = Edges()
    sizes = _tile_sizes(scope, pool)
    outputs = (pool.y.blocks, *pool.y.shape[2:])
    starts = [range(0, total, size) for total, size in zip(outputs, sizes, strict=True)]
    for n, *corner in product(range(pool.y.shape[0]), *starts):
        extents = [min(size, total - start) for size, total, start in zip(sizes, outputs, corner, strict=True)]
        (block, row, column), (blocks, rows, columns) = corner, extents
        _add_item(scope, pool, _Tile(n, block, blocks, row, rows, column, columns), edges)


def _tile_sizes(scope: Scope, pool: Pooling) -> tuple[int, int, int]:
    """(blocks, rows, columns): the largest tile of which two fit, rather with more rows than with more blocks."""
    config, window = scope.config, pool.window
    pixel, half = config.channels // config.granule, config.act_depth // 2

    def room(blocks: int, rows: int, columns: int) -> int:
        height = (rows - 1) * window.strides[0] + window.reach[0]
        width = (columns - 1) * window.strides[1] + window.reach[1]
        return blocks * pixel * max(height * width, rows * columns)

    for share in (2, 1):
        blocks, rows, columns = 1, *pool.y.shape[2:]
        while room(blocks, rows, columns) * share > half and rows > 1:
            rows = -(-rows // 2)
        while room(blocks, rows, columns) * share > half and columns > 1:
            columns = -(-columns // 2)
        if room(blocks, rows, columns) * share <= half:
            whole = rows == pool.y.shape[2] and columns == pool.y.shape[3]
            while whole and blocks < pool.y.blocks and room(blocks + 1, rows, columns) * share <= half:
                blocks += 1
            return blocks, rows, columns
    kernel = "×".join(map(str, window.kernel))
    raise TilewrightError(
        f"layer {scope.layer!r} must fit act_depth of {config.name} ({config.act_depth}), but one {kernel} window "
        "does not; use a configuration with a larger act_depth"
    )


def _add_item(scope: Scope, pool: Pooling, tile: _Tile, edges: Edges) -> None:
    window, memories = pool.window, scope.memories
    frame = Frame(
        pool.x,
        tile.n,
        tile.block,
        tile.blocks,
        tile.row * window.strides[0] - window.pads[0],
        tile.column * window.strides[1] - window.pads[1],
        (tile.rows - 1) * window.strides[0] + window.reach[0],
        (tile.columns - 1) * window.strides[1] + window.reach[1],
        pool.padding,
    )
    size = tile.blocks * tile.rows * tile.columns * frame.pixel
    needs = [
        Need(memories.inputs, (scope.layer, "x", tile), frame.size, lambda base: frame.load(scope, base, edges)),
        Need(memories.outputs, (scope.layer, "y", tile), size),
    ]
    if pool.requantiser is not None:
        content = pool.requantiser.cells(scope.config.block_out)
        needs.append(scope.constant(memories.scales, Memory.SCALE, content, "scale"))

    def work(places: Sequence[int]) -> None:
        _reduce(scope, pool, tile, frame, places)
        y, granule, line = pool.y, scope.config.granule, tile.columns * frame.pixel
        loops = [
            Loop(tile.blocks, (y.block_bytes, tile.rows * line)),
            Loop(tile.rows, (y.row_bytes, line)),
            Loop(line, (granule, 1)),
        ]
        scope.store(Memory.ACT, y.segment, y.at(tile.n, tile.block, tile.row, tile.column), places[1], loops)

    scope.add(needs, work)


def _reduce_loops(scope: Scope, pool: Pooling, tile: _Tile, frame: Frame) -> list[Loop]:
    """Steps of the frame and of the result, both in ACT; the windows are walked inside."""
    config = scope.config
    step, line = config.block_out // config.granule, tile.columns * frame.pixel
    parts = frame.pixel // step
    x = te.placeholder((1, tile.blocks * config.channels, frame.height, frame.width), "int8", "x")
    y = window_reduction(x, pool.window, largest=pool.function is Function.MAX)
    layouts: dict[te.Tensor, Layout] = {
        x: (
            plain(1, 0),
            lanes((tile.blocks, frame.block), (parts, step), lanes=config.block_out),
            plain(frame.height, frame.row),
            plain(frame.width, frame.pixel),
        ),
        y: (
            plain(1, 0),
            lanes((tile.blocks, tile.rows * line), (parts, step), lanes=config.block_out),
            plain(tile.rows, line),
            plain(tile.columns, frame.pixel),
        ),
    }
    return nest_loops(y, layouts, [*y.axes, *y.reduce_axes])


def _reduce(scope: Scope, pool: Pooling, tile: _Tile, frame: Frame, places: Sequence[int]) -> None:
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
                row_mask=1,
            )
        )
