"""Where in ACT a tile reads its image and leaves its result: room to pass through, or an activation that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..window import Window
from .frame import Edges, Frame
from .layout import Blocked, Resident
from .residency import Fixed
from .scope import Item, Need, Scope
from .tile import Tile

__all__ = ["Target", "source", "surround", "target"]


@dataclass(frozen=True)
class Target:
    """Room for a tile's result, with the granules from one of its rows, and of its channel blocks, to the next."""

    need: Need
    row: int
    block: int


def source(
    scope: Scope, x: Blocked, tile: Tile, window: Window, blocks: tuple[int, int], fill: int, edges: list[Edges]
) -> tuple[Need, Frame]:
    """The need for what `tile` sees of channel blocks [first, end), and how it will lie."""
    frame = tile.frame(x, window, blocks, fill)
    key = (scope.layer, "x", x.segment, x.offset, x.resident, tile, window, blocks)
    if x.resident is None:
        return Need(
            scope.memories.inputs, key, frame.size, lambda base: tile.load(scope, frame, window, base, edges)
        ), frame
    seen = replace(frame, pitch=(x.resident.width, x.resident.height))
    base = _granule(x, x.resident, tile.n, blocks[0], frame.top, frame.left)
    return Need(Fixed(base), key, frame.size), seen


def target(scope: Scope, y: Blocked, tile: Tile, blocks: tuple[int, int]) -> Target:
    """The need for the result of `tile` in channel blocks [first, end)."""
    count, key = blocks[1] - blocks[0], (scope.layer, "y", y.offset, tile, blocks)
    if y.resident is None:
        row = tile.columns * y.pixel
        return Target(Need(scope.memories.outputs, key, count * tile.rows * row), row, tile.rows * row)
    row = y.resident.width * y.pixel
    base = _granule(y, y.resident, tile.n, blocks[0], tile.row, tile.column)
    return Target(Need(Fixed(base), key, 0), row, y.resident.height * row)


def _granule(image: Blocked, place: Resident, n: int, block: int, row: int, column: int) -> int:
    line = (n * image.blocks + block) * place.height + place.top + row
    return place.base + (line * place.width + place.left + column) * image.pixel


def surround(scope: Scope, y: Blocked) -> Item | None:
    """The padding around a resident `y`; None where it has none."""
    place = y.resident
    if place is None:
        return None
    rectangles = [r for r in place.rectangles(y.shape) if r[1] and r[3]]
    if not rectangles:
        return None
    blocks = y.shape[0] * y.blocks
    whole = Frame(y, 0, 0, blocks, -place.top, -place.left, place.height, place.width, place.fill)

    def work(_: Sequence[int]) -> None:
        for rectangle in rectangles:
            whole.fill_rectangle(scope, place.base, rectangle, (1 << scope.config.rows) - 1)

    return Item((), work)
