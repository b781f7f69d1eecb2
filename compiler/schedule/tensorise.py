"""Tensor expressions become instruction nests: each loop's steps are read off the expression and the layouts.

A dimension lies in *pieces*, outermost first: a plain dimension is one piece; channels are blocks, parts of a block,
and last the lanes that an instruction works on at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from .. import te
from .loops import Loop

__all__ = ["Layout", "Piece", "lanes", "nest_loops", "plain"]


@dataclass(frozen=True)
class Piece:
    """`extent` indices, `stride` cells apart; None: lanes of one cell."""

    extent: int
    stride: int | None


Layout = Sequence[Sequence[Piece]]


def plain(extent: int, stride: int) -> tuple[Piece, ...]:
    return (Piece(extent, stride),)


def lanes(*pieces: tuple[int, int], lanes: int) -> tuple[Piece, ...]:
    """Pieces (extent, stride), and lanes below them."""
    return (*(Piece(extent, stride) for extent, stride in pieces), Piece(lanes, None))


def nest_loops(result: te.Tensor, layouts: Mapping[te.Tensor, Layout], order: Sequence[te.Axis]) -> list[Loop]:
    """The loops over `order`, with one step for each operand: the tensors that are read, in order, then `result`.

    Parameters
    ----------
    result
        Computed; it reads each of its operands in one place, at indices that are affine.
    layouts
        How each operand and the result lie in their memories.
    """
    assert result.body is not None
    operands = [(load.tensor, load.indices) for load in te.loads(result.body)]
    operands.append((result, result.axes))
    loops = []
    for axis in order:
        extents = _pieces_of(axis, operands, layouts)
        steps = [_steps(axis, extents, indices, layouts[tensor]) for tensor, indices in operands]
        for number, (extent, in_lanes) in enumerate(extents):
            if not in_lanes:
                loops.append(Loop(extent, tuple(step[number] for step in steps), axis.reduce))
    return loops


def _pieces_of(
    axis: te.Axis, operands: Sequence[tuple[te.Tensor, tuple[te.Expr, ...]]], layouts: Mapping[te.Tensor, Layout]
) -> list[tuple[int, bool]]:
    """(extent, whether lanes) of the pieces that `axis` is cut into by the dimensions that it alone walks."""
    found = [(axis.extent, False)]
    for tensor, indices in operands:
        for index, pieces in zip(indices, layouts[tensor], strict=True):
            if index is axis and len(pieces) > 1:
                cut = [(piece.extent, piece.stride is None) for piece in pieces]
                assert prod(extent for extent, _ in cut) == axis.extent, f"{axis} must fill the pieces of {tensor}"
                assert len(found) == 1 or found == cut, f"{axis} must be cut alike everywhere"
                found = cut
    return found


def _steps(axis: te.Axis, extents: Sequence[tuple[int, bool]], indices: Sequence[te.Expr], layout: Layout) -> list[int]:
    """What one step of each piece of `axis` adds to an operand's address."""
    steps = [0] * len(extents)
    for index, pieces in zip(indices, layout, strict=True):
        if index is axis and len(pieces) == len(extents):
            steps = [step + (piece.stride or 0) for step, piece in zip(steps, pieces, strict=True)]
            continue
        form = te.affine(index)
        assert form is not None and form.base == 0, f"index {index} must be affine, from 0 on"
        stride = form.terms.get(axis, 0) * (pieces[0].stride or 0)
        assert not stride or len(pieces) == 1, f"index {index} must walk its dimension alone"
        for number in range(len(extents)):
            steps[number] += stride * prod(extent for extent, _ in extents[number + 1 :])
    return steps
