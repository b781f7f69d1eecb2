"""What can be known about an index expression: its affine form, its range, its place in memory.

The affine form is the road from an expression to the accelerator: an instruction's operand is
``base + Σ stride[d] · index[d]``, and :func:`address` gives exactly that for a load or a store::

    form = address(load.tensor.strides, load.indices)
    form.base, form.along([oh, ow, kh, kw, ci])        # 0, (W·C, C, W·C, C, 1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, prod

import numpy as np

from .expr import Axis, Binary, Cast, Compare, Const, Expr, Load, Select, as_expr

__all__ = ["Affine", "address", "affine", "facts", "flat_index", "interval", "substitute", "unravel", "walk"]

Interval = tuple[float, float]
Ranges = Mapping[Expr, Interval]


@dataclass(frozen=True)
class Affine:
    """``base + Σ terms[axis] · axis``, with whole numbers."""

    base: int
    terms: Mapping[Axis, int]

    def along(self, axes: Sequence[Axis]) -> tuple[int, ...]:
        """The stride of each of `axes`; 0 for one that does not occur."""
        return tuple(self.terms.get(axis, 0) for axis in axes)

    def only(self, axes: Sequence[Axis]) -> bool:
        """Whether no axis but these occurs."""
        return set(self.terms) <= set(axes)

    def __add__(self, other: Affine) -> Affine:
        terms = {axis: self.terms.get(axis, 0) + other.terms.get(axis, 0) for axis in {**self.terms, **other.terms}}
        return Affine(self.base + other.base, {axis: stride for axis, stride in terms.items() if stride})

    def expression(self) -> Expr:
        """The form as a node again."""
        total: Expr = as_expr(0)
        for axis, stride in self.terms.items():
            total = total + axis * stride
        return total + self.base

    def scaled(self, factor: int) -> Affine:
        return Affine(self.base * factor, {axis: stride * factor for axis, stride in self.terms.items() if factor})


def walk(node: Expr) -> Iterator[Expr]:
    """Every node, parents first; one that occurs more than once as the same object comes once."""
    seen: set[int] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            pending.extend(reversed(current.children))


def substitute(node: Expr, replace: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every node for which `replace` gives something replaced by it (not looked into again).

    A node that occurs more than once as the same object stays one object.
    """
    done: dict[int, Expr] = {}

    def visit(current: Expr) -> Expr:
        key = id(current)
        if key not in done:
            result = replace(current)
            if result is None:
                children = tuple(visit(child) for child in current.children)
                changed = any(new is not old for new, old in zip(children, current.children, strict=True))
                result = current.rebuild(children) if changed else current
            done[key] = result
        return done[key]

    return visit(node)


def affine(node: Expr) -> Affine | None:
    """The affine form of an integer expression over loop axes; None where it has none."""
    if isinstance(node, Const):
        return Affine(int(node.value), {})
    if isinstance(node, Axis):
        return Affine(0, {node: 1})
    if not isinstance(node, Binary) or node.op not in ("add", "sub", "mul"):
        return None
    a, b = affine(node.a), affine(node.b)
    if a is None or b is None:
        return None
    if node.op == "add":
        return a + b
    if node.op == "sub":
        return a + b.scaled(-1)
    if a.terms and b.terms:
        return None
    return b.scaled(a.base) if not a.terms else a.scaled(b.base)


def address(strides: Sequence[int], indices: Sequence[Expr]) -> Affine | None:
    """Affine form of ``Σ strides[d] · indices[d]``, in the unit of `strides`; None where an index is not affine."""
    total = Affine(0, {})
    for stride, index in zip(strides, indices, strict=True):
        form = affine(index)
        if form is None:
            return None
        total += form.scaled(stride)
    return total


def unravel(flat: Expr, shape: Sequence[int]) -> tuple[Expr, ...]:
    """The indices in `shape` of the element with row-major number `flat`."""
    strides = [prod(shape[d + 1 :]) for d in range(len(shape))]
    outer = [flat // stride for stride in strides]
    return tuple(index if d == 0 else index % size for d, (index, size) in enumerate(zip(outer, shape, strict=True)))


def flat_index(shape: Sequence[int], indices: Sequence[Expr]) -> Expr:
    """Row-major number of an element; undoes :func:`unravel`, so that a reshape is a plain copy."""
    for index in reversed(indices if len(shape) > 1 else ()):
        flat = _stripped(_stripped(index, "mod"), "floordiv")
        if flat is not index and unravel(flat, shape) == tuple(indices):
            return flat
    total = as_expr(0)
    for d, index in enumerate(indices):
        total = total + index * prod(shape[d + 1 :])
    return total


def _stripped(node: Expr, op: str) -> Expr:
    return node.a if isinstance(node, Binary) and node.op == op else node


def facts(condition: Expr, ranges: Ranges) -> dict[Expr, Interval]:
    """`ranges` narrowed by what a true `condition` says of expressions compared with constants."""
    known = dict(ranges)
    pending = [condition]
    while pending:
        node = pending.pop()
        if isinstance(node, Binary) and node.op == "and":
            pending += [node.a, node.b]
        if not isinstance(node, Compare):
            continue
        for subject, op, bound in ((node.a, node.op, node.b), (node.b, _MIRROR[node.op], node.a)):
            if isinstance(bound, Const) and subject.dtype == "int64":
                low, high = interval(subject, known)
                value = int(bound.value)
                if op in ("ge", "gt", "eq"):
                    low = max(low, value + (op == "gt"))
                if op in ("le", "lt", "eq"):
                    high = min(high, value - (op == "lt"))
                known[subject] = (low, high)
    return known


_MIRROR = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}


def interval(node: Expr, ranges: Ranges) -> Interval:
    """Bounds, both inclusive, of an integer expression, given those of axes and of some subexpressions.

    Exact for affine expressions; otherwise never too narrow. An axis without a range has its extent's.
    """
    return _Intervals(ranges).of(node)


class _Intervals:
    """Those of an expression's nodes under the same ranges, each found once, however often it occurs."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.found: dict[int, Interval] = {}

    def of(self, node: Expr) -> Interval:
        if id(node) not in self.found:
            self.found[id(node)] = self.ranges[node] if node in self.ranges else self._derived(node)
        return self.found[id(node)]

    def _derived(self, node: Expr) -> Interval:
        within = self._structural(node)
        form = None if isinstance(node, Axis) else affine(node)
        if form is None:
            return within
        low = high = float(form.base)
        for axis, stride in form.terms.items():
            ends = [stride * end for end in self.of(axis)]
            low, high = low + min(ends), high + max(ends)
        return max(low, within[0]), min(high, within[1])

    def _structural(self, node: Expr) -> Interval:
        if isinstance(node, Const):
            return float(node.value), float(node.value)
        if isinstance(node, Axis):
            return 0.0, float(node.extent - 1)
        if isinstance(node, Select):
            ends = [*interval(node.a, facts(node.condition, self.ranges)), *self.of(node.b)]
            return min(ends), max(ends)
        limits = _dtype_limits(node.dtype)
        if isinstance(node, Cast) and not node.value.dtype.startswith("float"):
            low, high = self.of(node.value)
            return (low, high) if limits[0] <= low and high <= limits[1] else limits
        if isinstance(node, Binary):
            low, high = _binary_interval(node.op, self.of(node.a), self.of(node.b))
            return max(low, limits[0]), min(high, limits[1])
        return limits


def _binary_interval(op: str, a: Interval, b: Interval) -> Interval:
    if op == "add":
        return a[0] + b[0], a[1] + b[1]
    if op == "sub":
        return a[0] - b[1], a[1] - b[0]
    if op in ("min", "max"):
        choose = min if op == "min" else max
        return choose(a[0], b[0]), choose(a[1], b[1])
    if op == "mul" and inf not in (*map(abs, a), *map(abs, b)):
        ends = [x * y for x, y in product(a, b)]
        return min(ends), max(ends)
    if op == "floordiv" and b[0] > 0 and inf not in map(abs, a):
        ends = [x // y for x, y in product(a, b)]
        return min(ends), max(ends)
    if op == "mod" and b[0] > 0:
        return a if a[0] >= 0 and a[1] < b[0] else (0.0, b[1] - 1)
    return -inf, inf


def _dtype_limits(dtype: str) -> Interval:
    if dtype == "bool":
        return 0.0, 1.0
    if dtype == "int64" or not dtype.startswith(("int", "uint")):
        return -inf, inf
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


def stride_along(node: Expr, axis: Axis) -> int | None:
    """How much an integer expression grows a step of `axis`, whatever else is in it; None where that varies."""
    if node is axis:
        return 1
    if all(found is not axis for found in walk(node)):
        return 0
    if not isinstance(node, Binary) or node.op not in ("add", "sub", "mul"):
        return None
    a, b = stride_along(node.a, axis), stride_along(node.b, axis)
    if a is None or b is None:
        return None
    if node.op == "mul":
        factor, stride = (node.a, b) if isinstance(node.a, Const) else (node.b, a)
        return stride * int(factor.value) if isinstance(factor, Const) else None
    return a + b if node.op == "add" else a - b


def loads(node: Expr) -> Iterator[Load]:
    """Every load, those inside indices of others too; the same object once."""
    return (found for found in walk(node) if isinstance(found, Load))


def operands(node: Expr) -> list[Load]:
    """The loads from left to right; one that occurs twice is two operands."""
    if isinstance(node, Load):
        return [node]
    return [load for child in node.children for load in operands(child)]
