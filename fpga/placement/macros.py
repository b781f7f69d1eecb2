"""Groups of cells that keep their places to each other."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from .grid import LUTS, TILE_SLOTS
from .placed_design import Cell

__all__ = ["FIXED", "SITE", "find_macros", "macro_step"]

FIXED, SITE = 0, -1
_MOVABLE_SITES = ("DP16KD", "MULT18X18D")
_CASCADE = re.compile(r"S?RO[ABC]?\d+|SRO[AB]\d+|P\d+")
_LUT, _FF, _RAM_WRITE = "TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW"


def rigid(driver: Cell, output: str, user: Cell, port: str) -> bool:
    """Whether the wire from `output` to `port` is one that only cells in certain places to each other have.

    It is so of carries, of the multiplexers behind look-up tables (F1, FXA, FXB), of what a look-up table hands to its
    flip-flop, and of what the write port of LUT memory hands to the look-up tables.
    """
    if user.type == _LUT:
        return (port == "FCI" and output == "FCO") or port in ("FXA", "FXB", "F1") or driver.type == _RAM_WRITE
    return user.type == _FF and port == "DI" and driver.type == _LUT


def find_macros(
    cells: Sequence[Cell], slots: Sequence[int], wires: Iterable[tuple[int, str, int, str]]
) -> list[list[int]]:
    """The groups, each as numbers of cells; every cell is in one.

    Parameters
    ----------
    slots
        Where each cell is.
    wires
        Driver, its port, user, its port.
    """
    parent = list(range(len(cells)))

    def root(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = parent[cell]
        return cell

    for driver, output, user, port in wires:
        if rigid(cells[driver], output, cells[user], port):
            parent[root(user)] = root(driver)
    at = {slot: cell for cell, slot in enumerate(slots)}
    for cell, slot in enumerate(slots):
        if cells[cell].type == _RAM_WRITE:  # it takes the inputs of the look-up tables around it
            for blocked in (slot - TILE_SLOTS + 1 + 4, slot - TILE_SLOTS + 1 + 5):
                if blocked in at:
                    parent[root(at[blocked])] = root(cell)
    groups = defaultdict[int, list[int]](list)
    for cell in range(len(cells)):
        groups[root(cell)].append(cell)
    return list(groups.values())


def macro_step(macro: Sequence[Cell], slots: Sequence[int]) -> int:
    """By how many look-up tables a macro may be shifted within a tile: 1, 2, 4, or 8 where not at all.

    FIXED where it must not move; SITE where it goes from site to site.
    """
    if not all(cell.movable for cell in macro):
        return FIXED
    if macro[0].type in _MOVABLE_SITES:
        return SITE if len(macro) == 1 else FIXED
    if not all(cell.type in (_LUT, _FF, _RAM_WRITE) for cell in macro):
        return FIXED
    places = [slot % TILE_SLOTS for slot in slots]
    modes = {cell.parameters.get("MODE", "LOGIC") for cell in macro}
    if len({slot // TILE_SLOTS for slot in slots}) > 1 or modes != {"LOGIC"}:
        return LUTS
    lowest, highest = min(place % LUTS for place in places), max(place % LUTS for place in places)
    return next((step for step in (1, 2, 4) if lowest // step == highest // step), LUTS)
