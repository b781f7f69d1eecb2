"""Functions of one or two floats, written with the language's own: evaluated in float64, given in the argument's dtype.

Rational approximations are those of the Cephes library (Moshier). The errors are far below float32's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial, inf, nan, pi
from math import sqrt as _root

from .expr import Const, Expr
from .tensor import abs, all_of, equal, exp, floor, log, minimum, not_equal, round, where
from .tensor import sqrt as square_root

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "is_infinite", "is_nan", "pow", "sin",
    "sinh", "softplus", "tan",
]  # fmt: skip

_ATAN_P = (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
           -1.228866684490136173410e2, -6.485021904942025371773e1)  # fmt: skip
_ATAN_Q = (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
           4.853903996359136964868e2, 1.945506571482613964425e2)  # fmt: skip
_ERF_T = (9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
          5.55923013010394962768e4)  # fmt: skip
_ERF_U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
          2.26290000613890934246e4, 4.92673942608635921086e4)  # fmt: skip
_ERFC_P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687, 4.86371970985681366614e1,
           1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
           5.57535335369399327526e2)  # fmt: skip
_ERFC_Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
           9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
           5.57535340817727675546e2)  # fmt: skip
_SIN = tuple((-1.0) ** n / factorial(2 * n + 1) for n in range(9, -1, -1))
_COS = tuple((-1.0) ** n / factorial(2 * n) for n in range(9, -1, -1))
_HALF_PI_HIGH, _HALF_PI_LOW = 1.57079632673412561417, 6.07710050650619224932e-11
_FARTHEST = 2.0**40  # beyond, a quarter turn is no longer known


def _in_double(function: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    def wrapped(x: Expr) -> Expr:
        return function(x.astype("float64")).astype(x.dtype)

    wrapped.__doc__, wrapped.__name__ = function.__doc__, function.__name__
    return wrapped


def _polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    total: Expr = Const(coefficients[0], "float64")
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _signed(size: Expr, x: Expr) -> Expr:
    return where(x < 0, -size, size)


def is_nan(x: Expr) -> Expr:
    return not_equal(x, x)


def is_infinite(x: Expr) -> Expr:
    return equal(abs(x), inf)


def _quarters(x: Expr, quarter: int) -> Expr:
    """sin(x + quarter · π / 2)."""
    n = round(where(abs(x) < _FARTHEST, x, 0.0) * (2 / pi))
    r = (x - n * _HALF_PI_HIGH) - n * _HALF_PI_LOW
    square = r * r
    sine, cosine = _polynomial(square, _SIN) * r, _polynomial(square, _COS)
    turn = (n.astype("int64") + quarter) & 3
    size = where(equal(turn & 1, 0), sine, cosine)
    return where(turn >= 2, -size, size)


@_in_double
def sin(x: Expr) -> Expr:
    return _quarters(x, 0)


@_in_double
def cos(x: Expr) -> Expr:
    return _quarters(x, 1)


@_in_double
def tan(x: Expr) -> Expr:
    return _quarters(x, 0) / _quarters(x, 1)


def _atan(x: Expr) -> Expr:
    size = abs(x)
    steep, middle = size > _root(2) + 1, size > 0.66
    reduced = where(steep, -1.0 / size, where(middle, (size - 1.0) / (size + 1.0), size))
    square = reduced * reduced
    series = reduced + reduced * square * _polynomial(square, _ATAN_P) / _polynomial(square, _ATAN_Q)
    return _signed(where(steep, series + pi / 2, where(middle, series + pi / 4, series)), x)


atan = _in_double(_atan)


@_in_double
def asin(x: Expr) -> Expr:
    return _atan(x / square_root(1.0 - x * x))


@_in_double
def acos(x: Expr) -> Expr:
    return pi / 2 - _atan(x / square_root(1.0 - x * x))


@_in_double
def sinh(x: Expr) -> Expr:
    power = exp(abs(x))
    return _signed((power - 1.0 / power) * 0.5, x)


@_in_double
def cosh(x: Expr) -> Expr:
    power = exp(abs(x))
    return (power + 1.0 / power) * 0.5


@_in_double
def asinh(x: Expr) -> Expr:
    size = abs(x)
    return _signed(log(size + square_root(size * size + 1.0)), x)


@_in_double
def acosh(x: Expr) -> Expr:
    return log(x + square_root(x * x - 1.0))


@_in_double
def atanh(x: Expr) -> Expr:
    return log((1.0 + x) / (1.0 - x)) * 0.5


@_in_double
def erf(x: Expr) -> Expr:
    size = abs(x)
    square = minimum(size * size, 64.0)
    near = x * _polynomial(square, _ERF_T) / _polynomial(square, _ERF_U)
    reach = minimum(size, 8.0)
    far = 1.0 - exp(-square) * _polynomial(reach, _ERFC_P) / _polynomial(reach, _ERFC_Q)
    return where(size < 1.0, near, where(is_nan(x), x, _signed(far, x)))


@_in_double
def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)), never too large on the way."""
    return where(x > 0, x, 0.0) + log(1.0 + exp(-abs(x)))


def pow(base: Expr, exponent: Expr) -> Expr:
    """`base` to the power of `exponent`, as IEEE 754 has it where both are finite; the dtype is the base's."""
    x, y = base.astype("float64"), exponent.astype("float64")
    whole = equal(floor(y), y)
    odd = all_of(whole, not_equal(floor(y * 0.5) * 2.0, y))
    size = exp(y * log(abs(x)))
    signed = where(x < 0, where(odd, -size, where(whole, size, nan)), size)
    at_zero = where(y > 0, 0.0, Const(inf, "float64"))
    result = where(equal(y, 0.0), 1.0, where(equal(x, 0.0), at_zero, signed))
    if base.dtype.startswith("float"):
        return result.astype(base.dtype)
    return round(result).astype(base.dtype)
