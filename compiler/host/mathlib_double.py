"""exp, log, tanh and sigmoid of doubles as plain LLVM arithmetic, exact to a few units in the last place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial, inf, nan
from typing import Any

from llvmlite import ir

from .scalars import declare, suffix

__all__ = ["emit_double"]

Value = Any
_I64 = ir.IntType(64)
_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
_EXP = tuple(1 / factorial(n) for n in range(13, 1, -1))
_ATANH = tuple(1 / n for n in range(21, 0, -2))
# Cephes (Moshier): tanh(x) = x + x³ · P(x²) / Q(x²) for small x.
_TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)
_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the rounded number in the low bits
_MAGIC_BITS = 0x4338000000000000


def emit_double(builder: ir.IRBuilder, function: str, x: Value) -> Value:
    """`function` of `x`, a double or a vector of them."""
    return _FUNCTIONS[function](builder, x)


def _constant(type_: ir.Type, value: float) -> ir.Constant:
    return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)


def _integers(type_: ir.Type) -> ir.Type:
    return ir.VectorType(_I64, type_.count) if isinstance(type_, ir.VectorType) else _I64


def _polynomial(builder: ir.IRBuilder, x: Value, coefficients: Sequence[float]) -> Value:
    total: Value = _constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        total = builder.fadd(builder.fmul(total, x), _constant(x.type, coefficient))
    return total


def _intrinsic(builder: ir.IRBuilder, name: str, *operands: Value) -> Value:
    kind = operands[0].type
    signature = ir.FunctionType(kind, [operand.type for operand in operands])
    return builder.call(declare(builder.module, f"llvm.{name}.{suffix(kind)}", signature), operands)


def _power_of_two(builder: ir.IRBuilder, n: Value, kind: ir.Type) -> Value:
    biased = builder.add(n, _constant(n.type, 1023))
    return builder.bitcast(builder.shl(biased, _constant(n.type, 52)), kind)


def _exp(builder: ir.IRBuilder, x: Value) -> Value:
    kind = x.type
    for bound, op in ((-746.0, "<"), (710.0, ">")):
        limit = _constant(kind, bound)
        x = builder.select(builder.fcmp_ordered(op, x, limit), limit, x)
    shifted = builder.fadd(builder.fmul(x, _constant(kind, _LOG2E)), _constant(kind, _MAGIC))
    integers = _integers(kind)
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
    """log(m · 2**e) = e · log 2 + 2 · atanh((m − 1) / (m + 1)), m around 1."""
    kind, integers = x.type, _integers(x.type)
    tiny = builder.fcmp_ordered("<", x, _constant(kind, 2.0**-1022))
    bits = builder.bitcast(builder.select(tiny, builder.fmul(x, _constant(kind, 2.0**54)), x), integers)
    exponent = builder.sub(builder.lshr(bits, _constant(integers, 52)), _constant(integers, 1022))
    exponent = builder.sub(exponent, builder.select(tiny, _constant(integers, 54), _constant(integers, 0)))
    fraction = builder.and_(bits, _constant(integers, (1 << 52) - 1))
    m = builder.bitcast(builder.or_(fraction, _constant(integers, 1022 << 52)), kind)
    small = builder.fcmp_ordered("<", m, _constant(kind, 0.70710678118654752440))
    e = builder.sitofp(builder.sub(exponent, builder.zext(small, integers)), kind)
    m = builder.select(small, builder.fadd(m, m), m)
    one = _constant(kind, 1.0)
    s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
    series = builder.fmul(builder.fmul(_constant(kind, 2.0), s), _polynomial(builder, builder.fmul(s, s), _ATANH))
    y = builder.fadd(series, builder.fmul(e, _constant(kind, _LN2_LOW)))
    y = builder.fadd(y, builder.fmul(e, _constant(kind, _LN2_HIGH)))
    y = builder.select(builder.fcmp_ordered("==", x, _constant(kind, inf)), x, y)
    y = builder.select(builder.fcmp_ordered("==", x, _constant(kind, 0.0)), _constant(kind, -inf), y)
    return builder.select(builder.fcmp_ordered(">=", x, _constant(kind, 0.0)), y, _constant(kind, nan))


def _sigmoid(builder: ir.IRBuilder, x: Value) -> Value:
    one = _constant(x.type, 1.0)
    return builder.fdiv(one, builder.fadd(one, _exp(builder, builder.fneg(x))))


def _tanh(builder: ir.IRBuilder, x: Value) -> Value:
    one, two = _constant(x.type, 1.0), _constant(x.type, 2.0)
    size = _intrinsic(builder, "fabs", x)
    square = builder.fmul(x, x)
    ratio = builder.fdiv(_polynomial(builder, square, _TANH_P), _polynomial(builder, square, _TANH_Q))
    near = builder.fadd(x, builder.fmul(builder.fmul(x, square), ratio))
    far = builder.fsub(one, builder.fdiv(two, builder.fadd(_exp(builder, builder.fadd(size, size)), one)))
    result = builder.select(builder.fcmp_ordered("<", size, _constant(x.type, 0.625)), near, far)
    return _intrinsic(builder, "copysign", result, x)


_FUNCTIONS: dict[str, Callable[[ir.IRBuilder, Value], Value]] = {
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
