"""A part of an image in ACT, with its padding: what sliding windows read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from .layout import Blocked
from .loops import Loop, fit
from .scope import Scope

__all__ = ["Edges", "Frame"]


@dataclass(frozen=True)
class Frame:
    """Channel blocks [first_block, first_block + blocks) of rows and columns from (`top`, `left`) on.

    Members
    -------
    top, left
        In the image's coordinates; negative in its padding.
    fill
        What padding holds.
    pitch
        Pixels from a row to the next, and rows from a channel block to the next, where it is part of something larger.
    """

    image: Blocked
    n: int
    first_block: int
    blocks: int
    top: int
    left: int
    height: int
    width: int
    fill: int
    pitch: tuple[int, int] | None = None

    @property
    def pixel(self) -> int:
        """Granules of a pixel of one block."""
        return self.image.pixel

    @property
    def row(self) -> int:
        """Granules from a row to the next."""
        return (self.pitch[0] if self.pitch else self.width) * self.pixel

    @property
    def block(self) -> int:
        """Granules from a channel block to the next."""
        return (self.pitch[1] if self.pitch else self.height) * self.row

    @property
    def size(self) -> int:
        return self.blocks * self.block

    def moved(self, rows: int) -> Frame:
        """The same, `rows` further down."""
        return replace(self, top=self.top + rows)

    def _inside(self) -> tuple[int, int, int, int]:
        """First and last + 1 row, then column, of the frame that lie in the image."""
        rows, columns = self.image.shape[2:]
        low, high = max(-self.top, 0), min(rows - self.top, self.height)
        left, right = max(-self.left, 0), min(columns - self.left, self.width)
        if high <= low or right <= left:
            return 0, 0, 0, 0
        return low, high, left, right

    def load(self, scope: Scope, base: int, edges: Edges, row: int) -> None:
        """Bring it to ACT of `row` at `base`; padding columns that are there already stay."""
        low, high, left, right = self._inside()
        sides = edges.missing(self, base)
        for rectangle in self._padding(low, high, left, right, sides):
            self.fill_rectangle(scope, base, rectangle, 1 << row)
        if high == low:
            return
        granule = self.image.config.granule
        loops = [
            Loop(self.blocks, (self.image.block_bytes, self.block)),
            Loop(high - low, (self.image.row_bytes, self.row)),
            Loop((right - left) * self.pixel, (granule, 1)),
        ]
        offset = self.image.at(self.n, self.first_block, self.top + low, self.left + left)
        start = base + low * self.row + left * self.pixel
        scope.load(Memory.ACT, self.image.segment, offset, start, loops, row=row)

    def _padding(self, low: int, high: int, left: int, right: int, sides: bool) -> Iterator[tuple[int, int, int, int]]:
        """(first row, rows, first column, columns) of the rectangles outside the image."""
        yield 0, low, 0, self.width
        yield high, self.height - high, 0, self.width
        if sides:
            yield low, high - low, 0, left
            yield low, high - low, right, self.width - right

    def fill_rectangle(self, scope: Scope, base: int, rectangle: tuple[int, int, int, int], row_mask: int) -> None:
        """Put `fill` into (first row, rows, first column, columns) of every block of the frame at `base`."""
        row, rows, column, columns = rectangle
        if not rows or not columns:
            return
        config = self.image.config
        step = config.block_out // config.granule
        loops = [
            Loop(self.blocks, (self.block,)),
            Loop(rows, (self.row,)),
            Loop(columns, (self.pixel,)),
            Loop(self.pixel // step, (step,)),
        ]
        start = base + row * self.row + column * self.pixel
        for piece in fit(loops, VECTOR_DIMS):
            dst = (Memory.ACT, start + piece.bases[0], piece.strides(0))
            scope.emit(
                vector(function=Function.ZERO, bounds=piece.bounds, dst=dst, zero_point=self.fill, row_mask=row_mask)
            )


class Edges:
    """Remembers, for one row of the core and within one layer, where padding columns lie already."""

    def __init__(self) -> None:
        self._filled: dict[int, tuple[int, tuple[int, ...]]] = {}

    def missing(self, frame: Frame, base: int) -> bool:
        """Whether the side padding of `frame` at `base` is still to be filled; notes that it will be."""
        low, high, left, right = frame._inside()
        shape = (frame.blocks, frame.height, frame.width, left, right, frame.fill)
        known = self._filled.get(base)
        if known is not None and known[1] == shape:
            return False
        self._filled = {
            start: entry
            for start, entry in self._filled.items()
            if start + entry[0] <= base or base + frame.size <= start
        }
        if high > low:
            self._filled[base] = (frame.size, shape)
        return True
