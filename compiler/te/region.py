"""Which part of a tensor some loops read: the bounds of a producer computed inside its consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .analysis import Affine, affine, interval
from .expr import Axis, Expr, as_expr

__all__ = ["Region", "needed_region", "whole"]


@dataclass(frozen=True)
class Region:
    """Per dimension the lowest index, over the loops outside, and how many."""

    lowest: tuple[Expr, ...]
    extents: tuple[int, ...]


def whole(shape: Sequence[int]) -> Region:
    return Region(tuple(as_expr(0) for _ in shape), tuple(shape))


def needed_region(shape: Sequence[int], reads: Sequence[Sequence[Expr]], inner: Mapping[Axis, int]) -> Region:
    """The smallest box that holds every read.

    Parameters
    ----------
    shape
        Sizes of the tensor read; a dimension with no simpler answer is needed whole.
    reads
        Indices of each load.
    inner
        The loops that run while the part is in use, with their extents.
    """
    sides = [_side(size, [read[d] for read in reads], inner) for d, size in enumerate(shape)]
    return Region(tuple(low for low, _ in sides), tuple(extent for _, extent in sides))


def _side(size: int, indices: Sequence[Expr], inner: Mapping[Axis, int]) -> tuple[Expr, int]:
    everything = (as_expr(0), size)
    forms = [affine(index) for index in indices]
    spans = [_span(form, inner) for form in forms if form is not None]
    if len(spans) < len(forms):
        return everything
    outer = spans[0][0]
    if any(other != outer for other, _, _ in spans):
        return everything
    low, high = min(span[1] for span in spans), max(span[2] for span in spans)
    lowest = as_expr(low)
    for axis, stride in outer.items():
        lowest = lowest + axis * stride
    first, last = interval(lowest, {})
    if first < 0 or last + high - low >= size:
        return everything
    return lowest, high - low + 1


def _span(form: Affine, inner: Mapping[Axis, int]) -> tuple[dict[Axis, int], int, int]:
    """Terms of the outer loops, lowest and highest offset over the inner ones."""
    low = high = form.base
    for axis, extent in inner.items():
        reach = form.terms.get(axis, 0) * (extent - 1)
        low, high = low + min(reach, 0), high + max(reach, 0)
    return {axis: stride for axis, stride in form.terms.items() if axis not in inner}, low, high
