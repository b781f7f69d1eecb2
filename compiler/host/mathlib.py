"""Functions of float vectors and scalars as plain LLVM arithmetic: no libm, the same bits on every CPU.

Polynomials are those of the Cephes library (Moshier). Largest errors against the exact value, float32, measured by the
tests: exp 2 ulp, log 2 ulp, tanh 4 ulp, sigmoid 4 ulp (where the result is a normal number); floor, ceil, round, sqrt
and abs are exact. Multiplications and additions are never fused, so that every CPU gives the
same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .mathlib_double import emit_double
from .scalars import declare, suffix

__all__ = ["emit_math"]

Value = Any
_F32, _F64, _I32 = ir.FloatType(), ir.DoubleType(), ir.IntType(32)

_LOG2E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_MAGIC = 12582912.0  # 1.5 * 2**23: adding it leaves the rounded number in the low bits
_MAGIC_BITS = 0x4B400000


def emit_math(builder: ir.IRBuilder, function: str, x: Value) -> Value:
    """`function` of `x`, a float or double or a vector of them."""
    if function in _EXACT:
        return _EXACT[function](builder, x)
    if _element(x.type) != _F32:
        return emit_double(builder, function, x)
    return _SINGLE[function](builder, x)


def _element(type_: ir.Type) -> ir.Type:
    return type_.element if isinstance(type_, ir.VectorType) else type_


def _constant(type_: ir.Type, value: float) -> ir.Constant:
    if isinstance(type_, ir.VectorType):
        return ir.Constant(type_, [value] * type_.count)
    return ir.Constant(type_, value)


def _as(type_: ir.Type, element: ir.Type) -> ir.Type:
    return ir.VectorType(element, type_.count) if isinstance(type_, ir.VectorType) else element


def _intrinsic(builder: ir.IRBuilder, name: str, *operands: Value) -> Value:
    kind = operands[0].type
    signature = ir.FunctionType(kind, [operand.type for operand in operands])
    return builder.call(declare(builder.module, f"llvm.{name}.{suffix(kind)}", signature), operands)


def _polynomial(builder: ir.IRBuilder, x: Value, coefficients: Sequence[float]) -> Value:
    total: Value = _constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        total = builder.fadd(builder.fmul(total, x), _constant(x.type, coefficient))
    return total


def _round(builder: ir.IRBuilder, x: Value) -> Value:
    big = _constant(x.type, 2.0**23 if _element(x.type) == _F32 else 2.0**52)
    size = _intrinsic(builder, "fabs", x)
    rounded = builder.fsub(builder.fadd(size, big), big)
    signed = _intrinsic(builder, "copysign", rounded, x)
    return builder.select(builder.fcmp_ordered("<", size, big), signed, x)


def _floor(builder: ir.IRBuilder, x: Value) -> Value:
    near = _round(builder, x)
    less = builder.fsub(near, _constant(x.type, 1.0))
    return builder.select(builder.fcmp_ordered(">", near, x), less, near)


def _ceil(builder: ir.IRBuilder, x: Value) -> Value:
    return builder.fneg(_floor(builder, builder.fneg(x)))


def _power_of_two(builder: ir.IRBuilder, n: Value, type_: ir.Type) -> Value:
    biased = builder.add(n, _constant(n.type, 127))
    return builder.bitcast(builder.shl(biased, _constant(n.type, 23)), type_)


def _exp(builder: ir.IRBuilder, x: Value) -> Value:
    kind = x.type
    for bound, op in ((-104.0, "<"), (89.0, ">")):
        limit = _constant(kind, bound)
        x = builder.select(builder.fcmp_ordered(op, x, limit), limit, x)
    shifted = builder.fadd(builder.fmul(x, _constant(kind, _LOG2E)), _constant(kind, _MAGIC))
    integers = _as(kind, _I32)
    n = builder.sub(builder.bitcast(shifted, integers), _constant(integers, _MAGIC_BITS))
    whole = builder.fsub(shifted, _constant(kind, _MAGIC))
    r = builder.fsub(x, builder.fmul(whole, _constant(kind, _LN2_HIGH)))
    r = builder.fsub(r, builder.fmul(whole, _constant(kind, _LN2_LOW)))
    series = builder.fmul(_polynomial(builder, r, _EXP), builder.fmul(r, r))
    y = builder.fadd(builder.fadd(series, r), _constant(kind, 1.0))
    # In two factors, so that results near overflow and below the normal range come out right.
    half = builder.ashr(n, _constant(integers, 1))
    y = builder.fmul(y, _power_of_two(builder, half, kind))
    return builder.fmul(y, _power_of_two(builder, builder.sub(n, half), kind))


def _log(builder: ir.IRBuilder, x: Value) -> Value:
    kind, integers = x.type, _as(x.type, _I32)
    tiny = builder.fcmp_ordered("<", x, _constant(kind, 2.0**-126))
    scaled = builder.select(tiny, builder.fmul(x, _constant(kind, 2.0**23)), x)
    bits = builder.bitcast(scaled, integers)
    exponent = builder.sub(builder.lshr(bits, _constant(integers, 23)), _constant(integers, 126))
    exponent = builder.sub(exponent, builder.select(tiny, _constant(integers, 23), _constant(integers, 0)))
    fraction = builder.or_(builder.and_(bits, _constant(integers, 0x7FFFFF)), _constant(integers, 0x3F000000))
    m = builder.bitcast(fraction, kind)
    small = builder.fcmp_ordered("<", m, _constant(kind, 0.70710678118654752440))
    e = builder.sitofp(builder.sub(exponent, builder.zext(small, integers)), kind)
    m = builder.select(small, builder.fadd(m, m), m)
    m = builder.fsub(m, _constant(kind, 1.0))
    square = builder.fmul(m, m)
    y = builder.fmul(builder.fmul(_polynomial(builder, m, _LOG), m), square)
    y = builder.fadd(y, builder.fmul(e, _constant(kind, _LN2_LOW)))
    y = builder.fsub(y, builder.fmul(square, _constant(kind, 0.5)))
    y = builder.fadd(builder.fadd(m, y), builder.fmul(e, _constant(kind, _LN2_HIGH)))
    return _log_edges(builder, x, y)


def _log_edges(builder: ir.IRBuilder, x: Value, y: Value) -> Value:
    kind, infinity = x.type, float("inf")
    y = builder.select(builder.fcmp_ordered("==", x, _constant(kind, infinity)), x, y)
    y = builder.select(builder.fcmp_ordered("==", x, _constant(kind, 0.0)), _constant(kind, -infinity), y)
    valid = builder.fcmp_ordered(">=", x, _constant(kind, 0.0))
    return builder.select(valid, y, _constant(kind, float("nan")))


def _sigmoid(builder: ir.IRBuilder, x: Value) -> Value:
    one = _constant(x.type, 1.0)
    return builder.fdiv(one, builder.fadd(one, _exp(builder, builder.fneg(x))))


def _tanh(builder: ir.IRBuilder, x: Value) -> Value:
    one, two = _constant(x.type, 1.0), _constant(x.type, 2.0)
    size = _intrinsic(builder, "fabs", x)
    square = builder.fmul(x, x)
    near = builder.fadd(builder.fmul(builder.fmul(_polynomial(builder, square, _TANH), square), x), x)
    far = builder.fsub(one, builder.fdiv(two, builder.fadd(_exp(builder, builder.fadd(size, size)), one)))
    result = builder.select(builder.fcmp_ordered("<", size, _constant(x.type, 0.625)), near, far)
    return _intrinsic(builder, "copysign", result, x)


_EXACT: dict[str, Callable[[ir.IRBuilder, Value], Value]] = {
    "round": _round,
    "floor": _floor,
    "ceil": _ceil,
    "abs": lambda builder, x: _intrinsic(builder, "fabs", x),
    "sqrt": lambda builder, x: _intrinsic(builder, "sqrt", x),
}
_SINGLE: dict[str, Callable[[ir.IRBuilder, Value], Value]] = {
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
