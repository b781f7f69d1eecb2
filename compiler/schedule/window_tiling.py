"""Tile sizes of what the vector engine does with windows: pooling, depthwise convolution, element by element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

from ...config import Config
from ...errors import TilewrightError
from ..window import Window
from .layout import Blocked
from .splits import few_splits

__all__ = ["TileSize", "WindowChoice", "WindowTiling", "frame_pixels"]

_BANDS = 4
_ROWS, _COLUMNS, _BLOCKS = 6, 2, 3  # how many values of each are worth a try

TileSize = tuple[int, int, int]


@dataclass(frozen=True)
class WindowTiling:
    """Channel `blocks` of a tile, `rows` of each band of it, and `columns`."""

    blocks: int
    rows: int
    columns: int


def frame_pixels(window: Window, rows: int, columns: int) -> int:
    """Pixels that the windows of `rows` × `columns` results see."""
    height = (rows - 1) * window.strides[0] + window.reach[0]
    width = (columns - 1) * window.strides[1] + window.reach[1]
    return height * width


@dataclass(frozen=True)
class WindowChoice:
    """A tile of `y`, or of a part of it that has its own shape.

    Members
    -------
    fits
        Whether so many copies of a tile (blocks, rows, columns) fit the memories.
    band
        Rows that the heuristic's tile has at most, so that another engine can begin before the whole image is done.
    """

    config: Config
    y: Blocked
    window: Window
    layer: str
    fits: Callable[[TileSize, int], bool] = field(compare=False)
    band: int

    @classmethod
    def between(
        cls, config: Config, x: Blocked, y: Blocked, window: Window, layer: str, fits: Callable[[TileSize, int], bool]
    ) -> WindowChoice:
        """From `x` to `y`: what is resident is worked on in bands."""
        bands = 1 if x.resident is None and y.resident is None else _BANDS
        return cls(config, y, window, layer, fits, -(-y.shape[2] // bands))

    @property
    def _all_rows(self) -> int:
        return -(-self.y.shape[2] // self.config.rows)

    def heuristic(self) -> WindowTiling:
        """The largest tile that fits twice, else once; rather more rows than more blocks.

        Raises
        ------
        TilewrightError
            Not even one window fits.
        """
        blocks, rows, columns = self._largest()
        return WindowTiling(blocks, min(rows, self.band), columns)

    def _largest(self) -> TileSize:
        y = self.y
        for copies in (2, 1):
            blocks, rows, columns = 1, self._all_rows, y.shape[3]
            while not self.fits((blocks, rows, columns), copies) and rows > 1:
                rows = -(-rows // 2)
            while not self.fits((blocks, rows, columns), copies) and columns > 1:
                columns = -(-columns // 2)
            if self.fits((blocks, rows, columns), copies):
                whole = rows * self.config.rows >= y.shape[2] and columns == y.shape[3]
                while whole and blocks < y.blocks and self.fits((blocks + 1, rows, columns), copies):
                    blocks += 1
                return blocks, rows, columns
        kernel = "×".join(map(str, self.window.kernel))
        raise TilewrightError(
            f"layer {self.layer!r} must fit act_depth of {self.config.name} ({self.config.act_depth}), but one "
            f"{kernel} window does not; use a configuration with a larger act_depth"
        )

    def admits(self, decision: object) -> bool:
        """Whether it is a tile of `y` that fits."""
        if not isinstance(decision, WindowTiling):
            return False
        size = (decision.blocks, decision.rows, decision.columns)
        most = (self.y.blocks, self._all_rows, self.y.shape[3])
        return all(1 <= each <= top for each, top in zip(size, most, strict=True)) and self.fits(size, 1)

    def space(self) -> list[WindowTiling]:
        """Few and many rows, columns and blocks of those that fit, large tiles first."""
        sizes = product(
            few_splits(self.y.blocks, _BLOCKS), few_splits(self._all_rows, _ROWS), few_splits(self.y.shape[3], _COLUMNS)
        )
        return [WindowTiling(*size) for size in sizes if self.fits(size, 1)]
