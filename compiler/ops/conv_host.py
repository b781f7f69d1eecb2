"""Convolutions that only the host computes: ConvTranspose, ConvInteger, QLinearConv, Col2Im, MaxUnpool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, constant_input, given, optional
from .quantised import Parameter, quantised
from .registry import operator, refuse
from .windows import convolve, geometry

__all__: list[str] = []


def _centred(x: te.Tensor, zero: Parameter) -> te.Tensor:
    nothing = te.Const(0, "int64")
    return te.compute(x.shape, lambda *index: x[index].astype("int32") - zero.at(nothing))


def _integer_sums(node: Node, x: te.Tensor, weight: te.Tensor, x_zero: Parameter, w_zero: Parameter) -> te.Tensor:
    window = geometry(node, x.shape[2:], weight.shape[2:])

    def product(value: Expr, factor: Expr, channel: Expr) -> Expr:
        return value * (factor.astype("int32") - w_zero.at(channel))

    return convolve(_centred(x, x_zero), weight, window, node.get("group", 1), product)


@operator("ConvInteger")
class ConvInteger(DerivedOperator):
    """8-bit integers less their zero points, in int32."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        zeros = Parameter(optional(arguments, 2)), Parameter(optional(arguments, 3))
        return [_integer_sums(node, given(node, arguments), given(node, arguments, 1), *zeros)]


@operator("QLinearConv")
class QLinearConv(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = (
            given(node, arguments, position) for position in range(8)
        )
        bias, nothing = optional(arguments, 8), te.Const(0, "int64")
        sums = _integer_sums(node, x, w, Parameter(x_zero), Parameter(w_zero))

        def scaled(n: Expr, c: Expr, *index: Expr) -> Expr:
            total = sums[(n, c, *index)]
            if bias is not None:
                total = total + bias[c]
            factor = Parameter(x_scale, "float32").at(nothing) * Parameter(w_scale, "float32").at(c)
            return total.astype("float32") * (factor / Parameter(y_scale, "float32").at(nothing))

        return [quantised(te.compute(sums.shape, scaled), y_zero)]


@operator("ConvTranspose")
class ConvTranspose(DerivedOperator):
    """Every result gathers what reaches it: x[i] · w[k] wherever i · stride + k · dilation − pad is its place."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, w, bias = given(node, arguments), given(node, arguments, 1), optional(arguments, 2)
        rank, groups = len(x.shape) - 2, int(node.get("group", 1))
        strides, dilations = node.get("strides", (1,) * rank), node.get("dilations", (1,) * rank)
        before, output = _transposed_shape(node, x.shape[2:], w.shape[2:])
        inner, outer = x.shape[1] // groups, w.shape[1]
        ci, over = te.reduce_axis(inner), [te.reduce_axis(size) for size in w.shape[2:]]

        def element(n: Expr, co: Expr, *index: Expr) -> Expr:
            inside, places = [], []
            for d in range(rank):
                reached = index[d] + before[d] - over[d] * int(dilations[d])
                place = reached // int(strides[d])
                inside += [te.equal(reached % int(strides[d]), 0), place >= 0, place < x.shape[2 + d]]
                places.append(place)
            channel = co // outer * inner + ci if groups > 1 else ci
            value = x[(n, channel, *places)] * w[(channel, co % outer if groups > 1 else co, *over)]
            return te.sum(te.where(te.all_of(*inside), value, 0.0), [ci, *over])

        sums = te.compute((x.shape[0], outer * groups, *output), element)
        if bias is None:
            return [sums]
        return [te.compute(sums.shape, lambda n, c, *index: sums[(n, c, *index)] + bias[c])]


def _transposed_shape(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """(padding before, output sizes)"""
    rank = len(sizes)
    strides, dilations = node.get("strides", (1,) * rank), node.get("dilations", (1,) * rank)
    extra, pads = node.get("output_padding", (0,) * rank), node.get("pads", (0,) * (2 * rank))
    auto, wanted = node.get("auto_pad", "NOTSET"), node.get("output_shape")
    before, output = [], []
    for d in range(rank):
        full = (sizes[d] - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 + extra[d]
        if wanted is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
            cut = pads[d], pads[rank + d]
            if auto == "VALID":
                cut = 0, 0
            before.append(cut[0])
            output.append(full - sum(cut))
            continue
        size = wanted[len(wanted) - rank + d] if wanted is not None else sizes[d] * strides[d]
        total = max(full - size, 0)
        before.append(
            total // 2 if auto == "SAME_UPPER" or (wanted is not None and auto != "SAME_LOWER") else total - total // 2
        )
        output.append(size)
    return before, output


@operator("Col2Im")
class Col2Im(DerivedOperator):
    """Every pixel sums the columns' elements that stand for it."""

    parameters = (1, 2)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        sizes, kernel = (constant_input(node, arguments, place, what) for place, what in ((1, "image"), (2, "block")))
        assert sizes is not None and kernel is not None
        window = geometry(node, sizes.tolist(), kernel.tolist())
        rank, each = len(sizes), int(np.prod(kernel))
        over = [te.reduce_axis(int(size)) for size in kernel]

        def element(n: Expr, c: Expr, *index: Expr) -> Expr:
            inside: list[Expr] = []
            row: Any = te.Const(0, "int64")
            column: Any = te.Const(0, "int64")
            for d in range(rank):
                reached = index[d] + window.before[d] - over[d] * window.dilations[d]
                place = reached // window.strides[d]
                inside += [te.equal(reached % window.strides[d], 0), place >= 0, place < window.output[d]]
                row = row * int(kernel[d]) + over[d]
                column = column * window.output[d] + place
            row, column = c * each + row, te.clamp(column, 0, x.shape[2] - 1)
            return te.sum(te.where(te.all_of(*inside), x[n, row, column], 0), over)

        return [te.compute((x.shape[0], x.shape[1] // each, *sizes.tolist()), element)]


@operator("MaxUnpool")
class MaxUnpool(DerivedOperator):
    """Every place that an index names gets its value; the others 0."""

    parameters = (2,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, indices = given(node, arguments), given(node, arguments, 1)
        asked = constant_input(node, arguments, 2, "output_shape")
        rank = len(x.shape) - 2
        strides, pads = node.get("strides", (1,) * rank), node.get("pads", (0,) * (2 * rank))
        kernel = node["kernel_shape"]
        own = [(x.shape[2 + d] - 1) * strides[d] - pads[d] - pads[rank + d] + kernel[d] for d in range(rank)]
        if len(kernel) != rank:
            raise refuse(node, f"its kernel_shape must have {rank} numbers")
        target = (*x.shape[:2], *own)
        shape = tuple(int(size) for size in asked) if asked is not None else target
        over = [te.reduce_axis(size) for size in x.shape]

        def element(*index: Expr) -> Expr:
            number: Any = te.Const(0, "int64")
            for size, i in zip(target, index, strict=True):
                number = number * size + i
            inside = [i < size for size, i in zip(target, index, strict=True)]
            hit = te.all_of(te.equal(indices[tuple(over)], number), *inside)
            return te.sum(te.where(hit, x[tuple(over)], 0.0), over)

        return [te.compute(shape, element)]
