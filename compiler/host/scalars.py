"""One operation on LLVM values: arithmetic, comparison, conversion, by the dtype's rules."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

__all__ = [
    "TYPES",
    "arithmetic",
    "comparison",
    "conversion",
    "declare",
    "is_float",
    "is_signed",
    "like",
    "memory_type",
    "splat",
    "suffix",
]

Value = Any

TYPES: dict[str, ir.Type] = {
    "bool": ir.IntType(1),
    "float16": ir.HalfType(),
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
    **{f"{sign}int{bits}": ir.IntType(bits) for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "shl": "shl", "and": "and_", "or": "or_", "xor": "xor"}
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_RELATION = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def is_float(dtype: str) -> bool:
    return dtype.startswith("float")


def is_signed(dtype: str) -> bool:
    return dtype.startswith("int")


def memory_type(dtype: str) -> ir.Type:
    """How an element lies in memory: a bool is a byte."""
    return ir.IntType(8) if dtype == "bool" else TYPES[dtype]


def like(type_: ir.Type, lanes: int) -> ir.Type:
    return ir.VectorType(type_, lanes) if lanes else type_


def declare(module: ir.Module, name: str, signature: ir.FunctionType) -> ir.Function:
    """The function of that name, declared once."""
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, signature, name)


def suffix(type_: ir.Type) -> str:
    """How an intrinsic's name spells the type: ``v16f32``."""
    if isinstance(type_, ir.VectorType):
        return f"v{type_.count}{suffix(type_.element)}"
    if isinstance(type_, ir.IntType):
        return f"i{type_.width}"
    return {ir.HalfType(): "f16", ir.FloatType(): "f32"}.get(type_, "f64")


def splat(builder: ir.IRBuilder, value: Value, lanes: int) -> Value:
    """`value` in every lane; itself if it is a vector already."""
    if isinstance(value.type, ir.VectorType):
        return value
    if isinstance(value, ir.Constant):
        return ir.Constant(ir.VectorType(value.type, lanes), [value] * lanes)
    vector = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def comparison(builder: ir.IRBuilder, op: str, dtype: str, a: Value, b: Value) -> Value:
    relation = _RELATION[op]
    if is_float(dtype):
        return builder.fcmp_unordered(relation, a, b) if op == "ne" else builder.fcmp_ordered(relation, a, b)
    if is_signed(dtype):
        return builder.icmp_signed(relation, a, b)
    return builder.icmp_unsigned(relation, a, b)


def arithmetic(builder: ir.IRBuilder, op: str, dtype: str, a: Value, b: Value, *, unsigned: bool = False) -> Value:
    """`unsigned` says that both operands are known not to be negative."""
    if op in ("min", "max"):
        return builder.select(comparison(builder, "lt" if op == "min" else "gt", dtype, a, b), a, b)
    if is_float(dtype):
        return getattr(builder, _FLOAT[op])(a, b)
    if op in _INTEGER:
        return getattr(builder, _INTEGER[op])(a, b)
    if op == "shr":
        return builder.ashr(a, b) if is_signed(dtype) else builder.lshr(a, b)
    if unsigned or not is_signed(dtype):
        return builder.udiv(a, b) if op == "floordiv" else builder.urem(a, b)
    return _floor_division(builder, op, a, b)


def _floor_division(builder: ir.IRBuilder, op: str, a: Value, b: Value) -> Value:
    quotient, rest = builder.sdiv(a, b), builder.srem(a, b)
    zero = ir.Constant(a.type, [0] * a.type.count if isinstance(a.type, ir.VectorType) else 0)
    uneven = builder.icmp_signed("!=", rest, zero)
    apart = builder.and_(uneven, builder.icmp_signed("<", builder.xor(rest, b), zero))
    if op == "floordiv":
        return builder.add(quotient, builder.sext(apart, a.type))
    return builder.select(apart, builder.add(rest, b), rest)


def _rounded_to_odd(builder: ir.IRBuilder, value: Value, lanes: int) -> Value:
    """float64 as a float32 that rounds to the same float16: of a number between two, the one whose last bit is set.

    CPUs have no instruction from float64 to float16, and rounding twice to nearest would round some numbers wrongly.
    """
    bits = like(ir.IntType(64), lanes)

    def every(number: int) -> ir.Constant:
        return ir.Constant(bits, [number] * lanes if lanes else number)

    dropped = (1 << 29) - 1
    whole = builder.bitcast(value, bits)
    inexact = builder.icmp_unsigned("!=", builder.and_(whole, every(dropped)), every(0))
    kept = builder.and_(whole, every(~dropped))
    odd = builder.or_(kept, builder.select(inexact, every(dropped + 1), every(0)))
    return builder.fptrunc(builder.bitcast(odd, value.type), like(TYPES["float32"], lanes))


def conversion(builder: ir.IRBuilder, value: Value, source: str, target: str) -> Value:
    """Integers wrap, floats truncate toward zero, and to bool is "not zero"."""
    lanes = value.type.count if isinstance(value.type, ir.VectorType) else 0
    kind = like(TYPES[target], lanes)
    if target == "bool":
        zero = ir.Constant(value.type, [0] * lanes if lanes else 0)
        return comparison(builder, "ne", source, value, zero)
    if is_float(source):
        if is_float(target):
            if (source, target) == ("float64", "float16"):
                value, source = _rounded_to_odd(builder, value, lanes), "float32"
            wider = int(target.removeprefix("float")) > int(source.removeprefix("float"))
            return builder.fpext(value, kind) if wider else builder.fptrunc(value, kind)
        return builder.fptosi(value, kind) if is_signed(target) else builder.fptoui(value, kind)
    if is_float(target):
        return builder.sitofp(value, kind) if is_signed(source) else builder.uitofp(value, kind)
    narrow, wide = TYPES[source].width, TYPES[target].width
    if wide <= narrow:
        return value if wide == narrow else builder.trunc(value, kind)
    return builder.sext(value, kind) if is_signed(source) else builder.zext(value, kind)
