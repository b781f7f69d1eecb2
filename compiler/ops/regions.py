"""Reading and writing at places inside a tensor: RoiAlign, DeformConv, TensorScatter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, given, optional
from .reduce import normalised_axes
from .registry import operator, refuse
from .windows import geometry

__all__: list[str] = []


def _corners(place: Sequence[Expr], sizes: Sequence[int]) -> list[tuple[list[Expr], Expr, list[Expr]]]:
    """The neighbours of a place: indices inside the image, weight, and whether they were inside."""
    floors = [te.floor(p) for p in place]
    parts = [p - low for p, low in zip(place, floors, strict=True)]
    found = []
    for steps in product((0, 1), repeat=len(sizes)):
        indices, inside, weight = [], [], None
        for low, part, step, size in zip(floors, parts, steps, sizes, strict=True):
            at = low + float(step)
            inside += [at >= 0.0, at <= size - 1.0]
            indices.append(te.clamp(te.clamp(at, 0.0, size - 1.0).astype("int64"), 0, size - 1))
            factor = part if step else 1.0 - part
            weight = factor if weight is None else weight * factor
        assert weight is not None
        found.append((indices, weight, inside))
    return found


@operator("RoiAlign")
class RoiAlign(DerivedOperator):
    """Means (or maxima) of bilinear samples in every cell of a grid over regions; sampling_ratio must be given."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, rois, batch = (given(node, arguments, position) for position in range(3))
        rows, columns = int(node.get("output_height", 1)), int(node.get("output_width", 1))
        ratio, scale = int(node.get("sampling_ratio", 0)), float(node.get("spatial_scale", 1.0))
        if ratio < 1:
            raise refuse(node, "its sampling_ratio must be given: the number of samples must not depend on data")
        mode = node.get("mode", "avg")
        half = (
            node.get("coordinate_transformation_mode", "half_pixel" if node.get("opset", 16) >= 16 else "")
            == "half_pixel"
        )
        shift, sizes, dtype = 0.5 if half else 0.0, x.shape[2:], x.dtype
        i, j = te.reduce_axis(ratio), te.reduce_axis(ratio)

        def sample(r: Expr, d: int, cell: Expr, step: te.Axis, cells: int) -> Expr:
            low, high = rois[r, 1 - d] * scale - shift, rois[r, 3 - d] * scale - shift
            span = high - low if half else te.maximum(high - low, 1.0)
            return low + span * (1 / cells) * (cell.astype(dtype) + (step.astype(dtype) + 0.5) * (1 / ratio))

        def element(r: Expr, c: Expr, row: Expr, column: Expr) -> Expr:
            place = [sample(r, 0, row, i, rows), sample(r, 1, column, j, columns)]
            known = te.all_of(*(te.all_of(p >= -1.0, p <= float(size)) for p, size in zip(place, sizes, strict=True)))
            inside = [te.clamp(p, 0.0, size - 1.0) for p, size in zip(place, sizes, strict=True)]
            image = te.clamp(batch[r].astype("int64"), 0, x.shape[0] - 1)
            terms = [x[(image, c, *at)] * weight for at, weight, _ in _corners(inside, sizes)]
            value = terms[0]
            for term in terms[1:]:
                value = te.maximum(value, term) if mode == "max" else value + term
            value = te.where(known, value, 0.0)
            return te.max(value, [i, j]) if mode == "max" else te.sum(value, [i, j])

        folded = te.compute((rois.shape[0], x.shape[1], rows, columns), element)
        if mode == "max":
            return [folded]
        return [te.compute(folded.shape, lambda *index: folded[index] * (1 / (ratio * ratio)))]


@operator("DeformConv")
class DeformConv(DerivedOperator):
    """A convolution whose every tap is moved by an offset, and weighted by a mask."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, w, offset = (given(node, arguments, position) for position in range(3))
        bias, mask = optional(arguments, 3), optional(arguments, 4)
        sizes, rank = x.shape[2:], len(x.shape) - 2
        window = geometry(node, sizes, w.shape[2:])
        groups, moved = int(node.get("group", 1)), int(node.get("offset_group", 1))
        taps, each, channels = prod(window.kernel), w.shape[0] // groups, x.shape[1] // moved
        ci, over = te.reduce_axis(w.shape[1]), [te.reduce_axis(size) for size in window.kernel]

        def element(n: Expr, co: Expr, *index: Expr) -> Expr:
            channel = co // each * w.shape[1] + ci
            tap: Any = te.Const(0, "int64")
            for axis in over:
                tap = tap * axis.extent + axis
            number = channel // channels * taps + tap
            place = []
            for d in range(rank):
                at = index[d] * window.strides[d] - window.before[d] + over[d] * window.dilations[d]
                place.append(at.astype(x.dtype) + offset[(n, number * rank + d, *index)])
            value: Expr | None = None
            for at_, weight, inside in _corners(place, sizes):
                term = te.where(te.all_of(*inside), x[(n, channel, *at_)] * weight, 0.0)
                value = term if value is None else value + term
            assert value is not None
            if mask is not None:
                value = value * mask[(n, number, *index)]
            return te.sum(value * w[(co, ci, *over)], [ci, *over])

        sums = te.compute((x.shape[0], w.shape[0], *window.output), element)
        if bias is None:
            return [sums]
        return [te.compute(sums.shape, lambda n, c, *index: sums[(n, c, *index)] + bias[c])]


@operator("TensorScatter")
class TensorScatter(DerivedOperator):
    """`update` written into a cache along `axis` from every batch entry's own place on."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        cache, update = given(node, arguments), given(node, arguments, 1)
        starts = optional(arguments, 2)
        (axis,) = normalised_axes(node, [node.get("axis", -2)], len(cache.shape))
        size, count, circular = cache.shape[axis], update.shape[axis], node.get("mode", "linear") == "circular"

        def element(*index: Expr) -> Expr:
            first: Any = te.Const(0, "int64") if starts is None else starts[index[0]].astype("int64")
            place = index[axis] - first
            if circular:
                place = place % size
            inside = te.all_of(place >= 0, place < count)
            at = (*index[:axis], te.clamp(place, 0, count - 1), *index[axis + 1 :])
            return te.where(inside, update[at], cache[index])

        return [te.compute(cache.shape, element)]
