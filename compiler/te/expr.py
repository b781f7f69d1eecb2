"""Scalar expressions: what one element of a tensor is.

A node is immutable, knows its dtype (a NumPy name: ``"int8"``, ``"bool"`` …) and compares by structure, but for loop
variables (:class:`Axis`). Both sides of an operation have one dtype; a Python number takes that of the other side.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Axis",
    "Binary",
    "Bits",
    "Cast",
    "Compare",
    "Const",
    "Expr",
    "ExprLike",
    "Load",
    "Math",
    "Reduce",
    "Select",
    "as_expr",
]

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
)  # fmt: skip
INDEX = "int64"

ExprLike = Union["Expr", int, float, bool]


class Expr:
    """Base of all nodes; arithmetic on nodes builds nodes.

    ``/`` is for floats, ``//`` and ``%`` round toward minus infinity and are for integers. ``<``, ``<=``, ``>``
    and ``>=`` build comparisons; for equality use :func:`equal`, since ``==`` compares structure.
    """

    dtype: str

    @property
    def children(self) -> tuple[Expr, ...]:
        return ()

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        """The same node over other children."""
        return self

    def __add__(self, other: ExprLike) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: ExprLike) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: ExprLike) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: ExprLike) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: ExprLike) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: ExprLike) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: ExprLike) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: ExprLike) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: ExprLike) -> Expr:
        return binary("floordiv", self, other)

    def __mod__(self, other: ExprLike) -> Expr:
        return binary("mod", self, other)

    def __lshift__(self, other: ExprLike) -> Expr:
        return binary("shl", self, other)

    def __rshift__(self, other: ExprLike) -> Expr:
        return binary("shr", self, other)

    def __and__(self, other: ExprLike) -> Expr:
        return binary("and", self, other)

    def __or__(self, other: ExprLike) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: ExprLike) -> Expr:
        return binary("xor", self, other)

    def __neg__(self) -> Expr:
        return binary("sub", Const(0, self.dtype), self)

    def __lt__(self, other: ExprLike) -> Expr:
        return compare("lt", self, other)

    def __le__(self, other: ExprLike) -> Expr:
        return compare("le", self, other)

    def __gt__(self, other: ExprLike) -> Expr:
        return compare("gt", self, other)

    def __ge__(self, other: ExprLike) -> Expr:
        return compare("ge", self, other)

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value; build a choice with te.where(condition, a, b)")

    def astype(self, dtype: str) -> Expr:
        """This value as `dtype`: integers wrap, float to integer truncates (clamp first: beyond is undefined)."""
        if dtype not in DTYPES:
            raise TypeError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
        if dtype == self.dtype:
            return self
        if isinstance(self, Const):
            return Const(np.array(self.value, self.dtype).astype(dtype).item(), dtype)
        return Cast(self, dtype)


def _hash_once(node: Any) -> int:
    """Of class and fields, kept in the node: large expressions share their parts, and are looked up often."""
    found = node.__dict__.get("_hash")
    if found is None:
        found = hash((type(node), *(getattr(node, part.name) for part in fields(node))))
        node.__dict__["_hash"] = found
    return int(found)


@dataclass(frozen=True, eq=False)
class Axis(Expr):
    """A loop variable from 0 to `extent` - 1; `reduce` marks an axis that a reduction folds."""

    name: str
    extent: int
    reduce: bool = False
    dtype: str = field(default=INDEX, init=False)

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Const(Expr):
    value: int | float | bool
    dtype: str

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, repr=False)
class _Pair(Expr):
    op: str
    a: Expr
    b: Expr
    __hash__ = _hash_once

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.a, self.b)

    def __repr__(self) -> str:
        if self.op in ("min", "max"):
            return f"{self.op}({self.a}, {self.b})"
        return f"({self.a} {_SYMBOLS[self.op]} {self.b})"


@dataclass(frozen=True, repr=False)
class Binary(_Pair):
    """add, sub, mul, div, floordiv, mod, min, max, shl, shr, and, or, xor. Integers wrap around.

    ``min(a, b)`` is ``a if a < b else b`` and ``max(a, b)`` is ``a if a > b else b``, so that with floats a NaN in
    `a` gives `b`.
    """

    __hash__ = _hash_once

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return self.a.dtype

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return binary(self.op, *children)


@dataclass(frozen=True, repr=False)
class Compare(_Pair):
    """lt, le, gt, ge, eq, ne; floats compare ordered, but ne is true for NaN."""

    dtype: str = field(default="bool", init=False)
    __hash__ = _hash_once

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return compare(self.op, *children)


@dataclass(frozen=True, repr=False)
class Select(Expr):
    """`a` where `condition`, else `b`; a load in the branch not chosen does not happen."""

    condition: Expr
    a: Expr
    b: Expr
    __hash__ = _hash_once

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return self.a.dtype

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.condition, self.a, self.b)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        condition, a, b = children
        if not isinstance(condition, Const):
            return Select(condition, a, b)
        return a if condition.value else b

    def __repr__(self) -> str:
        return f"where({self.condition}, {self.a}, {self.b})"


class _Single(Expr):
    value: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.value,)


@dataclass(frozen=True, repr=False)
class Cast(_Single):
    value: Expr
    dtype: str
    __hash__ = _hash_once

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return children[0].astype(self.dtype)

    def __repr__(self) -> str:
        return f"{self.dtype}({self.value})"


@dataclass(frozen=True, repr=False)
class Bits(_Single):
    """The bits of `value` read as `dtype`, which is as wide."""

    value: Expr
    dtype: str
    __hash__ = _hash_once

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Bits(children[0], self.dtype)

    def __repr__(self) -> str:
        return f"bits[{self.dtype}]({self.value})"


@dataclass(frozen=True, repr=False)
class Math(_Single):
    """A function of one float: exp, log, sqrt, tanh, sigmoid, floor, ceil, round (halves to even), abs."""

    function: str
    value: Expr
    __hash__ = _hash_once

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return self.value.dtype

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Math(self.function, children[0])

    def __repr__(self) -> str:
        return f"{self.function}({self.value})"


@dataclass(frozen=True, repr=False)
class Load(Expr):
    """One element of a tensor."""

    tensor: Tensor
    indices: tuple[Expr, ...]
    __hash__ = _hash_once

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return self.tensor.dtype

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.indices

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Load(self.tensor, tuple(children))

    def __repr__(self) -> str:
        return f"{self.tensor.name}[{', '.join(map(repr, self.indices))}]"


@dataclass(frozen=True, repr=False)
class Reduce(Expr):
    """`body` folded over `axes` by sum, prod, max or min, from `init` on; only as the whole of a compute's body."""

    op: str
    axes: tuple[Axis, ...]
    body: Expr
    init: Const
    __hash__ = _hash_once

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return self.body.dtype

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Reduce(self.op, self.axes, children[0], self.init)

    def combine(self, accumulator: Expr) -> Expr:
        """The accumulator after one more step."""
        return binary({"sum": "add", "prod": "mul"}.get(self.op, self.op), accumulator, self.body)

    def __repr__(self) -> str:
        return f"{self.op}({self.body}; {', '.join(a.name for a in self.axes)})"


_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%"}
_SYMBOLS |= {"shl": "<<", "shr": ">>", "and": "&", "or": "|", "xor": "^"}
_SYMBOLS |= {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "min": min,
    "max": max,
    "and": operator.and_,
    "or": operator.or_,
}
_LOGIC = ("and", "or", "xor")


def as_expr(value: ExprLike, dtype: str = INDEX) -> Expr:
    """`value` as a node; a Python number becomes a constant of `dtype`."""
    if isinstance(value, Expr):
        return value
    if not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(f"an expression must be made of nodes and numbers, not {type(value).__name__}")
    number = np.array(value).item()
    if dtype.startswith("float"):
        return Const(float(number), dtype)
    if dtype == "bool":
        return Const(bool(number), dtype)
    if isinstance(number, float):
        raise TypeError(f"{number} must be a whole number where the other side is {dtype}")
    return Const(int(number), dtype)


def pair(a: ExprLike, b: ExprLike) -> tuple[Expr, Expr]:
    """Both as nodes of one dtype."""
    dtype = a.dtype if isinstance(a, Expr) else b.dtype if isinstance(b, Expr) else INDEX
    left, right = as_expr(a, dtype), as_expr(b, dtype)
    if left.dtype != right.dtype:
        raise TypeError(f"both sides must have one dtype, not {left.dtype} and {right.dtype}; use astype")
    return left, right


def binary(op: str, a: ExprLike, b: ExprLike) -> Expr:
    """The node for `op`, folded where index arithmetic on constants allows it."""
    left, right = pair(a, b)
    dtype = left.dtype
    if (op == "div") != dtype.startswith("float") and op in ("div", "floordiv", "mod", "shl", "shr"):
        raise TypeError(f"{op} is not defined on {dtype}")
    if (dtype.startswith("float") and op in _LOGIC) or (dtype == "bool" and op not in _LOGIC):
        raise TypeError(f"{op} is not defined on {dtype}")
    if dtype in (INDEX, "bool"):
        return _fold(op, left, right)
    return Binary(op, left, right)


def _fold(op: str, a: Expr, b: Expr) -> Expr:
    x = a.value if isinstance(a, Const) else None
    y = b.value if isinstance(b, Const) else None
    if x is not None and y is not None and op in _PYTHON and not (y == 0 and op in ("floordiv", "mod")):
        return Const(_PYTHON[op](x, y), a.dtype)
    if a.dtype == "bool":
        known, other = (x, b) if x is not None else (y, a)
        if known is not None and op != "xor":
            return other if known == (op == "and") else Const(bool(known), "bool")
        return Binary(op, a, b)
    if (op in ("add", "sub") and y == 0) or (op in ("mul", "floordiv") and y == 1):
        return a
    if (op == "add" and x == 0) or (op == "mul" and x == 1):
        return b
    if (op == "mul" and 0 in (x, y)) or (op == "mod" and y == 1):
        return Const(0, a.dtype)
    if op == "add" and x is not None:
        a, b = b, a
    simpler = _fold_division(op, a, b)
    return Binary(op, a, b) if simpler is None else simpler


def _fold_division(op: str, a: Expr, b: Expr) -> Expr | None:
    """Divisions of divisions, so that an index taken apart in steps looks like one taken apart at once."""
    if not (isinstance(a, Binary) and isinstance(b, Const) and isinstance(a.b, Const)) or op not in ("floordiv", "mod"):
        return None
    inner, outer = int(a.b.value), int(b.value)
    if a.op == "floordiv" and op == "floordiv" and inner > 0 and outer > 0:
        return a.a // (inner * outer)
    if a.op == "mod" and inner > 0 and outer > 0 and inner % outer == 0:
        return a.a % outer if op == "mod" else (a.a // outer) % (inner // outer)
    return None


def compare(op: str, a: ExprLike, b: ExprLike) -> Expr:
    """A bool node."""
    left, right = pair(a, b)
    if isinstance(left, Const) and isinstance(right, Const):
        return Const(bool(getattr(operator, op)(left.value, right.value)), "bool")
    return Compare(op, left, right)
