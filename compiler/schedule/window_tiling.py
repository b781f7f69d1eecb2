"""Tile sizes of what the vector engine reduces over windows: pooling and depthwise convolution."""

from __future__ import annotations

from collections.abc import Callable

from ...config import Config
from ...errors import TilewrightError
from ..window import Window
from .layout import Blocked

__all__ = ["TileSize", "choose_tile", "frame_pixels", "pipelined"]

_BANDS = 4

TileSize = tuple[int, int, int]


def frame_pixels(window: Window, rows: int, columns: int) -> int:
    """Pixels that the windows of `rows` × `columns` results see."""
    height = (rows - 1) * window.strides[0] + window.reach[0]
    width = (columns - 1) * window.strides[1] + window.reach[1]
    return height * width


def pipelined(x: Blocked, y: Blocked, rows: int) -> int:
    """`rows` of a tile, fewer where that lets the next engine begin before the whole image is done."""
    if x.resident is None and y.resident is None:
        return rows
    return min(rows, -(-y.shape[2] // _BANDS))


def choose_tile(
    config: Config, y: Blocked, window: Window, layer: str, fits: Callable[[TileSize, int], bool]
) -> TileSize:
    """(blocks, rows, columns): the largest tile that `fits` twice, else once; rather more rows than more blocks.

    Raises
    ------
    TilewrightError
        Not even one window fits.
    """
    for copies in (2, 1):
        blocks, rows, columns = 1, -(-y.shape[2] // config.rows), y.shape[3]
        while not fits((blocks, rows, columns), copies) and rows > 1:
            rows = -(-rows // 2)
        while not fits((blocks, rows, columns), copies) and columns > 1:
            columns = -(-columns // 2)
        if fits((blocks, rows, columns), copies):
            whole = rows * config.rows >= y.shape[2] and columns == y.shape[3]
            while whole and blocks < y.blocks and fits((blocks + 1, rows, columns), copies):
                blocks += 1
            return blocks, rows, columns
    kernel = "×".join(map(str, window.kernel))
    raise TilewrightError(
        f"layer {layer!r} must fit act_depth of {config.name} ({config.act_depth}), but one {kernel} window "
        "does not; use a configuration with a larger act_depth"
    )
