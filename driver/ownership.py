"""Which layer each instruction of a program serves."""

from collections.abc import Sequence

import numpy as np

from ..isa.dependence import footprint
from ..isa.instruction import Instruction
from ..isa.memories import memory_shape
from ..isa.program import Program, Run
from ..isa.table import Memory, Opcode

__all__ = ["instruction_owners"]

_NOBODY = -1


def instruction_owners(program: Program, run: Run, instructions: Sequence[Instruction]) -> np.ndarray:
    """The layer of each instruction of `run`, as its number in ``program.layers``.

    Instructions serve the layer that lists them, except for LOADs: the compiler fetches ahead, so a LOAD serves the
    layer of the first instruction that reads any of what it loaded.

    Parameters
    ----------
    instructions
        Those of `run`, decoded.

    Returns
    -------
    int64, shape (run.count,); -1 for those of no layer, such as FINISH.
    """
    owners = _listed(program, run)
    unread: dict[tuple[Memory, int], np.ndarray] = {}
    for index, instruction in enumerate(instructions):
        touched = footprint(instruction, program.config)
        for region in touched.reads:
            for memory, row in region.spaces:
                if memory is None or (memory, row) not in unread:
                    continue
                loads = unread[memory, row][region.cells]
                found = np.unique(loads[loads != _NOBODY])
                if not len(found):
                    continue
                owners[found] = owners[index]
                for cells in unread.values():
                    cells[np.isin(cells, found)] = _NOBODY
        if instruction.opcode is not Opcode.LOAD:
            continue
        for region in touched.writes:
            for memory, row in region.spaces:
                assert memory is not None
                if (memory, row) not in unread:
                    unread[memory, row] = np.full(memory_shape(program.config, memory).depth, _NOBODY)
                unread[memory, row][region.cells] = index
    return owners


def _listed(program: Program, run: Run) -> np.ndarray:
    listed = np.full(run.count, _NOBODY)
    for number, layer in enumerate(program.layers):
        first = layer.first - run.first
        if layer.target == "accelerator" and 0 <= first < run.count:
            listed[first : first + layer.count] = number
    return listed
