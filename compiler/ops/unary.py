"""Functions of one element, with constant parameters from attributes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, pi
from math import sqrt as root

from .. import te
from ..graph import Node
from ..te import functions as f
from .derived import DerivedOperator, Expr, Tensors, elementwise, given
from .registry import operator
from .site import Lowered, Site
from .table import tabulated

Element = Callable[[Node, Expr], Expr]


def _sign(_: Node, x: Expr) -> Expr:
    one = x.dtype
    positive, zero = te.Const(1, one), te.Const(0, one)
    if one.startswith("uint"):
        return te.where(x > 0, positive, zero)
    return te.where(x > 0, positive, te.where(x < 0, te.Const(-1, one), x if one.startswith("float") else zero))


def _neg(_: Node, x: Expr) -> Expr:
    return x * -1


def _is_inf(node: Node, x: Expr) -> Expr:
    up, down = te.equal(x, inf), te.equal(x, -inf)
    never = te.Const(False, "bool")
    return te.where(
        up, bool(node.get("detect_positive", 1)), te.where(down, bool(node.get("detect_negative", 1)), never)
    )


def _gelu(node: Node, x: Expr) -> Expr:
    if node.get("approximate", "none") == "tanh":
        return x * 0.5 * (te.tanh((x + x * x * x * 0.044715) * root(2 / pi)) + 1.0)
    return x * 0.5 * (f.erf(x * (1 / root(2))) + 1.0)


def _shrink(node: Node, x: Expr) -> Expr:
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    wide = x if x.dtype.startswith("float") else x.astype("float32")
    return te.where(wide < -limit, wide + bias, te.where(wide > limit, wide - bias, 0.0)).astype(x.dtype)


def _elu(alpha: float) -> Element:
    return lambda node, x: te.where(x > 0, x, (te.exp(te.minimum(x, 0.0)) - 1.0) * node.get("alpha", alpha))


def _selu(node: Node, x: Expr) -> Expr:
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    curve: Expr = te.where(x > 0, x, (te.exp(te.minimum(x, 0.0)) - 1.0) * alpha)
    return curve * float(gamma)


def _celu(node: Node, x: Expr) -> Expr:
    alpha = node.get("alpha", 1.0)
    return te.maximum(x, 0.0) + te.minimum((te.exp(te.minimum(x, 0.0) / alpha) - 1.0) * alpha, 0.0)


def _hard_sigmoid(alpha: float, beta: float) -> Element:
    return lambda node, x: te.clamp(x * node.get("alpha", alpha) + node.get("beta", beta), 0.0, 1.0)


_FUNCTIONS: dict[str, Element] = {
    "Abs": lambda _, x: x if x.dtype.startswith("uint") else te.abs(x),
    "Neg": _neg,
    "Sign": _sign,
    "Floor": lambda _, x: te.floor(x),
    "Ceil": lambda _, x: te.ceil(x),
    "Round": lambda _, x: te.round(x),
    "Sqrt": lambda _, x: te.sqrt(x),
    "Reciprocal": lambda _, x: 1.0 / x,
    "Exp": lambda _, x: te.exp(x),
    "Log": lambda _, x: te.log(x),
    "Sin": lambda _, x: f.sin(x),
    "Cos": lambda _, x: f.cos(x),
    "Tan": lambda _, x: f.tan(x),
    "Asin": lambda _, x: f.asin(x),
    "Acos": lambda _, x: f.acos(x),
    "Atan": lambda _, x: f.atan(x),
    "Sinh": lambda _, x: f.sinh(x),
    "Cosh": lambda _, x: f.cosh(x),
    "Asinh": lambda _, x: f.asinh(x),
    "Acosh": lambda _, x: f.acosh(x),
    "Atanh": lambda _, x: f.atanh(x),
    "Erf": lambda _, x: f.erf(x),
    "Tanh": lambda _, x: te.tanh(x),
    "Sigmoid": lambda _, x: te.sigmoid(x),
    "Not": lambda _, x: x ^ True,
    "BitwiseNot": lambda _, x: x ^ (-1 if x.dtype.startswith("int") else (1 << int(x.dtype[4:])) - 1),
    "IsNaN": lambda _, x: f.is_nan(x),
    "IsInf": _is_inf,
    "Softplus": lambda _, x: f.softplus(x),
    "Softsign": lambda _, x: x / (te.abs(x) + 1.0),
    "Elu": _elu(1.0),
    "Selu": _selu,
    "Celu": _celu,
    "LeakyRelu": lambda node, x: te.where(x >= 0, x, x * node.get("alpha", 0.01)),
    "ThresholdedRelu": lambda node, x: te.where(x > node.get("alpha", 1.0), x, 0.0),
    "HardSigmoid": _hard_sigmoid(0.2, 0.5),
    "HardSwish": lambda _, x: x * te.clamp(x * (1 / 6) + 0.5, 0.0, 1.0),
    "Mish": lambda _, x: x * te.tanh(f.softplus(x)),
    "Swish": lambda node, x: x * te.sigmoid(x * node.get("alpha", 1.0)),
    "Gelu": _gelu,
    "Shrink": _shrink,
}


@operator(*_FUNCTIONS)
class Unary(DerivedOperator):
    """The result has the input's shape."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        function = _FUNCTIONS[node.operator]
        return [elementwise(lambda x: function(node, x), given(node, arguments))]

    def quantise(self, site: Site) -> Lowered | None:
        return tabulated(site, self)
