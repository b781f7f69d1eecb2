"""From a tensor's expression to the loop nest of an accelerator instruction.

The hardware does some innermost axes in one step (a GEMM: the channels inside a weight tile) and addresses each memory
in cells of its own. The other axes are the instruction's loops, and every operand is affine over them::

    y = nn.conv2d_blocked(x, w)                  # over [N][C / block][H][W][block]
    nest = instruction_nest(y, inner=(y.axes[4], y.reduce_axes[3]), cells={x: granule, w: tile, y: block_out})
    act, wgt = nest.operands                     # isa.nest.Access: base and strides in cells
    gemm(bounds=nest.bounds, act=(act.base, act.strides), …, overwrite=nest.reductions)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...isa.nest import Access
from .analysis import Affine, address, operands
from .expr import Axis, Expr
from .tensor import Tensor

__all__ = ["InstructionNest", "instruction_nest"]


@dataclass(frozen=True)
class InstructionNest:
    """Loops, outermost first, and where the result and each operand lie over them.

    Members
    -------
    axes, bounds
        The loops.
    reductions
        Which of them (positions in `bounds`) the reduction folds over.
    result, operands
        Cell addresses; operands in the order in which the expression reads them.
    """

    axes: tuple[Axis, ...]
    bounds: tuple[int, ...]
    reductions: tuple[int, ...]
    result: Access
    operands: tuple[Access, ...]


def instruction_nest(
    tensor: Tensor,
    *,
    inner: Sequence[Axis],
    cells: Mapping[Tensor, int],
    order: Sequence[Axis] | None = None,
    strides: Mapping[Tensor, Sequence[int]] | None = None,
) -> InstructionNest:
    """The nest that computes `tensor`.

    Parameters
    ----------
    inner
        Axes that the hardware does in one step.
    cells
        Elements in a cell of the memory of `tensor` and of each tensor that it reads.
    order
        The loops, outermost first; default: data axes, then those of the reduction, longer than 1.
    strides
        Elements between neighbours per dimension of a tensor, where it is not laid out densely (part of a tile, say).

    Raises
    ------
    ValueError
        An operand is not affine, or a step of a loop is not a whole number of cells.
    """
    assert tensor.body is not None
    everything = (*tensor.axes, *tensor.reduce_axes)
    loops = tuple(order if order is not None else (a for a in everything if a not in inner and a.extent > 1))
    if {a for a in everything if a.extent > 1} != {a for a in (*loops, *inner) if a.extent > 1}:
        raise ValueError(f"loops and inner axes of {tensor.name} must together be its axes, not {[*loops, *inner]}")

    def access(operand: Tensor, indices: Sequence[Expr]) -> Access:
        form = address((strides or {}).get(operand, operand.strides), indices)
        if form is None:
            raise ValueError(f"addresses of {operand.name} must be affine, not {list(indices)}")
        return _in_cells(operand, form, loops, cells[operand])

    return InstructionNest(
        axes=loops,
        bounds=tuple(axis.extent for axis in loops),
        reductions=tuple(place for place, axis in enumerate(loops) if axis.reduce),
        result=access(tensor, tensor.axes),
        operands=tuple(access(load.tensor, load.indices) for load in operands(tensor.body)),
    )


def _in_cells(operand: Tensor, form: Affine, loops: Sequence[Axis], cell: int) -> Access:
    steps = (form.base, *form.along(loops))
    if any(step % cell for step in steps):
        raise ValueError(f"steps through {operand.name} must be whole cells of {cell} elements, not {list(steps)}")
    return Access(steps[0] // cell, tuple(step // cell for step in steps[1:]))
