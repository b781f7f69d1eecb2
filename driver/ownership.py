"""Which layer each instruction of a program serves."""

import numpy as np

from ..isa.accesses import DRAM, Touch, Touches
from ..isa.cell_sets import CellSet, meet, without
from ..isa.columns import opcodes
from ..isa.program import Program, Run
from ..isa.table import Opcode

__all__ = ["instruction_owners"]

_NOBODY = -1
_Places = dict[tuple[int, int], dict[int, CellSet]]


def instruction_owners(program: Program, run: Run) -> np.ndarray:
    """The layer of each instruction of `run`, as its number in ``program.layers``.

    Instructions serve the layer that lists them, except for LOADs: the compiler fetches ahead, so a LOAD serves the
    layer of the first instruction that reads any of what it loaded.

    Returns
    -------
    int64, shape (run.count,); -1 for those of no layer, such as FINISH.
    """
    owners = _listed(program, run)
    raw = program.instructions[run.first : run.first + run.count]
    touches = Touches(raw, program.config)
    unread: _Places = {}  # in each row of a memory, by LOAD: what it brought and nobody has read
    for index, is_load in enumerate((opcodes(raw) == Opcode.LOAD).tolist()):
        for touch in touches.of(index):
            if touch.space >= DRAM:
                continue
            if is_load:
                _bring(unread, index, touch)
            elif not touch.written:
                for load in _read(unread, touch):
                    owners[load] = owners[index]
    return owners


def _places(touch: Touch) -> list[tuple[int, int]]:
    return [(touch.space, row) for row in range(touch.rows.bit_length()) if touch.rows >> row & 1]


def _bring(unread: _Places, load: int, touch: Touch) -> None:
    for place in _places(touch):
        rest = {other: without(cells, touch.cells) for other, cells in unread.get(place, {}).items()}
        unread[place] = {other: cells for other, cells in rest.items() if cells.bits} | {load: touch.cells}


def _read(unread: _Places, touch: Touch) -> set[int]:
    """The LOADs that `touch` reads from, which no longer count."""
    found = {
        load for place in _places(touch) for load, cells in unread.get(place, {}).items() if meet(cells, touch.cells)
    }
    for waiting in unread.values() if found else ():
        for load in found & waiting.keys():
            del waiting[load]
    return found


def _listed(program: Program, run: Run) -> np.ndarray:
    listed = np.full(run.count, _NOBODY)
    for number, layer in enumerate(program.layers):
        first = layer.first - run.first
        if layer.target == "accelerator" and 0 <= first < run.count:
            listed[first : first + layer.count] = number
    return listed
