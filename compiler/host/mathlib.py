"""Functions of floats and doubles, and of vectors of them, as plain LLVM arithmetic: no libm, the same bits everywhere.

Polynomials of single precision, and the quotient of tanh, are those of the Cephes library (Moshier). Largest errors
against the exact value, float32, measured by the tests: exp 2 ulp, log 2 ulp, tanh 4 ulp, sigmoid 4 ulp (where the
result is a normal number); floor, ceil, round, sqrt and abs are exact. Multiplications and additions are never fused,
so that every CPU gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

from llvmlite import ir

from .llvm_math import Value, constant, element_of, intrinsic, polynomial, with_element
from .precision import DOUBLE, SINGLE, Precision

__all__ = ["emit_math"]


def emit_math(builder: ir.IRBuilder, function: str, x: Value) -> Value:
    """`function` of `x`, a float or double or a vector of them."""
    if function in _EXACT:
        return _EXACT[function](builder, x)
    return _SERIES[function](builder, x, SINGLE if element_of(x.type) == ir.FloatType() else DOUBLE)


def _round(builder: ir.IRBuilder, x: Value) -> Value:
    big = constant(x.type, 2.0**23 if element_of(x.type) == ir.FloatType() else 2.0**52)
    size = intrinsic(builder, "fabs", x)
    rounded = builder.fsub(builder.fadd(size, big), big)
    signed = intrinsic(builder, "copysign", rounded, x)
    return builder.select(builder.fcmp_ordered("<", size, big), signed, x)


def _floor(builder: ir.IRBuilder, x: Value) -> Value:
    near = _round(builder, x)
    less = builder.fsub(near, constant(x.type, 1.0))
    return builder.select(builder.fcmp_ordered(">", near, x), less, near)


def _ceil(builder: ir.IRBuilder, x: Value) -> Value:
    return builder.fneg(_floor(builder, builder.fneg(x)))


def _power_of_two(builder: ir.IRBuilder, n: Value, kind: ir.Type, precision: Precision) -> Value:
    biased = builder.add(n, constant(n.type, precision.bias))
    return builder.bitcast(builder.shl(biased, constant(n.type, precision.mantissa)), kind)


def _exp(builder: ir.IRBuilder, x: Value, precision: Precision) -> Value:
    kind = x.type
    for bound, op in ((precision.lowest, "<"), (precision.highest, ">")):
        limit = constant(kind, bound)
        x = builder.select(builder.fcmp_ordered(op, x, limit), limit, x)
    shifted = builder.fadd(builder.fmul(x, constant(kind, precision.log2e)), constant(kind, precision.magic))
    integers = with_element(kind, precision.integers)
    n = builder.sub(builder.bitcast(shifted, integers), constant(integers, precision.magic_bits))
    whole = builder.fsub(shifted, constant(kind, precision.magic))
    r = builder.fsub(x, builder.fmul(whole, constant(kind, precision.ln2_high)))
    r = builder.fsub(r, builder.fmul(whole, constant(kind, precision.ln2_low)))
    series = builder.fmul(polynomial(builder, r, precision.exp), builder.fmul(r, r))
    y = builder.fadd(builder.fadd(series, r), constant(kind, 1.0))
    # In two factors, so that results near overflow and below the normal range come out right.
    half = builder.ashr(n, constant(integers, 1))
    y = builder.fmul(y, _power_of_two(builder, half, kind, precision))
    return builder.fmul(y, _power_of_two(builder, builder.sub(n, half), kind, precision))


def _log(builder: ir.IRBuilder, x: Value, precision: Precision) -> Value:
    """log(m · 2^e), m from √½ to √2"""
    kind, integers = x.type, with_element(x.type, precision.integers)
    below = precision.bias - 1
    tiny = builder.fcmp_ordered("<", x, constant(kind, 2.0**-below))
    scaled = builder.select(tiny, builder.fmul(x, constant(kind, 2.0**precision.rescue)), x)
    bits = builder.bitcast(scaled, integers)
    exponent = builder.sub(builder.lshr(bits, constant(integers, precision.mantissa)), constant(integers, below))
    rescued = builder.select(tiny, constant(integers, precision.rescue), constant(integers, 0))
    exponent = builder.sub(exponent, rescued)
    fraction = builder.and_(bits, constant(integers, (1 << precision.mantissa) - 1))
    m = builder.bitcast(builder.or_(fraction, constant(integers, below << precision.mantissa)), kind)
    small = builder.fcmp_ordered("<", m, constant(kind, 0.70710678118654752440))
    e = builder.sitofp(builder.sub(exponent, builder.zext(small, integers)), kind)
    m = builder.select(small, builder.fadd(m, m), m)
    return _log_edges(builder, x, precision.log(builder, m, e))


def _log_edges(builder: ir.IRBuilder, x: Value, y: Value) -> Value:
    kind = x.type
    y = builder.select(builder.fcmp_ordered("==", x, constant(kind, inf)), x, y)
    y = builder.select(builder.fcmp_ordered("==", x, constant(kind, 0.0)), constant(kind, -inf), y)
    valid = builder.fcmp_ordered(">=", x, constant(kind, 0.0))
    return builder.select(valid, y, constant(kind, nan))


def _sigmoid(builder: ir.IRBuilder, x: Value, precision: Precision) -> Value:
    one = constant(x.type, 1.0)
    return builder.fdiv(one, builder.fadd(one, _exp(builder, builder.fneg(x), precision)))


def _tanh(builder: ir.IRBuilder, x: Value, precision: Precision) -> Value:
    one, two = constant(x.type, 1.0), constant(x.type, 2.0)
    size = intrinsic(builder, "fabs", x)
    near = precision.tanh(builder, x, builder.fmul(x, x))
    power = _exp(builder, builder.fadd(size, size), precision)
    far = builder.fsub(one, builder.fdiv(two, builder.fadd(power, one)))
    result = builder.select(builder.fcmp_ordered("<", size, constant(x.type, 0.625)), near, far)
    return intrinsic(builder, "copysign", result, x)


_EXACT: dict[str, Callable[[ir.IRBuilder, Value], Value]] = {
    "round": _round,
    "floor": _floor,
    "ceil": _ceil,
    "abs": lambda builder, x: intrinsic(builder, "fabs", x),
    "sqrt": lambda builder, x: intrinsic(builder, "sqrt", x),
}
_SERIES: dict[str, Callable[[ir.IRBuilder, Value, Precision], Value]] = {
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
