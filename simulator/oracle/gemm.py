"""What GEMM means."""

import numpy as np

from ...isa.instruction import Instruction
from ...isa.table import Memory
from .arithmetic import wrap
from .memories import Memories
from .walk import at_points, indices

__all__ = ["gemm"]


def gemm(memories: Memories, instruction: Instruction, together: int) -> None:
    """Run the nest, `together` points at a time (the result does not depend on it)."""
    points = instruction.nest.points
    for start in range(0, points, together):
        _some_points(memories, instruction, np.arange(start, min(start + together, points)))


def _some_points(memories: Memories, instruction: Instruction, points: np.ndarray) -> None:
    config, bounds = memories.config, instruction.nest.bounds
    act, wgt, acc = (at_points(instruction.access(name), bounds, points) for name in ("act", "wgt", "acc"))
    x = memories.vectors(Memory.ACT, config.block_in)[:, memories.vector_numbers(Memory.ACT, config.block_in, act)]
    w = memories.wgt[wgt % config.wgt_depth]
    products = np.einsum("rpk,pok->pro", x.astype(np.int32), w.astype(np.int32))

    fresh = np.full(points.shape, not instruction["accumulate"])
    for loop, index in enumerate(indices(bounds, points)):
        if instruction["overwrite_mask"] >> loop & 1:
            fresh &= index == 0

    cells, which = np.unique(acc % config.acc_depth, return_inverse=True)
    position = np.arange(len(points))
    last_fresh = np.full(len(cells), -1)
    np.maximum.at(last_fresh, which[fresh], position[fresh])
    sums = memories.acc[:, cells].astype(np.int64).swapaxes(0, 1)
    sums[last_fresh >= 0] = 0
    counts = position >= last_fresh[which]
    np.add.at(sums, which[counts], products[counts])
    memories.acc[:, cells] = wrap(sums).swapaxes(0, 1)
