"""Reductions: ReduceSum and its like, ArgMax and ArgMin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from .derived import DerivedOperator, Expr, Tensors, constant_input, given
from .registry import Arrays, Signature, operator, refuse
from .site import Lowered, Site

__all__ = ["normalised_axes", "reduced"]


def normalised_axes(node: Node, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes from 0, sorted, each once."""
    if any(not -rank <= axis < rank for axis in axes):
        raise refuse(node, f"its axes must be of {rank} dimensions, not {list(axes)}")
    return tuple(sorted({int(axis) % rank for axis in axes}))


def reduced(
    x: te.Tensor, axes: Sequence[int], fold: Callable[[Expr, Sequence[te.Axis]], Expr], element: Callable[[Expr], Expr]
) -> te.Tensor:
    """`fold` over `element` of every element along `axes`, which stay with size 1."""
    if not axes:
        return te.compute(x.shape, lambda *index: element(x[index]))
    over = {axis: te.reduce_axis(x.shape[axis]) for axis in axes}
    kept = [1 if d in over else size for d, size in enumerate(x.shape)]

    def value(*index: Expr) -> Expr:
        return fold(element(x[tuple(over.get(d, i) for d, i in enumerate(index))]), list(over.values()))

    return te.compute(kept, value)


def _wide(x: Expr) -> Expr:
    return x.astype("float32") if x.dtype == "float16" else x


_FOLDS: dict[str, tuple[Any, Callable[[Expr], Expr]]] = {
    "ReduceSum": (te.sum, _wide),
    "ReduceMean": (te.sum, _wide),
    "ReduceProd": (te.prod, _wide),
    "ReduceL1": (te.sum, lambda x: _wide(x if x.dtype.startswith("uint") else te.abs(x))),
    "ReduceL2": (te.sum, lambda x: _wide(x) * _wide(x)),
    "ReduceSumSquare": (te.sum, lambda x: _wide(x) * _wide(x)),
    "ReduceLogSum": (te.sum, _wide),
    "ReduceMax": (te.max, lambda x: x.astype("uint8") if x.dtype == "bool" else x),
    "ReduceMin": (te.min, lambda x: x.astype("uint8") if x.dtype == "bool" else x),
}
_NUMPY: dict[str, Callable[..., Any]] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceProd": np.prod,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceL1": lambda x, **how: np.sum(np.abs(x), **how),
    "ReduceL2": lambda x, **how: np.sqrt(np.sum(np.square(x), **how)),
    "ReduceSumSquare": lambda x, **how: np.sum(np.square(x), **how),
    "ReduceLogSum": lambda x, **how: np.log(np.sum(x, **how)),
    "ReduceLogSumExp": lambda x, **how: np.log(np.sum(np.exp(x), **how)),
}


def _extreme(operator_name: str, x: np.ndarray, how: dict[str, Any]) -> Any:
    """Of nothing, the largest is the lowest value there is and the smallest the highest."""
    if x.dtype == np.bool_:
        return _NUMPY[operator_name](x, **how)
    lowest, highest = (-np.inf, np.inf) if x.dtype.kind == "f" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    return _NUMPY[operator_name](x, initial=lowest if operator_name == "ReduceMax" else highest, **how)


@operator(*_NUMPY)
class Reduce(DerivedOperator):
    """Over constant axes (input 1), or all; float16 sums are kept in float32."""

    parameters = (1,)

    def _axes(self, node: Node, arguments: Sequence[Any], rank: int) -> tuple[int, ...]:
        axes = constant_input(node, arguments, 1, "axes")
        if axes is None or not axes.size:
            return () if node.get("noop_with_empty_axes", 0) else tuple(range(rank))
        return normalised_axes(node, axes.reshape(-1).tolist(), rank)

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        shape, keep = arguments[0].known_shape, node.get("keepdims", 1)
        axes = self._axes(node, arguments, len(shape))
        kept = tuple(1 if d in axes else size for d, size in enumerate(shape) if keep or d not in axes)
        return [Signature(kept, arguments[0].known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        x = arguments[0]
        assert x is not None
        how = {"axis": self._axes(node, arguments, x.ndim), "keepdims": bool(node.get("keepdims", 1))}
        with np.errstate(all="ignore"):
            if node.operator in ("ReduceMax", "ReduceMin"):
                return [np.asarray(_extreme(node.operator, x, how), x.dtype)]
            return [np.asarray(_NUMPY[node.operator](x, **how), x.dtype)]

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        axes = self._axes(node, arguments, len(x.shape))
        total = _log_sum_exp(x, axes) if node.operator == "ReduceLogSumExp" else self._folded(node, x, axes)
        count = prod(x.shape[axis] for axis in axes)
        shape = [size for d, size in enumerate(total.shape) if node.get("keepdims", 1) or d not in axes]
        places = [d for d in range(len(x.shape)) if node.get("keepdims", 1) or d not in axes]

        def element(*index: Expr) -> Expr:
            by_place = dict(zip(places, index, strict=True))
            value = total[tuple(by_place.get(d, te.Const(0, "int64")) for d in range(len(x.shape)))]
            return _finished(node.operator, value, count).astype(x.dtype)

        return [te.compute(shape, element)]

    def quantise(self, site: Site) -> Lowered | None:
        """Means: over height and width a pooling, over channels a convolution with ones."""
        if site.node.operator != "ReduceMean":
            return None
        data, x = site.activation(0)
        axes = self._axes(site.node, [None if operand is None else operand.data for operand in site.operands], 4)
        if len(data.shape) != 4 or not axes or 0 in axes:
            raise site.refuse("it must be over channels, height or width of images")
        kernel = tuple(data.shape[d] if d in axes else 1 for d in (2, 3))
        channels = data.shape[1] if 1 in axes else 1
        factor = site.requantiser(x.scale / site.output.scale / (channels * prod(kernel)))
        whole = tuple(1 if d in axes else size for d, size in enumerate(data.shape))
        attributes = {"x_zero": x.zero_point, "requantiser": factor, **site.clamp()}
        if 1 in axes:
            ones = np.ones((1, channels, *kernel), np.int8)
            return Lowered("qconv", (data.name, ones, np.zeros(1, np.int32)), attributes, whole)
        return Lowered("qavgpool", (data.name,), {"kernel_shape": kernel, **attributes}, whole)

    def _folded(self, node: Node, x: te.Tensor, axes: Sequence[int]) -> te.Tensor:
        fold, element = _FOLDS[node.operator]
        return reduced(x, axes, fold, element)


def _finished(name: str, value: Expr, count: int) -> Expr:
    if name == "ReduceMean":
        return value / float(count) if value.dtype.startswith("float") else value // count
    if name == "ReduceL2":
        return te.sqrt(value if value.dtype.startswith("float") else value.astype("float64"))
    if name == "ReduceLogSum":
        return te.log(value if value.dtype.startswith("float") else value.astype("float64"))
    return value


def _log_sum_exp(x: te.Tensor, axes: Sequence[int]) -> te.Tensor:
    """With the largest taken off first, so that nothing overflows."""
    wide = te.compute(x.shape, lambda *index: x[index].astype("float64"))
    top = reduced(wide, axes, te.max, lambda value: value)

    def at(index: Sequence[Expr]) -> Expr:
        value = top[tuple(te.Const(0, "int64") if d in axes else i for d, i in enumerate(index))]
        return te.where(te.abs(value) < np.inf, value, 0.0)

    power = te.compute(x.shape, lambda *index: te.exp(wide[index] - at(index)))
    total = reduced(power, axes, te.sum, lambda value: value)
    return te.compute(total.shape, lambda *index: te.log(total[index]) + at(index))


@operator("ArgMax", "ArgMin")
class ArgExtreme(DerivedOperator):
    """Where along `axis` the extreme is: the first, or the last with select_last_index."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        (axis,) = normalised_axes(node, [node.get("axis", 0)], len(x.shape))
        best = reduced(x, [axis], te.max if node.operator == "ArgMax" else te.min, lambda value: value)
        keep, last = node.get("keepdims", 1), node.get("select_last_index", 0)
        shape = [1 if d == axis else size for d, size in enumerate(x.shape) if keep or d != axis]
        along = te.reduce_axis(x.shape[axis])

        def element(*index: Expr) -> Expr:
            before, after = index[:axis], index[axis + 1 :] if keep else index[axis:]
            hit = te.equal(x[(*before, along, *after)], best[(*before, 0, *after)])
            if last:
                return te.max(te.where(hit, along, 0), along)
            return te.min(te.where(hit, along, x.shape[axis] - 1), along)

        return [te.compute(shape, element)]
