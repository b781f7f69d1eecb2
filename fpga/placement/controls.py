"""What cells ask of those that they share a tile, a slice or a block of multipliers with."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .placed_design import Cell

__all__ = ["block_signals", "cell_flags", "flip_flop_classes"]

_CARRY, _LUTRAM, _MUX5, _MUX6, _MUX6_OF_MUX5, _BLOCKED, _CLOCK_INVERTED, _SET_INVERTED = (1 << bit for bit in range(8))
_USES_M = 1
_BLOCK_SORTS = ("CLK", "CE", "RST")


def cell_flags(cells: Sequence[Cell]) -> NDArray[np.uint8]:
    """[cells]: the native code's flags of look-up tables (lut_flag) and of flip-flops."""
    makes_wide = {net for cell in cells if "F1" in cell.inputs for net in cell.outputs.values()}
    flags = {"TRELLIS_COMB": lambda cell: _lut_flags(cell, makes_wide), "TRELLIS_FF": _flip_flop_flags}
    return np.array([flags.get(cell.type, lambda cell: 0)(cell) for cell in cells], np.uint8)


def _lut_flags(cell: Cell, makes_wide: set[int]) -> int:
    mode = cell.parameters.get("MODE", "LOGIC")
    flags = {"CCU2": _CARRY, "DPRAM": _LUTRAM, "RAMW_BLOCK": _BLOCKED}.get(mode, 0)
    if mode == "DPRAM":
        flags |= _CLOCK_INVERTED * (cell.parameters.get("WCKMUX", "WCK") == "INV")
        flags |= _SET_INVERTED * (cell.parameters.get("WREMUX", "WRE") in ("INV", "0"))
    flags |= _MUX5 * ("F1" in cell.inputs)
    flags |= _MUX6 * ("FXA" in cell.inputs or "FXB" in cell.inputs)
    return flags | _MUX6_OF_MUX5 * (cell.inputs.get("FXA") in makes_wide)


def _flip_flop_flags(cell: Cell) -> int:
    inverted = _CLOCK_INVERTED * (cell.parameters.get("CLKMUX") == "INV")
    inverted |= _SET_INVERTED * (cell.parameters.get("LSRMUX") == "INV")
    return inverted | _USES_M * ("M" in cell.inputs)


def flip_flop_classes(cells: Sequence[Cell]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """[cells] each: flip-flops of the same first number can share a slice, those of the same second number a tile."""
    slices, tiles = list[Hashable](), list[Hashable]()
    for cell in cells:
        take, parameters = cell.inputs.get, cell.parameters.get
        slices.append((take("CE"), parameters("CEMUX"), parameters("GSR")))
        asynchronous = parameters("SRMODE") == "ASYNC"
        tiles.append((take("CLK"), take("LSR"), parameters("CLKMUX"), parameters("LSRMUX"), asynchronous))
    return _numbered(slices), _numbered(tiles)


def _numbered(items: Iterable[Hashable]) -> NDArray[np.int32]:
    numbers = dict[Hashable, int]()
    return np.array([numbers.setdefault(item, len(numbers)) for item in items], np.int32)


def block_signals(cells: Sequence[Cell]) -> NDArray[np.int32]:
    """[cells, 3, 4]: the nets that a multiplier has as clocks, enables and resets; -1 where it has none."""
    signals = np.full((len(cells), len(_BLOCK_SORTS), 4), -1, np.int32)
    for number, cell in enumerate(cells):
        if cell.type == "MULT18X18D":
            for sort, name in enumerate(_BLOCK_SORTS):
                for place in range(4):
                    signals[number, sort, place] = cell.inputs.get(f"{name}{place}", -1)
    return signals
