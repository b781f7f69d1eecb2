"""Normalisations on the host: batch, instance, layer-like, local response, Lp; LogSoftmax and Hardmax; Dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from .. import te
from ..graph import Node
from .arithmetic import lower_affine
from .derived import DerivedOperator, Expr, Tensors, constant_input, elementwise, given, optional
from .reduce import normalised_axes, reduced
from .registry import operator, refuse
from .site import Lowered, Site

__all__: list[str] = []


def _mean(x: te.Tensor, axes: Sequence[int], element: Callable[[Expr], Expr]) -> te.Tensor:
    total = reduced(x, axes, te.sum, element)
    count = float(prod(x.shape[axis] for axis in axes))
    return te.compute(total.shape, lambda *index: total[index] / count)


def _at(tensor: te.Tensor, index: Sequence[Any], axes: Sequence[int]) -> Expr:
    """The element of a tensor reduced over `axes`."""
    return tensor[tuple(0 if d in axes else i for d, i in enumerate(index))]


def _centred(x: te.Tensor, mean: te.Tensor, axes: Sequence[int]) -> te.Tensor:
    return te.compute(x.shape, lambda *index: x[index] - _at(mean, index, axes))


@operator("BatchNormalization")
class BatchNormalization(DerivedOperator):
    """With the given mean and variance, or in training mode with those of the batch, and the running ones updated."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, scale, bias, mean, variance = (given(node, arguments, position) for position in range(5))
        epsilon, momentum = node.get("epsilon", 1e-5), node.get("momentum", 0.9)
        if node.get("spatial", 1) != 1:
            raise refuse(node, "its spatial must be 1")
        axes = [d for d in range(len(x.shape)) if d != 1]
        results: list[te.Tensor] = []
        if node.get("training_mode", 0):
            batch_mean = _mean(x, axes, lambda value: value)
            centre = _centred(x, batch_mean, axes)
            batch_variance = _mean(centre, axes, lambda value: value * value)
            for running, fresh in ((mean, batch_mean), (variance, batch_variance)):
                results.append(_updated(running, fresh, momentum))
            mean, variance = _channels(batch_mean), _channels(batch_variance)
        elif len(node.outputs) > 1:
            raise refuse(node, "outside training_mode it must have one result")

        def element(*index: Expr) -> Expr:
            c = index[1] if len(index) > 1 else te.Const(0, "int64")
            centred = x[index].astype(mean.dtype) - mean[c]
            value = centred / te.sqrt(variance[c] + epsilon)
            return value.astype(scale.dtype).astype(x.dtype) * scale[c].astype(x.dtype) + bias[c].astype(x.dtype)

        return [te.compute(x.shape, element), *results]

    def quantise(self, site: Site) -> Lowered | None:
        """A factor and an offset for each channel."""
        reals = [None if operand is None else operand.real for operand in site.operands[1:]]
        if site.node.get("training_mode", 0) or len(site.node.outputs) > 1 or any(real is None for real in reals):
            raise site.refuse("it must have constant parameters, and not be in training mode")
        scale, bias, mean, variance = (real.reshape(-1) for real in reals if real is not None)
        factors = scale / np.sqrt(variance + site.node.get("epsilon", 1e-5))
        return lower_affine(site, 0, factors, bias - mean * factors)


def _channels(x: te.Tensor) -> te.Tensor:
    rank = len(x.shape)
    return te.compute((x.shape[1],), lambda c: x[tuple(c if d == 1 else 0 for d in range(rank))])


def _updated(running: te.Tensor, fresh: te.Tensor, momentum: float) -> te.Tensor:
    now = _channels(fresh)
    return elementwise(lambda old, new: old * momentum + new.astype(old.dtype) * (1 - momentum), running, now)


@operator("InstanceNormalization")
class InstanceNormalization(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, scale, bias = (given(node, arguments, position) for position in range(3))
        axes, epsilon = list(range(2, len(x.shape))), node.get("epsilon", 1e-5)
        centre = _centred(x, _mean(x, axes, lambda value: value), axes)
        variance = _mean(centre, axes, lambda value: value * value)

        def element(*index: Expr) -> Expr:
            return centre[index] / te.sqrt(_at(variance, index, axes) + epsilon) * scale[index[1]] + bias[index[1]]

        return [te.compute(x.shape, element)]


@operator("LpNormalization")
class LpNormalization(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, p = given(node, arguments), node.get("p", 2)
        axes = normalised_axes(node, [node.get("axis", -1)], len(x.shape))
        total = reduced(x, axes, te.sum, te.abs if p == 1 else lambda value: value * value)

        def element(*index: Expr) -> Expr:
            size = _at(total, index, axes) if p == 1 else te.sqrt(_at(total, index, axes))
            return te.where(te.equal(size, 0.0), te.Const(0.0, x.dtype), x[index] / size)

        return [te.compute(x.shape, element)]


@operator("LRN")
class LocalResponse(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        from ..te.functions import pow as power

        x, size = given(node, arguments), int(node["size"])
        alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
        k, before, channels = te.reduce_axis(size), (size - 1) // 2, x.shape[1]

        def near(n: Expr, c: Expr, *index: Expr) -> Expr:
            place = c + k - before
            value = x[(n, place, *index)]
            return te.sum(te.where(te.all_of(place >= 0, place < channels), value * value, 0.0), k)

        total = te.compute(x.shape, near)

        def element(*index: Expr) -> Expr:
            return x[index] / power(total[index] * (alpha / size) + bias, te.Const(beta, x.dtype))

        return [te.compute(x.shape, element)]


def _axes(node: Node, rank: int) -> tuple[int, ...]:
    """What is normalised together: one axis, or with `flatten` (before version 13) all from it on."""
    (axis,) = normalised_axes(node, [node.get("axis", -1)], rank)
    return tuple(range(axis, rank)) if node.get("flatten", 0) else (axis,)


@operator("LogSoftmax")
class LogSoftmax(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        axes = _axes(node, len(x.shape))
        centre = _centred(x, reduced(x, axes, te.max, lambda value: value), axes)
        total = reduced(centre, axes, te.sum, te.exp)
        return [te.compute(x.shape, lambda *index: centre[index] - te.log(_at(total, index, axes)))]


@operator("Hardmax")
class Hardmax(DerivedOperator):
    """1 at the first largest element, 0 elsewhere."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        axes = _axes(node, len(x.shape))
        top = reduced(x, axes, te.max, lambda value: value)
        over = {axis: te.reduce_axis(x.shape[axis]) for axis in axes}
        count = prod(x.shape[axis] for axis in axes)

        def number(index: Sequence[Any]) -> Any:
            total: Any = te.Const(0, "int64")
            for axis in axes:
                total = total * x.shape[axis] + index[axis]
            return total

        def first(*index: Expr) -> Expr:
            places = [over.get(d, i) for d, i in enumerate(index)]
            hit = te.equal(x[tuple(places)], _at(top, index, axes))
            return te.min(te.where(hit, number(places), count), list(over.values()))

        chosen = te.compute(top.shape, first)
        return [
            te.compute(
                x.shape,
                lambda *index: te.where(te.equal(number(index), _at(chosen, index, axes)), 1.0, te.Const(0.0, x.dtype)),
            )
        ]


@operator("Dropout")
class Dropout(DerivedOperator):
    """Outside training everything passes; the mask is all true."""

    parameters = (2,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        training = constant_input(node, arguments, 2, "training_mode")
        ratio = optional(arguments, 1)
        drops = ratio is None or ratio.data is None or np.any(ratio.data != 0)
        if training is not None and bool(training.reshape(())) and drops:
            raise refuse(node, "its training_mode must be false: results must not be random")
        mask_dtype = "bool" if node.get("opset", 12) >= 10 else x.dtype
        mask = te.compute(x.shape, lambda *_: te.Const(True, "bool").astype(mask_dtype))
        return [te.compute(x.shape, lambda *index: x[index]), mask]
