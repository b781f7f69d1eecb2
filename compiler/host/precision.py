"""What sets single from double precision in the functions of :mod:`.mathlib`: the format's numbers, and the series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

from llvmlite import ir

from .llvm_math import Value, constant, polynomial

__all__ = ["DOUBLE", "SINGLE", "Precision"]

_LOG_SINGLE = (
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
_TANH_SINGLE = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_ATANH = tuple(1 / n for n in range(21, 0, -2))
# tanh(x) = x + x³ · P(x²) / Q(x²) for small x.
_TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)


@dataclass(frozen=True)
class Precision:
    """A floating-point format.

    Members
    -------
    integers
        The integer type of the same width.
    mantissa
        Bits of the fraction.
    bias
        The exponent that stands for 2^0.
    magic, magic_bits
        1.5 · 2^mantissa, as a number and as bits: adding it leaves the rounded number in the low bits.
    rescue
        By which power of two numbers below the normal range are scaled up.
    lowest, highest
        Where exp is 0 or infinite.
    ln2_high, ln2_low
        log 2 in two parts, the first of few bits.
    exp
        The polynomial P in exp(r) = 1 + r + r² · P(r), for r up to log 2 / 2.
    log
        (builder, m, e) → log m + e · log 2, for m around 1.
    tanh
        (builder, x, x²) → tanh x for x up to 0.625.
    """

    integers: ir.IntType
    mantissa: int
    bias: int
    magic: float
    magic_bits: int
    rescue: int
    lowest: float
    highest: float
    log2e: float
    ln2_high: float
    ln2_low: float
    exp: tuple[float, ...]
    log: Callable[[ir.IRBuilder, Value, Value], Value]
    tanh: Callable[[ir.IRBuilder, Value, Value], Value]


def _log_single(builder: ir.IRBuilder, m: Value, e: Value) -> Value:
    kind = m.type
    m = builder.fsub(m, constant(kind, 1.0))
    square = builder.fmul(m, m)
    y = builder.fmul(builder.fmul(polynomial(builder, m, _LOG_SINGLE), m), square)
    y = builder.fadd(y, builder.fmul(e, constant(kind, SINGLE.ln2_low)))
    y = builder.fsub(y, builder.fmul(square, constant(kind, 0.5)))
    return builder.fadd(builder.fadd(m, y), builder.fmul(e, constant(kind, SINGLE.ln2_high)))


def _log_double(builder: ir.IRBuilder, m: Value, e: Value) -> Value:
    """2 · atanh((m − 1) / (m + 1)) + e · log 2"""
    kind, one = m.type, constant(m.type, 1.0)
    s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
    series = builder.fmul(builder.fmul(constant(kind, 2.0), s), polynomial(builder, builder.fmul(s, s), _ATANH))
    y = builder.fadd(series, builder.fmul(e, constant(kind, DOUBLE.ln2_low)))
    return builder.fadd(y, builder.fmul(e, constant(kind, DOUBLE.ln2_high)))


def _tanh_single(builder: ir.IRBuilder, x: Value, square: Value) -> Value:
    return builder.fadd(builder.fmul(builder.fmul(polynomial(builder, square, _TANH_SINGLE), square), x), x)


def _tanh_double(builder: ir.IRBuilder, x: Value, square: Value) -> Value:
    ratio = builder.fdiv(polynomial(builder, square, _TANH_P), polynomial(builder, square, _TANH_Q))
    return builder.fadd(x, builder.fmul(builder.fmul(x, square), ratio))


SINGLE = Precision(
    integers=ir.IntType(32),
    mantissa=23,
    bias=127,
    magic=12582912.0,
    magic_bits=0x4B400000,
    rescue=23,
    lowest=-104.0,
    highest=89.0,
    log2e=1.44269504088896341,
    ln2_high=0.693359375,
    ln2_low=-2.12194440e-4,
    exp=(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    log=_log_single,
    tanh=_tanh_single,
)
DOUBLE = Precision(
    integers=ir.IntType(64),
    mantissa=52,
    bias=1023,
    magic=6755399441055744.0,
    magic_bits=0x4338000000000000,
    rescue=54,
    lowest=-746.0,
    highest=710.0,
    log2e=1.4426950408889634,
    ln2_high=6.93145751953125e-1,
    ln2_low=1.42860682030941723212e-6,
    exp=tuple(1 / factorial(n) for n in range(13, 1, -1)),
    log=_log_double,
    tanh=_tanh_double,
)
