"""Operators that put elements elsewhere: Concat, Split, Slice, Pad, Tile, Expand, DepthToSpace and their like."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from ..te import layout
from .concat import in_blocks, lower_concat
from .derived import DerivedOperator, Expr, Tensors, broadcast, constant_input, given, optional
from .pad import lower_padding
from .reduce import normalised_axes
from .registry import Arrays, operator, refuse
from .site import Lowered, Site

__all__: list[str] = []


def _axis(node: Node, rank: int, default: int = 0) -> int:
    return normalised_axes(node, [node.get("axis", default)], rank)[0]


def _replaced(index: Sequence[Any], axis: int, value: Any) -> tuple[Any, ...]:
    return (*index[:axis], value, *index[axis + 1 :])


@operator("Concat")
class Concat(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        tensors = [given(node, arguments, position) for position in range(len(arguments))]
        first = tensors[0]
        axis = _axis(node, len(first.shape))
        rests = {_replaced(tensor.shape, axis, 0) for tensor in tensors}
        if len(rests) > 1:
            raise refuse(node, f"its inputs must match but for axis {axis}: {[list(t.shape) for t in tensors]}")
        tensors = [tensor for tensor in tensors if tensor.size] or tensors[:1]
        return [layout.concatenate(tensors, axis)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        arrays = [array for array in arguments if array is not None]
        return [np.concatenate(arrays, axis=_axis(node, arrays[0].ndim))]

    def quantise(self, site: Site) -> Lowered | None:
        """In whole blocks of channels; else the integers side by side, where all have the result's scale and zero."""
        sources = [site.quantised(place) for place in range(len(site.operands))]
        constant = any(operand.data is not None and operand.data.dtype != np.int8 for operand, _ in sources)
        shared = all(site.keeps(meaning) for _, meaning in sources)
        if not shared or constant or (len(site.shape) in (2, 4) and in_blocks(site)):
            return lower_concat(site)
        return Lowered("Concat", site.node_inputs(), dict(site.node.attributes))


@operator("Split")
class Split(DerivedOperator):
    """Into the given sizes, or into as many equal parts as there are results (the last one smaller)."""

    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        axis, count = _axis(node, len(x.shape)), len(node.outputs)
        sizes = constant_input(node, arguments, 1, "sizes")
        if sizes is None:
            each = -(-x.shape[axis] // node.get("num_outputs", count))
            sizes = np.array([min(each, x.shape[axis] - each * part) for part in range(count)])
        if len(sizes) != count or sizes.sum() != x.shape[axis] or sizes.min() < 0:
            raise refuse(node, f"its {count} parts {sizes.tolist()} must add up to {x.shape[axis]}")
        starts = np.cumsum([0, *sizes]).tolist()

        def part(start: int, size: int) -> te.Tensor:
            shape = _replaced(x.shape, axis, size)
            return te.compute(shape, lambda *index: x[_replaced(index, axis, index[axis] + start)])

        return [part(start, int(size)) for start, size in zip(starts, sizes, strict=False)]


@operator("Slice")
class Slice(DerivedOperator):
    parameters = (1, 2, 3, 4)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        starts, ends, axes, steps = (
            constant_input(node, arguments, position, what)
            for position, what in enumerate(("starts", "ends", "axes", "steps"), 1)
        )
        if starts is None or ends is None:
            raise refuse(node, "its starts and ends must be given")
        axes = np.arange(len(starts)) if axes is None else axes
        steps = np.ones(len(starts), np.int64) if steps is None else steps
        ranges = [range(size) for size in x.shape]
        for axis, *bounds in zip(axes.tolist(), starts.tolist(), ends.tolist(), steps.tolist(), strict=True):
            (place,) = normalised_axes(node, [axis], len(x.shape))
            ranges[place] = range(x.shape[place])[slice(*bounds)]

        def element(*index: Expr) -> Expr:
            return x[tuple(i * span.step + span.start for i, span in zip(index, ranges, strict=True))]

        return [te.compute([len(span) for span in ranges], element)]


@operator("Pad")
class Pad(DerivedOperator):
    """Modes constant, edge, reflect and wrap; negative pads cut off."""

    parameters = (1, 3)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        before, after = self._amounts(node, arguments, len(x.shape))
        shape = [size + before[d] + after[d] for d, size in enumerate(x.shape)]
        mode = node.get("mode", "constant")
        if mode not in ("constant", "edge", "reflect", "wrap"):
            raise refuse(node, f"its mode must be constant, edge, reflect or wrap, not {mode}")
        fill = optional(arguments, 2)

        def element(*index: Expr) -> Expr:
            moved = [i - before[d] for d, i in enumerate(index)]
            if mode != "constant":
                return x[tuple(_mirrored(mode, i, x.shape[d]) for d, i in enumerate(moved))]
            inside = te.all_of(*(c for i, size in zip(moved, x.shape, strict=True) for c in (i >= 0, i < size)))
            outside: Any = 0 if fill is None else fill[(0,) * len(fill.shape)]
            return te.where(inside, x[tuple(moved)], outside)

        return [te.compute(shape, element)]

    def _amounts(self, node: Node, arguments: Sequence[Any], rank: int) -> tuple[list[int], list[int]]:
        """How much is added before and after each dimension."""
        pads = constant_input(node, arguments, 1, "pads")
        axes = constant_input(node, arguments, 3, "axes")
        places = range(rank) if axes is None else [int(axis) % rank for axis in axes]
        if pads is None or pads.size != 2 * len(places):
            raise refuse(node, f"its pads must be {2 * len(places)} numbers")
        before, after = [0] * rank, [0] * rank
        for place, low, high in zip(places, pads[: len(places)], pads[len(places) :], strict=True):
            before[place], after[place] = int(low), int(high)
        return before, after

    def quantise(self, site: Site) -> Lowered | None:
        constants = [None if operand is None else operand.data for operand in site.operands]
        return lower_padding(site, *self._amounts(site.node, constants, len(site.shape)))


def _mirrored(mode: str, i: Expr, size: int) -> Expr:
    if mode == "wrap":
        return i % size
    if mode == "reflect" and size > 1:
        i = i % (2 * size - 2)
        i = te.where(i < size, i, 2 * size - 2 - i)
    return te.clamp(i, 0, size - 1)


@operator("Tile")
class Tile(DerivedOperator):
    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        repeats = constant_input(node, arguments, 1, "repeats")
        if repeats is None or repeats.size != len(x.shape):
            raise refuse(node, f"its repeats must be {len(x.shape)} numbers")
        shape = [size * int(times) for size, times in zip(x.shape, repeats, strict=True)]
        return [te.compute(shape, lambda *index: x[tuple(i % size for i, size in zip(index, x.shape, strict=True))])]


@operator("Expand")
class Expand(DerivedOperator):
    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, asked = given(node, arguments), constant_input(node, arguments, 1, "shape")
        if asked is None:
            raise refuse(node, "its shape must be given")
        shape = np.broadcast_shapes(x.shape, tuple(asked.tolist()))
        return [te.compute(shape, lambda *index: broadcast(x, index))]


@operator("DepthToSpace", "SpaceToDepth")
class DepthSpace(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, block = given(node, arguments), int(node["blocksize"])
        n, c, h, w = x.shape
        if node.operator == "SpaceToDepth":
            if h % block or w % block:
                raise refuse(node, f"its blocksize {block} must divide {h} and {w}")
            view = layout.reshape(x, (n, c, h // block, block, w // block, block))
            moved = layout.transpose(view, (0, 3, 5, 1, 2, 4))
            return [layout.reshape(moved, (n, c * block * block, h // block, w // block))]
        if c % (block * block):
            raise refuse(node, f"its blocksize {block} squared must divide its {c} channels")
        fewer = c // (block * block)
        columns = node.get("mode", "DCR") == "CRD"
        view = layout.reshape(x, (n, fewer, block, block, h, w) if columns else (n, block, block, fewer, h, w))
        moved = layout.transpose(view, (0, 1, 4, 2, 5, 3) if columns else (0, 3, 4, 1, 5, 2))
        return [layout.reshape(moved, (n, fewer, h * block, w * block))]


@operator("Trilu")
class Trilu(DerivedOperator):
    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, k = given(node, arguments), constant_input(node, arguments, 1, "diagonal")
        diagonal = 0 if k is None else int(k.reshape(()))

        def element(*index: Expr) -> Expr:
            across = index[-1] - index[-2]
            kept = across >= diagonal if node.get("upper", 1) else across <= diagonal
            return te.where(kept, x[index], te.Const(0, x.dtype) if x.dtype != "bool" else False)

        return [te.compute(x.shape, element)]


@operator("EyeLike")
class EyeLike(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        from .cast import dtype_of

        x = given(node, arguments)
        dtype = dtype_of(node, "dtype", 0) if "dtype" in node.attributes else x.dtype
        diagonal = int(node.get("k", 0))
        return [te.compute(x.shape, lambda i, j: te.equal(j - i, diagonal).astype(dtype))]


@operator("ReverseSequence")
class ReverseSequence(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, lengths = given(node, arguments), given(node, arguments, 1)
        time, batch = int(node.get("time_axis", 0)), int(node.get("batch_axis", 1))

        def element(*index: Expr) -> Expr:
            i, length = index[time], lengths[index[batch]].astype("int64")
            place = te.clamp(length - 1 - i, 0, x.shape[time] - 1)
            return x[_replaced(index, time, te.where(i < length, place, i))]

        return [te.compute(x.shape, element)]


@operator("Size", "Shape")
class ShapeOf(DerivedOperator):
    """Constants: every shape is known."""

    def known(self, node: Node, arguments: Sequence[Value | None]) -> list[np.ndarray]:
        assert arguments[0] is not None
        return [self._value(node, arguments[0].known_shape)]

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        return [te.constant(self._value(node, given(node, arguments).shape))]

    def _value(self, node: Node, shape: tuple[int, ...]) -> np.ndarray:
        if node.operator == "Size":
            return np.array(prod(shape), np.int64)
        return np.array(shape[node.get("start", 0) : node.get("end")], np.int64)


@operator("ConstantOfShape")
class ConstantOfShape(DerivedOperator):
    parameters = (0,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        shape = constant_input(node, arguments, 0, "shape")
        value = np.asarray(node.get("value", np.zeros(1, np.float32))).reshape(())
        assert shape is not None
        element = te.Const(value.item(), value.dtype.name)
        return [te.compute(tuple(shape.reshape(-1).tolist()), lambda *index: element)]


@operator("Range")
class Range(DerivedOperator):
    parameters = (0, 1, 2)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        bounds = [constant_input(node, arguments, position, "bounds") for position in range(3)]
        start, limit, delta = (np.asarray(bound).reshape(()) for bound in bounds)
        count = max(int(np.ceil((float(limit) - float(start)) / float(delta))), 0)
        wide = "float64" if start.dtype.kind == "f" else "int64"
        first, step = te.Const(start.item(), wide), te.Const(delta.item(), wide)
        return [te.compute((count,), lambda i: (first + i.astype(wide) * step).astype(start.dtype.name))]
