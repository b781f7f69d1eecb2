"""Tensors: placeholders, constants, and tensors computed from an expression per element."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from .analysis import loads, walk
from .expr import DTYPES, Axis, Const, Expr, ExprLike, Load, Math, Reduce, Select, as_expr, binary, compare
from .expr import pair as _pair

__all__ = [
    "MATH_FUNCTIONS",
    "Tensor",
    "abs",
    "all_of",
    "ceil",
    "clamp",
    "compute",
    "constant",
    "equal",
    "exp",
    "floor",
    "log",
    "max",
    "maximum",
    "min",
    "minimum",
    "not_equal",
    "placeholder",
    "prod",
    "reduce_axis",
    "round",
    "sigmoid",
    "sqrt",
    "sum",
    "tanh",
    "where",
]

MATH_FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sigmoid", "floor", "ceil", "round", "abs")
_serial = itertools.count()


class Tensor:
    """A dense row-major array of elements.

    Members
    -------
    name, shape, dtype
        Name for people and in generated code; sizes; NumPy name of the element type.
    axes, body
        Of a computed tensor: one axis per dimension and the element's expression. Empty and None otherwise.
    data
        Of a constant: its array. None otherwise.
    kept
        Of a computed tensor: the default schedule gives it memory, wherever it is read.
    """

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        *,
        axes: tuple[Axis, ...] = (),
        body: Expr | None = None,
        data: np.ndarray | None = None,
        kept: bool = False,
    ) -> None:
        self.name = name
        self.shape = tuple(int(size) for size in shape)
        self.dtype = dtype
        self.axes = axes
        self.body = body
        self.data = data
        self.kept = kept
        if dtype not in DTYPES:
            raise TypeError(f"dtype of {name} must be one of {', '.join(DTYPES)}, not {dtype!r}")
        if any(size < 0 for size in self.shape):
            raise ValueError(f"every size of {name} must be at least 0, not {self.shape}")

    def __getitem__(self, indices: ExprLike | tuple[ExprLike, ...]) -> Expr:
        given = indices if isinstance(indices, tuple) else (indices,)
        if len(given) != len(self.shape):
            raise IndexError(f"{self.name} must be indexed with {len(self.shape)} indices, not {len(given)}")
        return Load(self, tuple(as_expr(index) for index in given))

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements from one index to the next, per dimension."""
        return tuple(int(np.prod(self.shape[d + 1 :], dtype=np.int64)) for d in range(len(self.shape)))

    @property
    def reduce_axes(self) -> tuple[Axis, ...]:
        return self.body.axes if isinstance(self.body, Reduce) else ()

    @property
    def producers(self) -> tuple[Tensor, ...]:
        """The tensors that the expression reads, each once, in order of appearance."""
        body = self.body
        return () if body is None else tuple(dict.fromkeys(load.tensor for load in loads(body)))

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype}{list(self.shape)}"


def placeholder(shape: Sequence[int], dtype: str = "float32", name: str = "") -> Tensor:
    """A tensor that the caller supplies."""
    return Tensor(name or f"input{next(_serial)}", shape, dtype)


def constant(data: np.ndarray, name: str = "") -> Tensor:
    """A tensor whose elements are known now; they become part of the code."""
    array = np.ascontiguousarray(data).reshape(np.shape(data))
    return Tensor(name or f"constant{next(_serial)}", array.shape, array.dtype.name, data=array)


def reduce_axis(extent: int, name: str = "") -> Axis:
    """An axis for :func:`sum`, :func:`max` and :func:`min` to fold over."""
    if extent < 1:
        raise ValueError(f"extent of {name or 'a reduce axis'} must be at least 1, not {extent}")
    return Axis(name or f"r{next(_serial)}", extent, reduce=True)


def compute(shape: Sequence[int], element: Callable[..., ExprLike], name: str = "", *, kept: bool = False) -> Tensor:
    """The tensor whose element at (i, j, …) is ``element(i, j, …)``.

    A reduction must be the whole of the expression; what follows it is a further compute. Sums and products of
    float16 are taken in float32 and rounded once.
    """
    name = name or f"tensor{next(_serial)}"
    axes = tuple(Axis(f"{name}_{d}", int(extent)) for d, extent in enumerate(shape))
    body = as_expr(element(*axes), "float32")
    inner = body.body if isinstance(body, Reduce) else body
    if any(isinstance(node, Reduce) for node in walk(inner)):
        raise ValueError(f"a reduction must be the whole expression of a tensor, not a part of it (in {name})")
    if isinstance(body, Reduce) and body.dtype == "float16" and body.op in ("sum", "prod"):
        widened = Reduce(body.op, body.axes, inner.astype("float32"), Const(body.init.value, "float32"))
        wide = Tensor(f"{name}_wide", shape, "float32", axes=axes, body=widened)
        return compute(shape, lambda *index: wide[index].astype("float16"), name, kept=kept)
    return Tensor(name, shape, body.dtype, axes=axes, body=body, kept=kept)


def _limit(dtype: str, *, lowest: bool) -> int | float | bool:
    if dtype.startswith("float"):
        return -np.inf if lowest else np.inf
    info = np.iinfo(dtype)
    return int(info.min if lowest else info.max)


def _reduce(op: str, body: Expr, axes: Axis | Sequence[Axis], init: int | float | bool) -> Reduce:
    over = (axes,) if isinstance(axes, Axis) else tuple(axes)
    if not over or not all(axis.reduce for axis in over):
        raise ValueError(f"{op} must fold over axes made with reduce_axis, not {over}")
    start = as_expr(init, body.dtype)
    assert isinstance(start, Const)
    return Reduce(op, over, body, start)


def sum(body: Expr, axes: Axis | Sequence[Axis]) -> Reduce:
    """Σ body over `axes`, in their order, starting from 0."""
    return _reduce("sum", body, axes, 0)


def prod(body: Expr, axes: Axis | Sequence[Axis]) -> Reduce:
    """Π body over `axes`, in their order, starting from 1."""
    return _reduce("prod", body, axes, 1)


def max(body: Expr, axes: Axis | Sequence[Axis]) -> Reduce:
    """The largest over `axes`, starting from the dtype's lowest value."""
    return _reduce("max", body, axes, _limit(body.dtype, lowest=True))


def min(body: Expr, axes: Axis | Sequence[Axis]) -> Reduce:
    """The smallest over `axes`, starting from the dtype's highest value."""
    return _reduce("min", body, axes, _limit(body.dtype, lowest=False))


def maximum(a: ExprLike, b: ExprLike) -> Expr:
    return binary("max", a, b)


def minimum(a: ExprLike, b: ExprLike) -> Expr:
    return binary("min", a, b)


def clamp(value: Expr, low: ExprLike, high: ExprLike) -> Expr:
    """`value` limited to [low, high]; a float NaN becomes `low`."""
    return minimum(maximum(value, low), high)


def equal(a: ExprLike, b: ExprLike) -> Expr:
    return compare("eq", a, b)


def not_equal(a: ExprLike, b: ExprLike) -> Expr:
    return compare("ne", a, b)


def all_of(*conditions: Expr) -> Expr:
    """True where every condition is; true without any."""
    result: Expr = Const(True, "bool")
    for condition in conditions:
        result = binary("and", result, condition)
    return result


def where(condition: Expr, a: ExprLike, b: ExprLike) -> Expr:
    """`a` where `condition`, else `b`; loads in the branch not chosen do not happen."""
    left, right = _pair(a, b)
    if condition.dtype != "bool":
        raise TypeError(f"a condition must be bool, not {condition.dtype}")
    return Select(condition, left, right).rebuild((condition, left, right))


def _math(function: str, value: Expr) -> Expr:
    if not value.dtype.startswith("float"):
        raise TypeError(f"{function} is defined on floats, not on {value.dtype}")
    if value.dtype == "float16":
        return Math(function, value.astype("float32")).astype("float16")
    return Math(function, value)


def exp(value: Expr) -> Expr:
    return _math("exp", value)


def log(value: Expr) -> Expr:
    return _math("log", value)


def sqrt(value: Expr) -> Expr:
    return _math("sqrt", value)


def tanh(value: Expr) -> Expr:
    return _math("tanh", value)


def sigmoid(value: Expr) -> Expr:
    return _math("sigmoid", value)


def floor(value: Expr) -> Expr:
    return _math("floor", value)


def ceil(value: Expr) -> Expr:
    return _math("ceil", value)


def round(value: Expr) -> Expr:
    """To the nearest whole number, halves to even."""
    return _math("round", value)


def abs(value: Expr) -> Expr:
    """Magnitude, of floats and integers."""
    return _math("abs", value) if value.dtype.startswith("float") else maximum(value, -value)
