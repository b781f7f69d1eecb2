"""Elements chosen by index tensors: Gather and Scatter and their like, OneHot, TopK, CumSum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, constant_input, given
from .reduce import normalised_axes
from .registry import operator, refuse

__all__: list[str] = []


def _wrapped(index: Expr, size: int) -> Expr:
    """An index from the end counts back; others are kept inside."""
    wide = index.astype("int64")
    return te.clamp(te.where(wide < 0, wide + size, wide), 0, size - 1)


@operator("Gather")
class Gather(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices = given(node, arguments), given(node, arguments, 1)
        (axis,) = normalised_axes(node, [node.get("axis", 0)], len(x.shape))
        rank = len(indices.shape)
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

        def element(*index: Expr) -> Expr:
            place = _wrapped(indices[index[axis : axis + rank]], x.shape[axis])
            return x[(*index[:axis], place, *index[axis + rank :])]

        return [te.compute(shape, element)]


@operator("GatherElements")
class GatherElements(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices = given(node, arguments), given(node, arguments, 1)
        (axis,) = normalised_axes(node, [node.get("axis", 0)], len(x.shape))

        def element(*index: Expr) -> Expr:
            return x[(*index[:axis], _wrapped(indices[index], x.shape[axis]), *index[axis + 1 :])]

        return [te.compute(indices.shape, element)]


@operator("GatherND")
class GatherND(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices = given(node, arguments), given(node, arguments, 1)
        batch, depth = int(node.get("batch_dims", 0)), indices.shape[-1]
        outer = len(indices.shape) - 1
        if batch + depth > len(x.shape):
            raise refuse(node, f"its indices {list(indices.shape)} must fit its input {list(x.shape)}")

        def element(*index: Expr) -> Expr:
            chosen = [_wrapped(indices[(*index[:outer], d)], x.shape[batch + d]) for d in range(depth)]
            return x[(*index[:batch], *chosen, *index[outer:])]

        return [te.compute((*indices.shape[:-1], *x.shape[batch + depth :]), element)]


_FOLDS: dict[str, tuple[Callable[..., te.Expr], Callable[[Expr, Expr], Expr]]] = {
    "add": (te.sum, lambda a, b: a + b),
    "mul": (te.prod, lambda a, b: a * b),
    "max": (te.max, te.maximum),
    "min": (te.min, te.minimum),
}


def _neutral(fold: Callable[..., Any], dtype: str) -> Any:
    return fold(te.Const(1, dtype), te.reduce_axis(1)).init


def _scattered(
    node: Node, x: te.Tensor, over: Sequence[te.Axis], hit: Callable[..., Expr], update: Callable[..., Expr]
) -> te.Tensor:
    """`x` with the updates along `over` that hit an element; without a reduction the last one counts."""
    how = node.get("reduction", "none")
    if how != "none":
        if how not in _FOLDS:
            raise refuse(node, f"its reduction must be none, add, mul, max or min, not {how}")
        fold, join = _FOLDS[how]
        start = _neutral(fold, x.dtype)
        total = te.compute(x.shape, lambda *index: fold(te.where(hit(index, over), update(index, over), start), over))
        return te.compute(x.shape, lambda *index: join(x[index], total[index]))
    number: Any = te.Const(0, "int64")
    for axis in over:
        number = number * axis.extent + axis
    last = te.compute(x.shape, lambda *index: te.max(te.where(hit(index, over), number, -1), over))

    def element(*index: Expr) -> Expr:
        rest, places = te.maximum(last[index], 0), []
        for axis in reversed(over):
            places.append(te.clamp(rest % axis.extent, 0, axis.extent - 1))
            rest = rest // axis.extent
        return te.where(last[index] >= 0, update(index, places[::-1]), x[index])

    return te.compute(x.shape, element)


@operator("ScatterElements", "Scatter")
class ScatterElements(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices, updates = (given(node, arguments, position) for position in range(3))
        (axis,) = normalised_axes(node, [node.get("axis", 0)], len(x.shape))
        if not indices.size:
            return [te.compute(x.shape, lambda *index: x[index])]
        along = te.reduce_axis(indices.shape[axis])

        def place(index: Sequence[Expr], over: Sequence[Expr]) -> tuple[Expr, ...]:
            moved = [*index[:axis], over[0], *index[axis + 1 :]]
            return tuple(te.minimum(i, size - 1) for i, size in zip(moved, indices.shape, strict=True))

        def hit(index: Sequence[Expr], over: Sequence[Expr]) -> Expr:
            inside = [index[d] < size for d, size in enumerate(indices.shape) if d != axis]
            chosen = _wrapped(indices[place(index, over)], x.shape[axis])
            return te.all_of(*inside, te.equal(chosen, index[axis]))

        return [_scattered(node, x, [along], hit, lambda index, over: updates[place(index, over)])]


@operator("ScatterND")
class ScatterND(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices, updates = (given(node, arguments, position) for position in range(3))
        if not indices.size:
            return [te.compute(x.shape, lambda *index: x[index])]
        outer, depth = indices.shape[:-1], indices.shape[-1]
        over = [te.reduce_axis(size) for size in outer] or [te.reduce_axis(1)]

        def hit(index: Sequence[Expr], at: Sequence[Expr]) -> Expr:
            chosen = at[: len(outer)]
            return te.all_of(*(te.equal(_wrapped(indices[(*chosen, d)], x.shape[d]), index[d]) for d in range(depth)))

        def update(index: Sequence[Expr], at: Sequence[Expr]) -> Expr:
            return updates[(*at[: len(outer)], *index[depth:])]

        return [_scattered(node, x, over, hit, update)]


@operator("OneHot")
class OneHot(DerivedOperator):
    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        indices, values = given(node, arguments), given(node, arguments, 2)
        depth = constant_input(node, arguments, 1, "depth")
        assert depth is not None
        count, rank = int(depth.reshape(())), len(indices.shape) + 1
        (axis,) = normalised_axes(node, [node.get("axis", -1)], rank)

        def element(*index: Expr) -> Expr:
            place = indices[(*index[:axis], *index[axis + 1 :])].astype("int64")
            wrapped = te.where(place < 0, place + count, place)
            return te.where(te.equal(wrapped, index[axis]), values[1], values[0])

        return [te.compute((*indices.shape[:axis], count, *indices.shape[axis:]), element)]


@operator("TopK")
class TopK(DerivedOperator):
    """By rank: each element's place is the number of elements that go before it. Equal ones keep their order."""

    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, k = given(node, arguments), constant_input(node, arguments, 1, "k")
        assert k is not None
        (axis,) = normalised_axes(node, [node.get("axis", -1)], len(x.shape))
        size, count = x.shape[axis], int(k.reshape(()))
        if not 0 <= count <= size:
            raise refuse(node, f"its k must be at most the {size} elements of axis {axis}, not {count}")
        other, along = te.reduce_axis(size), te.reduce_axis(size)

        def rank(*index: Expr) -> Expr:
            mine, theirs = x[index], x[(*index[:axis], other, *index[axis + 1 :])]
            before = theirs > mine if node.get("largest", 1) else theirs < mine
            tied = te.all_of(te.equal(theirs, mine), other < index[axis])
            return te.sum((before | tied).astype("int64"), other)

        ranks = te.compute(x.shape, rank)

        def place(*index: Expr) -> Expr:
            at = (*index[:axis], along, *index[axis + 1 :])
            return te.sum(te.where(te.equal(ranks[at], index[axis]), along, 0), along)

        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        places = te.compute(shape, place)
        values = te.compute(shape, lambda *i: x[(*i[:axis], te.clamp(places[i], 0, size - 1), *i[axis + 1 :])])
        return [values, places][: max(len(node.outputs), 1)]


@operator("CumSum", "CumProd")
class Cumulative(DerivedOperator):
    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, chosen = given(node, arguments), constant_input(node, arguments, 1, "axis")
        assert chosen is not None
        (axis,) = normalised_axes(node, [int(chosen.reshape(()))], len(x.shape))
        along = te.reduce_axis(x.shape[axis])
        backwards, exclusive = node.get("reverse", 0), node.get("exclusive", 0)
        fold = te.sum if node.operator == "CumSum" else te.prod

        def element(*index: Expr) -> Expr:
            first, second = (index[axis], along) if backwards else (along, index[axis])
            counted = first < second if exclusive else first <= second
            return fold(
                te.where(counted, x[(*index[:axis], along, *index[axis + 1 :])], _neutral(fold, x.dtype)), along
            )

        return [te.compute(x.shape, element)]
