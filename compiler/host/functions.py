"""A function of the loop IR to an LLVM function ``void name(void **buffers)``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from llvmlite import ir

from ..te.expr import Expr
from ..te.loops import Block, For, Function, Guard, Nest, Statement, Store
from ..te.tensor import Tensor
from .expressions import ExpressionEmitter
from .intrinsics import emit_nest
from .scalars import memory_type

__all__ = ["emit_function"]

Value = Any
_I64, _POINTER, _VOID = ir.IntType(64), ir.PointerType(), ir.VoidType()


def emit_function(module: ir.Module, function: Function) -> None:
    """Add the function to the module.

    The work is in an inner function whose pointers are known not to overlap; the visible one fetches them.
    """
    buffers = list(function.arguments) + ([None] if function.workspace_bytes else [])
    inner = ir.Function(module, ir.FunctionType(_VOID, [_POINTER] * len(buffers)), f"{function.name}.body")
    inner.linkage = "internal"
    for attribute in ("noinline", "nounwind"):
        inner.attributes.add(attribute)
    for argument in inner.args:
        argument.add_attribute("noalias")
    _body(module, function, inner)

    outer = ir.Function(module, ir.FunctionType(_VOID, [_POINTER]), function.name)
    outer.attributes.add("nounwind")
    builder = ir.IRBuilder(outer.append_basic_block())
    table = outer.args[0]
    places = [
        builder.gep(table, [ir.Constant(_I64, n)], inbounds=True, source_etype=_POINTER) for n in range(len(buffers))
    ]
    builder.call(inner, [builder.load(place, typ=_POINTER) for place in places])
    builder.ret_void()


def _body(module: ir.Module, function: Function, inner: ir.Function) -> None:
    builder = ir.IRBuilder(inner.append_basic_block("entry"))
    pointers: dict[Tensor, Value] = dict(zip(function.arguments, inner.args, strict=False))
    workspace = function.workspace
    for tensor in function.scratch:
        if tensor in workspace:
            start = ir.Constant(_I64, workspace[tensor])
            pointers[tensor] = builder.gep(inner.args[-1], [start], inbounds=True, source_etype=ir.IntType(8))
        else:
            slot = builder.alloca(ir.ArrayType(memory_type(tensor.dtype), tensor.size))
            slot.align = 64
            pointers[tensor] = _untyped(slot)
    for number, tensor in enumerate(function.constants):
        pointers[tensor] = _untyped(_constant(module, f"{function.name}.constant{number}", tensor))
    _StatementEmitter(builder, pointers).statement(function.body)
    builder.ret_void()


def _untyped(memory: Value) -> Value:
    """The same, as a plain pointer: llvmlite still gives memory that it makes a pointer type of its own."""
    memory.type = _POINTER
    return memory


def _constant(module: ir.Module, name: str, tensor: Tensor) -> ir.GlobalVariable:
    assert tensor.data is not None
    little = np.ascontiguousarray(tensor.data.astype(tensor.data.dtype.newbyteorder("<")))
    data = bytearray(little.tobytes())
    variable = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), len(data)), name)
    variable.linkage, variable.global_constant, variable.align = "internal", True, 64
    variable.initializer = ir.Constant(variable.value_type, data)
    return variable


class _StatementEmitter:
    def __init__(self, builder: ir.IRBuilder, pointers: dict[Tensor, Value]) -> None:
        self.builder = builder
        self.values = ExpressionEmitter(builder, pointers)

    def statement(self, node: Statement) -> None:
        if isinstance(node, Block):
            for inner in node.body:
                self.statement(inner)
        elif isinstance(node, Store):
            self.values.known = {}
            self.values.store(node.buffer, node.indices, node.value)
        elif isinstance(node, Guard):
            self._guard(node.condition, node.body)
        elif isinstance(node, Nest):
            emit_nest(self.values, node)
        elif isinstance(node, For):
            self._loop(node)

    def _loop(self, node: For) -> None:
        self.values.extents[node.axis] = (0.0, float(node.extent - 1))
        if node.kind == "vector":
            self.values.lane, self.values.lanes = node.axis, node.extent
            self.statement(node.body)
            self.values.lane, self.values.lanes = None, 0
        elif node.kind == "unroll":
            for step in range(node.extent):
                self.values.axes[node.axis] = ir.Constant(_I64, step)
                self.statement(node.body)
        else:
            self._serial(node)
        with suppress(KeyError):
            del self.values.axes[node.axis]
        del self.values.extents[node.axis]

    def _serial(self, node: For) -> None:
        before = self.builder.block
        body = self.builder.append_basic_block(node.axis.name)
        self.builder.branch(body)
        self.builder.position_at_end(body)
        index = self.builder.phi(_I64, node.axis.name)
        index.add_incoming(ir.Constant(_I64, 0), before)
        self.values.axes[node.axis] = index
        self.statement(node.body)
        following = self.builder.add(index, ir.Constant(_I64, 1), flags=("nuw", "nsw"))
        index.add_incoming(following, self.builder.block)
        more = self.builder.icmp_unsigned("<", following, ir.Constant(_I64, node.extent))
        after = self.builder.append_basic_block()
        self.builder.cbranch(more, body, after)
        self.builder.position_at_end(after)

    def _guard(self, condition: Expr, body: Statement) -> None:
        self.values.known = {}
        value = self.values.emit(condition)
        if isinstance(value.type, ir.VectorType):
            self.values.under(value, lambda: self.statement(body))
        else:
            with self.builder.if_then(value):
                self.statement(body)
