"""The places of an ECP5: tiles of logic with their slots, and sites of everything else."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .placed_design import Cell

__all__ = ["LUTS", "RAM_WRITE", "TILE_SLOTS", "Grid", "is_logic"]

LUTS, TILE_SLOTS, RAM_WRITE = 8, 17, 16
_SLICES = "ABCD"
_IN_SLICE = re.compile(r"SLICE([A-D])\.(K|FF|RAMW)(\d?)")
_DSP = re.compile(r"MULT18_(\d)")


def is_logic(cell: Cell) -> bool:
    """Whether it is in a tile of logic."""
    return _IN_SLICE.fullmatch(cell.bel) is not None


class Grid:
    """Slots, numbered: of tiles, row by row, 8 look-up tables, 8 flip-flops, a write port of LUT memory; then sites.

    The tiles of logic of this family are a rectangle without some whole rows, so those between the outermost that the
    design uses, in rows that it uses, exist. Sites are those that the design uses, since nothing tells of the others.

    Members
    -------
    columns, rows
        Of tiles.
    slot_x, slot_y
        [slots] int16: where each is on the chip.
    site_kind, site_block
        [sites] int32: what each is for, by number; the block of multipliers that it is in, or -1.
    kinds
        Slots of each kind of site.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        logic = [cell for cell in cells if is_logic(cell)]
        columns = {cell.x for cell in logic}
        self._left = min(columns, default=1)
        self.columns = max(columns, default=1) - self._left + 1
        self._row_y = sorted({cell.y for cell in logic}) or [1]
        self.rows = len(self._row_y)
        self._row_of = {y: row for row, y in enumerate(self._row_y)}
        self._place_bel = [f"SLICE{_SLICES[lut // 2]}.K{lut % 2}" for lut in range(LUTS)]
        self._place_bel += [f"SLICE{_SLICES[lut // 2]}.FF{lut % 2}" for lut in range(LUTS)] + ["SLICEC.RAMW"]
        self._sites = sorted({(cell.type, cell.y, cell.x, cell.bel) for cell in cells if not is_logic(cell)})
        tiles = self.columns * self.rows
        self._site_slot = {site: tiles * TILE_SLOTS + number for number, site in enumerate(self._sites)}
        self._set_arrays(tiles)

    def _set_arrays(self, tiles: int) -> None:
        x = np.tile(np.arange(self._left, self._left + self.columns), self.rows)
        y = np.repeat(np.array(self._row_y), self.columns)
        site_x, site_y = [site[2] for site in self._sites], [site[1] for site in self._sites]
        self.slot_x: NDArray[np.int16] = np.append(np.repeat(x, TILE_SLOTS), site_x).astype(np.int16)
        self.slot_y: NDArray[np.int16] = np.append(np.repeat(y, TILE_SLOTS), site_y).astype(np.int16)
        kinds = sorted({site[0] for site in self._sites})
        self.kinds = [[self._site_slot[site] for site in self._sites if site[0] == kind] for kind in kinds]
        self.site_kind = np.array([kinds.index(site[0]) for site in self._sites], np.int32)
        blocks = [_block(x, y, bel) for _, y, x, bel in self._sites]
        known = sorted({block for block in blocks if block})
        self.site_block = np.array([known.index(block) if block else -1 for block in blocks], np.int32)
        assert len(self.slot_x) == tiles * TILE_SLOTS + len(self._sites)

    def slot(self, cell: Cell) -> int:
        """Where `cell` is."""
        found = _IN_SLICE.fullmatch(cell.bel)
        if not found:
            return self._site_slot[cell.type, cell.y, cell.x, cell.bel]
        lut = 2 * _SLICES.index(found[1]) + int(found[3] or 0)
        place = {"FF": LUTS + lut, "RAMW": RAM_WRITE}.get(found[2], lut)
        return (self._row_of[cell.y] * self.columns + cell.x - self._left) * TILE_SLOTS + place

    def put(self, cell: Cell, slot: int) -> None:
        """Let `cell` be at `slot`; one that is there already keeps its name for the place."""
        if slot == self.slot(cell):
            return
        tile, place = divmod(slot, TILE_SLOTS)
        if tile < self.columns * self.rows:
            row, column = divmod(tile, self.columns)
            cell.x, cell.y, cell.bel = self._left + column, self._row_y[row], self._place_bel[place]
        else:
            _, cell.y, cell.x, cell.bel = self._sites[slot - self.columns * self.rows * TILE_SLOTS]


def _block(x: int, y: int, bel: str) -> tuple[int, int] | None:
    found = _DSP.fullmatch(bel)
    return (y, x - int(found[1])) if found else None
