"""Functions of two or more elements, broadcast: arithmetic, comparison, logic, bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from .. import te
from ..graph import Node
from ..te import functions as f
from .arithmetic import lower_difference, lower_product, lower_sum
from .derived import DerivedOperator, Expr, Tensors, elementwise, given
from .registry import Arrays, operator, refuse
from .site import Lowered, Site
from .table import tabulated

Element = Callable[[Node, Expr, Expr], Expr]


def _is_float(x: Expr) -> bool:
    return x.dtype.startswith("float")


def _div(_: Node, a: Expr, b: Expr) -> Expr:
    """Integers truncate toward zero."""
    if _is_float(a):
        return a / b
    if a.dtype.startswith("uint"):
        return a // b
    quotient = a // b
    inexact = te.not_equal(quotient * b, a)
    negative = te.not_equal(a < 0, b < 0)
    return te.where(te.all_of(inexact, negative), quotient + 1, quotient)


def _truncated(x: Expr) -> Expr:
    return te.where(x < 0, te.ceil(x), te.floor(x))


def _mod(node: Node, a: Expr, b: Expr) -> Expr:
    if not node.get("fmod", 0):
        if _is_float(a):
            raise refuse(node, "its fmod must be 1 for floats")
        return a % b
    if not _is_float(a):
        return a - _div(node, a, b) * b
    wide_a, wide_b = a.astype("float64"), b.astype("float64")
    return (wide_a - _truncated(wide_a / wide_b) * wide_b).astype(a.dtype)


def _shift(node: Node, a: Expr, b: Expr) -> Expr:
    bits = int(a.dtype[4:])
    shifted = a << b if node["direction"] == "LEFT" else a >> b
    return te.where(b < bits, shifted, 0)


def _pow(_: Node, a: Expr, b: Expr) -> Expr:
    return f.pow(a, b)


def _largest(_: Node, a: Expr, b: Expr) -> Expr:
    return te.where(f.is_nan(a), a, te.maximum(b, a)) if _is_float(a) else te.maximum(a, b)


def _smallest(_: Node, a: Expr, b: Expr) -> Expr:
    return te.where(f.is_nan(a), a, te.minimum(b, a)) if _is_float(a) else te.minimum(a, b)


def _channel_slopes(x: te.Tensor, slope: te.Tensor) -> te.Tensor:
    """PRelu of old: one slope, or one a channel."""
    single = slope.size == 1
    return te.compute(
        x.shape, lambda *i: te.where(x[i] < 0, x[i] * slope[(0,) * len(slope.shape) if single else i[1]], x[i])
    )


_BINARY: dict[str, Element] = {
    "Add": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "PRelu": lambda _, a, b: te.where(a < 0, a * b, a),
    "And": lambda _, a, b: a & b,
    "Or": lambda _, a, b: a | b,
    "Xor": lambda _, a, b: a ^ b,
    "BitwiseAnd": lambda _, a, b: a & b,
    "BitwiseOr": lambda _, a, b: a | b,
    "BitwiseXor": lambda _, a, b: a ^ b,
    "BitShift": _shift,
    "Equal": lambda _, a, b: te.equal(a, b),
    "Less": lambda _, a, b: a < b,
    "LessOrEqual": lambda _, a, b: a <= b,
    "Greater": lambda _, a, b: a > b,
    "GreaterOrEqual": lambda _, a, b: a >= b,
}
_NUMPY: dict[str, Callable[..., np.ndarray]] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
_LOWERED: dict[str, Callable[[Site], Lowered | None]] = {
    "Add": lower_sum,
    "Sub": lower_difference,
    "Mul": lower_product,
}
_VARIADIC: dict[str, Element] = {
    "Max": _largest,
    "Min": _smallest,
    "Sum": lambda _, a, b: a + b,
    "Mean": lambda _, a, b: a + b,
}


@operator(*_BINARY)
class Binary(DerivedOperator):
    """Both are broadcast to one shape; comparisons give bool."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        function = _BINARY[node.operator]
        if node.operator == "PRelu" and node.get("opset", 7) < 7:
            return [_channel_slopes(given(node, arguments), given(node, arguments, 1))]
        return [elementwise(lambda a, b: function(node, a, b), given(node, arguments), given(node, arguments, 1))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        if node.operator in _NUMPY and all(array is not None for array in arguments):
            return [np.asarray(_NUMPY[node.operator](*arguments))]
        return super().reference(node, arguments)

    def quantise(self, site: Site) -> Lowered | None:
        """By table with a constant of one element; else sums, differences and products."""
        lower = _LOWERED.get(site.node.operator)
        return tabulated(site, self) or (None if lower is None else lower(site))


@operator(*_VARIADIC)
class Variadic(DerivedOperator):
    """One tensor or more, broadcast to one shape."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        tensors = [given(node, arguments, position) for position in range(len(arguments))]
        function = _VARIADIC[node.operator]

        def element(*values: Expr) -> Expr:
            total = reduce(lambda a, b: function(node, a, b), values)
            return total / float(len(values)) if node.operator == "Mean" else total

        return [elementwise(element, *tensors)]


@operator("Where")
class Where(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        condition, a, b = (given(node, arguments, position) for position in range(3))
        return [elementwise(te.where, condition, a, b)]
