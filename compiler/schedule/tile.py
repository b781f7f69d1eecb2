"""A part of an image that is computed at once: each row of the core has a band of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...isa.table import Memory
from ..window import Window
from .frame import Edges, Frame
from .layout import Blocked
from .loops import Loop
from .scope import Scope

__all__ = ["Tile", "ranges", "tiles"]


@dataclass(frozen=True)
class Tile:
    """Columns [column, column + columns) of image `n`, in `bands` of `rows` rows from `row` on.

    The last band may reach beyond row `end`; what is computed there is not stored.
    """

    n: int
    row: int
    rows: int
    bands: int
    column: int
    columns: int
    end: int

    @property
    def row_mask(self) -> int:
        """The core's rows that have a band."""
        return (1 << self.bands) - 1

    def frame(self, x: Blocked, window: Window, blocks: tuple[int, int], fill: int) -> Frame:
        """What the first band's windows see of channel blocks [first, end)."""
        height = (self.rows - 1) * window.strides[0] + window.reach[0]
        width = (self.columns - 1) * window.strides[1] + window.reach[1]
        top = self.row * window.strides[0] - window.pads[0]
        left = self.column * window.strides[1] - window.pads[1]
        return Frame(x, self.n, blocks[0], blocks[1] - blocks[0], top, left, height, width, fill)

    def load(self, scope: Scope, frame: Frame, window: Window, base: int, edges: list[Edges]) -> None:
        """Bring each band its frame, `frame` being the first one's."""
        for band in range(self.bands):
            moved = frame.moved(band * self.rows * window.strides[0])
            moved.load(scope, base, edges[band], band)

    def store(
        self, scope: Scope, y: Blocked, blocks: tuple[int, int], base: int, row_step: int, block_step: int
    ) -> None:
        """Take channel blocks [first, end) of the tile from ACT to `y`, if it is wanted in DRAM.

        Rows and blocks lie `row_step` and `block_step` granules apart.
        """
        if not y.stored:
            return
        for band in range(self.bands):
            row = self.row + band * self.rows
            loops = [
                Loop(blocks[1] - blocks[0], (y.block_bytes, block_step)),
                Loop(min(self.rows, self.end - row), (y.row_bytes, row_step)),
                Loop(self.columns * y.pixel, (y.config.granule, 1)),
            ]
            offset = y.at(self.n, blocks[0], row, self.column)
            scope.store(Memory.ACT, y.segment, offset, base, loops, row=band)


def tiles(
    y: Blocked, rows: int, columns: int, rectangle: tuple[tuple[int, int], tuple[int, int]] | None = None
) -> Iterator[Tile]:
    """Cover `y`, or [first, end) rows and columns of it, with tiles of bands of at most `rows` rows."""
    (top, bottom), (left, right) = rectangle or ((0, y.shape[2]), (0, y.shape[3]))
    for n in range(y.shape[0]):
        for row, end in ranges(bottom, rows * y.config.rows, top):
            band = -(-(end - row) // y.config.rows)
            for column, column_end in ranges(right, columns, left):
                yield Tile(n, row, band, -(-(end - row) // band), column, column_end - column, bottom)


def ranges(total: int, step: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """[first, end) pairs that cover [`start`, `total`) in steps."""
    return ((first, min(first + step, total)) for first in range(start, total, step))
