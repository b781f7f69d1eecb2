"""A placed design as the arrays that the native annealer works on; the layout is source/placement.h's."""

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .controls import block_signals, cell_flags, flip_flop_classes
from .ecp5_delays import wire_delays
from .grid import Grid
from .macros import find_macros, macro_step, rigid
from .placed_design import Cell
from .timing_graph import TimingGraph

__all__ = ["Problem"]

_DISTANCES = 128
_COUNTS = ("columns", "rows", "slots", "cells", "macros", "nets", "connections", "arcs", "ends", "kinds")
_ARRAYS = {
    "slot_x": np.int16,
    "slot_y": np.int16,
    "site_kind": np.int32,
    "site_block": np.int32,
    "kind_first": np.int32,
    "kind_slot": np.int32,
    "cell_slot": np.int32,
    "cell_macro": np.int32,
    "cell_flags": np.uint8,
    "slice_class": np.int32,
    "tile_class": np.int32,
    "block_signals": np.int32,
    "macro_first": np.int32,
    "macro_cell": np.int32,
    "macro_step": np.int32,
    "net_first": np.int32,
    "net_cell": np.int32,
    "cell_net_first": np.int32,
    "cell_net": np.int32,
    "connection_from": np.int32,
    "connection_to": np.int32,
    "connection_rigid": np.uint8,
    "cell_connection_first": np.int32,
    "cell_connection": np.int32,
    "wire_delay": np.float32,
    "launch": np.float32,
    "arc_from": np.int32,
    "arc_connection": np.int32,
    "arc_to": np.int32,
    "arc_delay": np.float32,
    "end_from": np.int32,
    "end_connection": np.int32,
    "end_delay": np.float32,
    "connection_delay": np.float32,
}


class _Layout(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in _COUNTS] + [(name, ctypes.c_void_p) for name in _ARRAYS]


class Problem:
    """What may move where, and what that costs.

    Parameters
    ----------
    cells
        The placed design's.

    Members
    -------
    grid
        The slots, by whose numbers cells have their places.
    arrays
        By the names that ``struct problem`` has for them; ``cell_slot`` is what the annealer changes.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.grid = Grid(cells)
        self.arrays: dict[str, NDArray[Any]] = {}
        self._counts = {"columns": self.grid.columns, "rows": self.grid.rows, "slots": len(self.grid.slot_x)}
        graph = TimingGraph(cells)
        self._set_places(cells)
        self._set_macros(cells, graph)
        self._set_wires(cells, graph)
        self._set_timing(graph)

    @property
    def cell_slot(self) -> NDArray[np.int32]:
        """[cells]: where each cell is."""
        return self.arrays["cell_slot"]

    @property
    def groups(self) -> int:
        """How many groups of cells move as one."""
        return self._counts["macros"]

    def layout(self) -> ctypes.Structure:
        """For the native code; valid as long as this object is."""
        layout = _Layout()
        for name, count in self._counts.items():
            setattr(layout, name, count)
        for name, kind in _ARRAYS.items():
            array = self.arrays[name]
            assert array.dtype == kind and array.flags.c_contiguous, name
            setattr(layout, name, array.ctypes.data)
        return layout

    def _put(self, **arrays: ArrayLike) -> None:
        for name, values in arrays.items():
            self.arrays[name] = np.ascontiguousarray(values, dtype=_ARRAYS[name])

    def _put_lists(self, first: str, items: str, lists: Iterable[Sequence[int]]) -> None:
        lists = list(lists)
        self._put(**{first: np.cumsum([0, *map(len, lists)])})
        self._put(**{items: [item for part in lists for item in part]})

    def _set_places(self, cells: Sequence[Cell]) -> None:
        grid = self.grid
        slices, tiles = flip_flop_classes(cells)
        self._counts |= {"cells": len(cells), "kinds": len(grid.kinds)}
        self._put(slot_x=grid.slot_x, slot_y=grid.slot_y, site_kind=grid.site_kind, site_block=grid.site_block)
        self._put_lists("kind_first", "kind_slot", grid.kinds)
        self._put(cell_slot=[grid.slot(cell) for cell in cells], cell_flags=cell_flags(cells))
        self._put(slice_class=slices, tile_class=tiles, block_signals=block_signals(cells))

    def _set_macros(self, cells: Sequence[Cell], graph: TimingGraph) -> None:
        slots = self.arrays["cell_slot"].tolist()
        macros = find_macros(cells, slots, [*graph.wires, *graph.constants])
        steps = [macro_step([cells[i] for i in macro], [slots[i] for i in macro]) for macro in macros]
        of_cell = np.zeros(len(cells), np.int32)
        for number, macro in enumerate(macros):
            of_cell[macro] = number
        self._counts["macros"] = len(macros)
        self._put(cell_macro=of_cell, macro_step=steps)
        self._put_lists("macro_first", "macro_cell", macros)

    def _set_wires(self, cells: Sequence[Cell], graph: TimingGraph) -> None:
        nets = [sorted({driver, *users}) for driver, users in graph.nets]
        of_cell, connections = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
        for number, net in enumerate(nets):
            for cell in net:
                of_cell[cell].append(number)
        macro = self.arrays["cell_macro"].tolist()
        within = [macro[driver] == macro[user] for driver, _, user, _ in graph.wires]
        for number, (driver, _, user, _) in enumerate(graph.wires):
            if not within[number]:
                connections[driver].append(number)
                connections[user].append(number)
        self._counts |= {"nets": len(nets), "connections": len(graph.wires)}
        self._put_lists("net_first", "net_cell", nets)
        self._put_lists("cell_net_first", "cell_net", [of_cell[cell] for cell in range(len(cells))])
        self._put_lists("cell_connection_first", "cell_connection", [connections[cell] for cell in range(len(cells))])
        self._put(connection_from=[wire[0] for wire in graph.wires], connection_to=[wire[2] for wire in graph.wires])
        self._put(connection_rigid=within, wire_delay=wire_delays(_DISTANCES))
        direct = [rigid(cells[driver], output, cells[user], port) for driver, output, user, port in graph.wires]
        self._put(connection_delay=np.where(direct, 0.0, self._by_distance()))

    def _by_distance(self) -> NDArray[Any]:
        """[connections]: what each takes from where its ends are."""
        slot = self.arrays["cell_slot"]
        a, b = slot[self.arrays["connection_from"]], slot[self.arrays["connection_to"]]
        x, y = self.grid.slot_x.astype(int), self.grid.slot_y.astype(int)
        return np.asarray(self.arrays["wire_delay"][abs(y[a] - y[b]), abs(x[a] - x[b])])

    def _set_timing(self, graph: TimingGraph) -> None:
        self._counts |= {"arcs": len(graph.arcs), "ends": len(graph.ends)}
        self._put(launch=graph.launches)
        for name, column in zip(("arc_from", "arc_connection", "arc_to", "arc_delay"), range(4), strict=True):
            self._put(**{name: [arc[column] for arc in graph.arcs]})
        for name, column in zip(("end_from", "end_connection", "end_delay"), range(3), strict=True):
            self._put(**{name: [end[column] for end in graph.ends]})
