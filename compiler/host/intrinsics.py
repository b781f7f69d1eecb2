"""Hardware operations of the CPU that a stage can be tensorised with.

Members
-------
DOT_INT8
    ``result[…] (+)= Σ a[… + k] · b[… + k]``: int32 from two int8 operands whose elements follow each other along the
    one reduction loop `k`, which is all of the nest. Written so that LLVM chooses the CPU's own multiply-add of
    pairs (vpmaddwd, vpdpwssd, smlal) where it has one; exact on all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir

from ..te.analysis import Affine
from ..te.loops import Nest
from ..te.schedule import Intrinsic
from ..te.tensor import Tensor
from .scalars import declare, suffix

if TYPE_CHECKING:
    from .expressions import ExpressionEmitter

__all__ = ["DOT_INT8", "emit_nest"]

Value = Any
DOT_INT8 = Intrinsic("dot_int8")
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_LANES = 64


def emit_nest(values: ExpressionEmitter, nest: Nest) -> None:
    """Code for a tensorised nest.

    Raises
    ------
    ValueError
        The operation is not one of this module's, or the nest has not its form.
    """
    if nest.intrinsic != DOT_INT8.name:
        raise ValueError(f"the host has no operation {nest.intrinsic}")
    _dot_int8(values, nest)


def _dot_int8(values: ExpressionEmitter, nest: Nest) -> None:
    result, *operands = nest.result[0], *nest.operands
    dtypes = [result.dtype, *(tensor.dtype for tensor, _ in operands)]
    strides = [form.along(nest.axes) for _, form in operands]
    if nest.reduces != (True,) or dtypes != ["int32", "int8", "int8"] or strides != [(1,), (1,)]:
        raise ValueError(f"{nest.intrinsic} needs one reduction loop over neighbouring int8: {list(nest.lines())}")
    builder = values.builder
    (axis,), (bound,) = nest.axes, nest.bounds
    starts = [_offset(values, Affine(f.base, {a: s for a, s in f.terms.items() if a is not axis})) for _, f in operands]
    place = values.place(result, _offset(values, nest.result[1]))
    total: Value = ir.Constant(_I32, 0) if nest.initialise else builder.load(place, typ=_I32)
    done = 0
    for lanes in (_LANES, 16, 2):
        count = (bound - done) // lanes
        if count:
            total = builder.add(total, _pairs(values, [t for t, _ in operands], starts, done, count, lanes))
            done += count * lanes
    if done < bound:
        a, b = (_bytes(values, t, s, ir.Constant(_I64, done), 0) for (t, _), s in zip(operands, starts, strict=True))
        total = builder.add(total, builder.mul(builder.sext(a, _I32), builder.sext(b, _I32)))
    builder.store(total, place)


def _offset(values: ExpressionEmitter, form: Affine) -> Value:
    builder = values.builder
    total: Value = ir.Constant(_I64, form.base)
    for axis, stride in form.terms.items():
        total = builder.add(total, builder.mul(values.axes[axis], ir.Constant(_I64, stride)))
    return total


def _bytes(values: ExpressionEmitter, tensor: Tensor, start: Value, step: Value, lanes: int) -> Value:
    place = values.place(tensor, values.builder.add(start, step))
    return values.builder.load(place, align=1, typ=ir.VectorType(_I8, lanes) if lanes else _I8)


def _pairs(
    values: ExpressionEmitter, tensors: list[Tensor], starts: list[Value], first: int, count: int, lanes: int
) -> Value:
    """Σ over `count` vectors of `lanes` bytes from element `first` on."""
    builder = values.builder
    sums = ir.VectorType(_I32, lanes // 2)
    zero = ir.Constant(sums, [0] * (lanes // 2))
    before, body = builder.block, builder.append_basic_block("dot")
    builder.branch(body)
    builder.position_at_end(body)
    step, total = builder.phi(_I64), builder.phi(sums)
    step.add_incoming(ir.Constant(_I64, first), before)
    total.add_incoming(zero, before)
    wide = [builder.sext(_bytes(values, t, s, step, lanes), ir.VectorType(_I32, lanes))
            for t, s in zip(tensors, starts, strict=True)]  # fmt: skip
    products = builder.mul(*wide)
    even, odd = (
        builder.shuffle_vector(
            products,
            ir.Constant(products.type, ir.Undefined),
            ir.Constant(ir.VectorType(_I32, lanes // 2), list(range(parity, lanes, 2))),
        )
        for parity in (0, 1)
    )
    sum_ = builder.add(total, builder.add(even, odd))
    following = builder.add(step, ir.Constant(_I64, lanes))
    step.add_incoming(following, builder.block)
    total.add_incoming(sum_, builder.block)
    after = builder.append_basic_block()
    builder.cbranch(builder.icmp_unsigned("<", following, ir.Constant(_I64, first + count * lanes)), body, after)
    builder.position_at_end(after)
    reduce = declare(builder.module, f"llvm.vector.reduce.add.{suffix(sums)}", ir.FunctionType(_I32, [sums]))
    return builder.call(reduce, [sum_])
