"""Expressions of the loop IR to LLVM values, one element or one vector of lanes at a time.

Inside a vector loop a value is a scalar where it is the same in all lanes and a vector where it is not. Loads that
follow each other in memory become one vector load, in two runs two; others are gathered lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llvmlite import ir

from ..te.analysis import flat_index, interval, stride_along, substitute, walk
from ..te.expr import Axis, Binary, Bits, Cast, Compare, Const, Expr, Load, Math, Select, as_expr
from ..te.tensor import Tensor
from .mathlib import emit_math
from .scalars import TYPES, arithmetic, comparison, conversion, declare, like, memory_type, splat, suffix

__all__ = ["ExpressionEmitter"]

Value = Any
_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


class ExpressionEmitter:
    """Emits into `builder`, which moves on as control flow needs it.

    Members
    -------
    pointers
        Where each buffer lies.
    axes, extents
        Value and extent of each loop variable in scope.
    lane, lanes
        The vector loop's variable and its steps; None and 0 outside one.
    mask
        Lanes that are live, a vector of i1; None: all.
    """

    def __init__(self, builder: ir.IRBuilder, pointers: Mapping[Tensor, Value]) -> None:
        self.builder = builder
        self.pointers = pointers
        self.axes: dict[Axis, Value] = {}
        self.extents: dict[Expr, tuple[float, float]] = {}
        self.lane: Axis | None = None
        self.lanes = 0
        self.mask: Value = None
        self.known: dict[int, tuple[Expr, Value]] = {}

    def emit(self, node: Expr) -> Value:
        """The node's value; a node met twice in one statement is computed once."""
        found = self.known.get(id(node))
        if found is None:
            found = self.known[id(node)] = (node, self._emit(node))
        return found[1]

    def scoped(self, action: Callable[[], Value]) -> Value:
        """`action`'s result, without keeping the values computed on the way."""
        before = self.known
        self.known = dict(before)
        try:
            return action()
        finally:
            self.known = before

    def _emit(self, node: Expr) -> Value:
        if isinstance(node, Const):
            return ir.Constant(TYPES[node.dtype], node.value)
        if isinstance(node, Axis):
            return self._axis(node)
        if isinstance(node, Load):
            return self._load(node)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Bits):
            return self.builder.bitcast(self.emit(node.value), like(TYPES[node.dtype], self._lanes(node.value)))
        if isinstance(node, Cast):
            return conversion(self.builder, self.emit(node.value), node.value.dtype, node.dtype)
        if isinstance(node, Math):
            return emit_math(self.builder, node.function, self.emit(node.value))
        assert isinstance(node, (Binary, Compare))
        a, b = self._together(self.emit(node.a), self.emit(node.b))
        if isinstance(node, Compare):
            return comparison(self.builder, node.op, node.a.dtype, a, b)
        positive = node.op in ("floordiv", "mod") and self._positive(node.a) and self._positive(node.b)
        return arithmetic(self.builder, node.op, node.dtype, a, b, unsigned=positive)

    def _lanes(self, node: Expr) -> int:
        kind = self.emit(node).type
        return kind.count if isinstance(kind, ir.VectorType) else 0

    def _positive(self, node: Expr) -> bool:
        return interval(node, self.extents)[0] >= 0

    def _axis(self, axis: Axis) -> Value:
        if axis is self.lane:
            return ir.Constant(ir.VectorType(_I64, self.lanes), list(range(self.lanes)))
        return self.axes[axis]

    def _together(self, *values: Value) -> tuple[Value, ...]:
        """All scalars, or all vectors."""
        if any(isinstance(value.type, ir.VectorType) for value in values):
            return tuple(splat(self.builder, value, self.lanes) for value in values)
        return values

    def _select(self, node: Select) -> Value:
        condition = self.emit(node.condition)
        lazy = any(isinstance(found, Load) for branch in (node.a, node.b) for found in walk(branch))
        if isinstance(condition.type, ir.VectorType):
            a = self.under(condition, lambda: self.emit(node.a))
            b = self.under(self.builder.not_(condition), lambda: self.emit(node.b))
            return self.builder.select(condition, *self._vectors(a, b))
        if lazy:
            return self._branch(condition, node)
        return self.builder.select(condition, *self._together(self.emit(node.a), self.emit(node.b)))

    def _vectors(self, *values: Value) -> tuple[Value, ...]:
        return tuple(splat(self.builder, value, self.lanes) for value in values)

    def under(self, condition: Value, action: Callable[[], Value]) -> Value:
        """`action`'s result with only the lanes live in which `condition` holds."""
        before = self.mask
        self.mask = condition if before is None else self.builder.and_(before, condition)
        try:
            return self.scoped(action)
        finally:
            self.mask = before

    def _branch(self, condition: Value, node: Select) -> Value:
        varies = self.mask is not None or any(
            found is self.lane for branch in (node.a, node.b) for found in walk(branch)
        )
        ends: list[tuple[Value, ir.Block]] = []
        with self.builder.if_else(condition) as (then, otherwise):
            for arm, branch in ((then, node.a), (otherwise, node.b)):
                with arm:
                    value = self.scoped(lambda branch=branch: self.emit(branch))  # type: ignore[misc]
                    if self.lanes and varies:
                        value = splat(self.builder, value, self.lanes)
                    ends.append((value, self.builder.block))
        result = self.builder.phi(ends[0][0].type)
        for value, block in ends:
            result.add_incoming(value, block)
        return result

    def _load(self, node: Load) -> Value:
        buffer = node.tensor
        flat = flat_index(buffer.shape, node.indices)
        stride = 0 if self.lane is None else stride_along(flat, self.lane)
        if stride == 0 and self.mask is None:
            value = self._read(buffer, self.emit(flat), 0)
        elif stride == 1 and (self.mask is None or not any(isinstance(found, Load) for found in walk(flat))):
            value = self._read(buffer, self._first(flat), self.lanes)
        else:
            runs = self._two_runs(buffer, flat)
            value = self._gather(buffer, flat) if runs is None else self._joined(buffer, *runs)
        if buffer.dtype == "bool":
            value = conversion(self.builder, value, "uint8", "bool")
        return value

    def _first(self, flat: Expr) -> Value:
        """The index in lane 0."""
        return self.emit(self._at_start(flat))

    def _at_start(self, node: Expr) -> Expr:
        return substitute(node, lambda found: as_expr(0) if found is self.lane else None)

    def _two_runs(self, buffer: Tensor, flat: Expr) -> tuple[Expr, Expr, Expr] | None:
        """Where neighbouring lanes read neighbouring elements but for one jump: the index in lane 0 of the run before
        it, that of the run after it as if that began in lane 0 too, and the first lane after it.

        None where it isn't so, or where one of the runs, as long as the vector, might leave the buffer.
        """
        if self.lane is None:
            return None
        divisions = [n for n in walk(flat) if isinstance(n, Binary) and n.op in ("floordiv", "mod") and self._varies(n)]
        if not divisions or any((n.a, n.b) != (divisions[0].a, divisions[0].b) for n in divisions):
            return None
        divided, divisor = divisions[0].a, divisions[0].b
        if not isinstance(divisor, Const) or divisor.value < self.lanes or stride_along(divided, self.lane) != 1:
            return None
        start = self._at_start(divided)
        quotient, rest = start // divisor, start % divisor
        runs = []
        for number in (0, 1):
            parts = {"floordiv": quotient + number, "mod": rest + self.lane - divisor * number}
            run = substitute(flat, lambda n, parts=parts: parts[n.op] if n in divisions else None)  # type: ignore[misc]
            low, high = interval(self._at_start(run), self.extents)
            if stride_along(run, self.lane) != 1 or low < 0 or high + self.lanes > buffer.size:
                return None
            runs.append(self._at_start(run))
        return runs[0], runs[1], divisor - rest

    def _varies(self, node: Expr) -> bool:
        return any(found is self.lane for found in walk(node))

    def _joined(self, buffer: Tensor, before: Expr, after: Expr, jump: Expr) -> Value:
        lanes = ir.Constant(ir.VectorType(_I64, self.lanes), list(range(self.lanes)))
        first = self.builder.icmp_signed("<", lanes, splat(self.builder, self.emit(jump), self.lanes))
        mask, self.mask = self.mask, None  # both runs lie in the buffer, whichever lanes are live
        try:
            runs = [self._read(buffer, self.emit(start), self.lanes) for start in (before, after)]
        finally:
            self.mask = mask
        return self.builder.select(first, *runs)

    def place(self, buffer: Tensor, index: Value) -> Value:
        """Pointer to an element."""
        return self.builder.gep(self.pointers[buffer], [index], inbounds=True, source_etype=memory_type(buffer.dtype))

    def _read(self, buffer: Tensor, index: Value, lanes: int) -> Value:
        kind, size = memory_type(buffer.dtype), buffer.nbytes // buffer.size
        place = self.place(buffer, index)
        if not lanes or self.mask is None:
            return self.builder.load(place, align=size, typ=like(kind, lanes))
        vector = like(kind, lanes)
        signature = ir.FunctionType(vector, [place.type, _I32, like(_I1, lanes), vector])
        name = f"llvm.masked.load.{suffix(vector)}.p0"
        function = declare(self.builder.module, name, signature)
        zeros = ir.Constant(vector, [0] * lanes)
        return self.builder.call(function, [place, ir.Constant(_I32, size), self.mask, zeros])

    def _gather(self, buffer: Tensor, flat: Expr) -> Value:
        """Lane by lane; a lane that is not live reads element 0, which is always there."""
        indices = splat(self.builder, self.emit(flat), self.lanes)
        if self.mask is not None:
            none = ir.Constant(indices.type, [0] * self.lanes)
            indices = self.builder.select(self.mask, indices, none)
        result: Value = ir.Constant(like(memory_type(buffer.dtype), self.lanes), ir.Undefined)
        for number in range(self.lanes):
            at = ir.Constant(_I32, number)
            value = self._one(buffer, self.builder.extract_element(indices, at))
            result = self.builder.insert_element(result, value, at)
        return result

    def _one(self, buffer: Tensor, index: Value) -> Value:
        size = buffer.nbytes // buffer.size
        return self.builder.load(self.place(buffer, index), align=size, typ=memory_type(buffer.dtype))

    def store(self, buffer: Tensor, indices: tuple[Expr, ...], node: Expr) -> None:
        """Write the value of `node` to an element, or to one a lane."""
        value = self.emit(node)
        if buffer.dtype == "bool":
            value = conversion(self.builder, value, "bool", "uint8")
        flat = flat_index(buffer.shape, indices)
        size = buffer.nbytes // buffer.size
        stride = 0 if self.lane is None else stride_along(flat, self.lane)
        if stride == 0:
            self.builder.store(value, self.place(buffer, self.emit(flat)), align=size)
        elif stride == 1:
            self._write(buffer, self._first(flat), splat(self.builder, value, self.lanes), size)
        else:
            self._scatter(buffer, splat(self.builder, self.emit(flat), self.lanes), value, size)

    def _write(self, buffer: Tensor, index: Value, value: Value, size: int) -> None:
        place = self.place(buffer, index)
        if self.mask is None:
            self.builder.store(value, place, align=size)
            return
        signature = ir.FunctionType(ir.VoidType(), [value.type, place.type, _I32, like(_I1, self.lanes)])
        function = declare(self.builder.module, f"llvm.masked.store.{suffix(value.type)}.p0", signature)
        self.builder.call(function, [value, place, ir.Constant(_I32, size), self.mask])

    def _scatter(self, buffer: Tensor, indices: Value, value: Value, size: int) -> None:
        values = splat(self.builder, value, self.lanes)
        for number in range(self.lanes):
            at = ir.Constant(_I32, number)
            place = self.place(buffer, self.builder.extract_element(indices, at))
            element = self.builder.extract_element(values, at)
            if self.mask is None:
                self.builder.store(element, place, align=size)
            else:
                with self.builder.if_then(self.builder.extract_element(self.mask, at)):
                    self.builder.store(element, place, align=size)
