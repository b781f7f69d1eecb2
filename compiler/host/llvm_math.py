"""What functions of floats are written with: constants, polynomials and intrinsics of scalars and vectors alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from .scalars import declare, suffix

__all__ = ["Value", "constant", "element_of", "intrinsic", "polynomial", "with_element"]

Value = Any


def element_of(type_: ir.Type) -> ir.Type:
    """The type itself, or that of a vector's elements."""
    return type_.element if isinstance(type_, ir.VectorType) else type_


def with_element(type_: ir.Type, element: ir.Type) -> ir.Type:
    """`element`, or a vector of as many as `type_` has."""
    return ir.VectorType(element, type_.count) if isinstance(type_, ir.VectorType) else element


def constant(type_: ir.Type, value: float) -> ir.Constant:
    """`value`, in every lane."""
    return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)


def intrinsic(builder: ir.IRBuilder, name: str, *operands: Value) -> Value:
    """LLVM's intrinsic `name` for the operands' type."""
    kind = operands[0].type
    signature = ir.FunctionType(kind, [operand.type for operand in operands])
    return builder.call(declare(builder.module, f"llvm.{name}.{suffix(kind)}", signature), operands)


def polynomial(builder: ir.IRBuilder, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, the highest coefficient first."""
    total: Value = constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        total = builder.fadd(builder.fmul(total, x), constant(x.type, coefficient))
    return total
