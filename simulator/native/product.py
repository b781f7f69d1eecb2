"""GEMM nests as matrix products of BLAS, for the native simulator where there is no C compiler."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ...isa.instruction import Instruction
from ...isa.nest import Access
from ...isa.table import Memory
from ..oracle.arithmetic import wrap
from ..oracle.memories import Memories
from ..oracle.walk import at_points, indices

__all__ = ["multiply"]

# float32 holds every integer up to 2^24 exactly: so many products of two int8.
_EXACT_PRODUCTS = 1024


@dataclass(frozen=True)
class _Points:
    """All points of some of a nest's loops: addresses from the nest's start, and where the overwrite mask allows it."""

    act: np.ndarray
    wgt: np.ndarray
    acc: np.ndarray
    first: np.ndarray


def multiply(memories: Memories, instruction: Instruction) -> bool:
    """Run a nest that is a matrix product; False, and nothing done, where it is none.

    Loops without a step in ACC are its reduction, those without one in WGT its rows, without one in ACT its columns;
    each of the others is a product of its own. The accumulators must be distinct, and no address may wrap.
    """
    groups = _grouped(instruction)
    act, wgt, acc = (instruction.access(name) for name in ("act", "wgt", "acc"))
    words = memories.config.block_in // memories.config.granule
    if groups is None or act.base % words or any(stride % words for stride in act.strides):
        return False
    config, bounds = memories.config, instruction.nest.bounds
    depths = zip((act, wgt, acc), (config.act_depth, config.wgt_depth, config.acc_depth), strict=True)
    if not all(_inside(access, bounds, depth) for access, depth in depths):
        return False
    mixed, rows, columns, reduction = (_points(instruction, loops) for loops in groups)
    cells = acc.base + mixed.acc[:, None, None] + rows.acc[:, None] + columns.acc
    if len(np.unique(cells)) < cells.size:
        return False
    x = memories.vectors(Memory.ACT, config.block_in)
    for number in range(len(mixed.acc)):
        vectors = (act.base + mixed.act[number] + rows.act[:, None] + reduction.act) // words
        tiles = wgt.base + mixed.wgt[number] + columns.wgt[:, None] + reduction.wgt
        sums = _matrix_product(x[:, vectors], memories.wgt[tiles])
        fresh = mixed.first[number] & rows.first[:, None] & columns.first
        held = memories.acc[:, cells[number]]
        memories.acc[:, cells[number]] = wrap(sums + np.where(fresh[:, :, None], 0, held))
    return True


def _grouped(instruction: Instruction) -> tuple[list[int], list[int], list[int], list[int]] | None:
    """Loops: mixed, rows, columns, reduction. None where a reduction ends with its last product."""
    act, wgt, acc = (instruction.access(name).strides for name in ("act", "wgt", "acc"))
    mixed: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    reduction: list[int] = []
    for loop, bound in enumerate(instruction.nest.bounds):
        if bound == 1:
            continue
        if acc[loop] == 0:
            if not instruction["accumulate"] and not instruction["overwrite_mask"] >> loop & 1:
                return None
            reduction.append(loop)
        else:
            (rows if wgt[loop] == 0 else columns if act[loop] == 0 else mixed).append(loop)
    return mixed, rows, columns, reduction


def _inside(access: Access, bounds: tuple[int, ...], depth: int) -> bool:
    reaches = [stride * (bound - 1) for stride, bound in zip(access.strides, bounds, strict=True)]
    low = access.base + sum(reach for reach in reaches if reach < 0)
    return low >= 0 and access.base + sum(reach for reach in reaches if reach > 0) < depth


def _points(instruction: Instruction, loops: list[int]) -> _Points:
    bounds = [instruction.nest.bounds[loop] for loop in loops]
    points = np.arange(prod(bounds))
    act, wgt, acc = (
        at_points(Access(0, tuple(instruction.access(name).strides[loop] for loop in loops)), bounds, points)
        for name in ("act", "wgt", "acc")
    )
    first = np.full(points.shape, not instruction["accumulate"])
    for loop, index in zip(loops, indices(bounds, points), strict=True):
        if instruction["overwrite_mask"] >> loop & 1:
            first &= index == 0
    return _Points(act, wgt, acc, first)


def _matrix_product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sums over steps and inputs: int64, shape (hardware rows, rows, columns, block_out).

    Parameters
    ----------
    x
        int8, shape (hardware rows, rows, steps, block_in).
    w
        int8, shape (columns, steps, block_out, block_in).
    """
    copies, rows, steps, block_in = x.shape
    columns, _, block_out, _ = w.shape
    left = x.reshape(copies * rows, steps * block_in).astype(np.float32)
    right = w.transpose(1, 3, 0, 2).reshape(steps * block_in, columns * block_out).astype(np.float32)
    sums = np.zeros((copies * rows, columns * block_out), np.int64)
    for start in range(0, steps * block_in, _EXACT_PRODUCTS):
        part = slice(start, start + _EXACT_PRODUCTS)
        sums += (left[:, part] @ right[part]).astype(np.int64)
    return sums.reshape(copies, rows, columns, block_out)
