"""Sums, differences and products of quantised tensors: their lowering, and the integer operators qadd and qmul."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..expressions import centred, requantised
from ..graph import Node, Value
from ..output import Output
from ..schedule.addition import Sum
from ..schedule.arithmetic import Addition, Product, schedule_addition, schedule_product
from ..schedule.scope import Scope
from .derived import broadcast
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Operand, Site

__all__ = [
    "SUM_SHIFT", "added", "lower_affine", "lower_difference", "lower_product", "lower_sum", "sum_expression",
]  # fmt: skip

SUM_SHIFT = 20
_CONSTANT_STEPS = 1 << 16


def lower_sum(site: Site) -> Lowered | None:
    """Of two tensors, or of one and a constant for each channel."""
    return _sum(site, 1.0, 1.0)


def lower_difference(site: Site) -> Lowered | None:
    """As :func:`lower_sum`, of the first less the second."""
    return _sum(site, 1.0, -1.0)


def _sum(site: Site, first: float, second: float) -> Lowered | None:
    signs = (first, second)
    for place, sign, other in ((0, first, second), (1, second, first)):
        offsets = _per_channel(site, place)
        if offsets is not None:
            return lower_affine(site, 1 - place, np.full(offsets.shape, other), sign * offsets)
    order = _order(site)
    if order is None:
        return None
    (a, a_factor), (b, b_factor) = ((site.activation(place)[1], signs[place]) for place in order)
    twice = 2 * max(a.scale, b.scale)
    attributes = {
        "a_zero": a.zero_point,
        "b_zero": b.zero_point,
        "a_requantiser": site.requantiser(a_factor * a.scale / twice, pre_shift=SUM_SHIFT),
        "b_requantiser": site.requantiser(b_factor * b.scale / twice, pre_shift=SUM_SHIFT),
        "requantiser": site.requantiser(twice / site.output.scale / (1 << SUM_SHIFT)),
        **site.clamp(),
    }
    return Lowered("qadd", tuple(_term(site, place) for place in order), attributes)


def lower_product(site: Site) -> Lowered | None:
    """Of two tensors, or of one and a constant for each channel."""
    for place in range(2):
        factors = _per_channel(site, place)
        if factors is not None:
            return lower_affine(site, 1 - place, factors, np.zeros(factors.shape))
    order = _order(site)
    if order is None:
        return None
    a, b = (site.activation(place)[1] for place in order)
    attributes = {
        "a_zero": a.zero_point,
        "b_zero": b.zero_point,
        "requantiser": site.requantiser(a.scale * b.scale / site.output.scale),
        **site.clamp(),
    }
    return Lowered("qmul", tuple(_term(site, place) for place in order), attributes)


def lower_affine(site: Site, place: int, factors: np.ndarray, offsets: np.ndarray) -> Lowered:
    """Operand `place`, an image, times a factor plus an offset for each channel: a depthwise convolution of one tap.

    Its weight is as large as nine bits allow, so that the bias has small steps.
    """
    data, x = site.activation(place)
    if data.data is not None or data.shape != site.shape or len(site.shape) != 4:
        raise site.refuse(f"its image must be computed and have the result's shape {list(site.shape)}")
    signs = np.sign(factors)
    largest = 127 if signs.min() < 0 < signs.max() else 255
    units = np.where(signs == 0, site.output.scale / _CONSTANT_STEPS, np.abs(factors) * x.scale / largest)
    biases = np.rint(offsets / units)
    if np.abs(biases).max() >= 1 << 30:
        raise site.refuse("its offsets must be of the size of its results")
    attributes = {"x_zero": x.zero_point, "requantiser": site.requantiser(units / site.output.scale), **site.clamp()}
    weight = (signs * largest).astype(np.int16).reshape(-1, 1, 1, 1)
    return Lowered("qdepthwise", (data.name, weight, biases.astype(np.int32)), attributes)


def _per_channel(site: Site, place: int) -> np.ndarray | None:
    """float64 (C,): the constant operand `place`, where it has one number for each channel of an image."""
    operand, other = site.operands[place], site.operands[1 - place]
    if operand is None or other is None or other.shape != site.shape or len(site.shape) != 4:
        return None
    shape = (1,) * (4 - len(operand.shape)) + operand.shape
    real = operand.real
    return real.reshape(-1) if real is not None and shape == (1, site.shape[1], 1, 1) else None


def _order(site: Site) -> tuple[int, int] | None:
    """The operands' places, that of the result's shape first; None where the host has to do it."""
    operands = [site.activation(place)[0] for place in range(2)]
    constants = [operand.data for operand in operands if operand.data is not None]
    if len(constants) == 2 or any(data.dtype != np.int8 for data in constants):
        return None
    whole = [operand.data is not None or operand.shape == site.shape for operand in operands]
    if all(whole):
        return 0, 1
    small = whole.index(False)
    if not whole[1 - small] or not _is_pixel(operands[small], site.shape):
        shapes = " and ".join(str(list(operand.shape)) for operand in operands)
        raise site.refuse(
            f"its terms must have the result's shape {list(site.shape)}, or one of them a pixel: {shapes}"
        )
    return 1 - small, small


def _is_pixel(operand: Operand, shape: tuple[int, ...]) -> bool:
    n, *rest = operand.shape
    return len(shape) == 4 and rest == [shape[1], 1, 1] and n in (1, shape[0])


def _term(site: Site, place: int) -> str | np.ndarray:
    operand = site.operands[place]
    assert operand is not None
    if operand.data is None:
        return operand.name
    return np.ascontiguousarray(np.broadcast_to(operand.data, site.shape)).astype(np.int8)


class _Pair(Operator):
    """int8 and int8 of the same shape, or (N, C, 1, 1) or (1, C, 1, 1) beside (N, C, H, W) → int8."""

    accelerated = True
    blocked_constants = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        a, b = arguments
        assert a is not None and b is not None
        n, *rest = b.known_shape
        pixel = len(a.known_shape) == 4 and rest == [a.known_shape[1], 1, 1] and n in (1, a.known_shape[0])
        if a.known_shape != b.known_shape and not pixel:
            raise refuse(node, f"its terms {list(a.known_shape)} and {list(b.known_shape)} must match")
        return [Signature(a.known_shape, np.dtype(np.int8))]


def added(total: Sum, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """int8 and int8 → int8: what a qadd means."""
    wide = total.a_requantiser.apply(a.astype(np.int64) - total.a_zero)
    wide = wide + total.b_requantiser.apply(b.astype(np.int64) - total.b_zero)
    return total.output.apply(total.requantiser.apply(wide))


def sum_expression(total: Sum, a: te.Tensor, b: te.Tensor) -> te.Tensor:
    """The same as a tensor expression."""
    first = requantised(centred(a, total.a_zero), total.a_requantiser)
    second = requantised(centred(b, total.b_zero), total.b_requantiser)
    wide = te.compute(a.shape, lambda *index: first[index] + broadcast(second, index))
    return total.output.expression(requantised(wide, total.requantiser))


@operator("qadd")
class QuantisedAdd(_Pair):
    """Both terms are brought to a common scale with 20 more bits, added, and scaled back."""

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments
        assert a is not None and b is not None
        return [added(Sum.of(node.attributes), a, b)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        a, b = arguments
        assert a is not None and b is not None
        return [sum_expression(Sum.of(node.attributes), a, b)]

    def schedule(self, node: Node, scope: Scope) -> None:
        a, b, y = (scope.tensors[name] for name in (*node.inputs, *node.outputs))
        schedule_addition(scope, Addition(a, b, y, Sum.of(node.attributes)))


@operator("qmul")
class QuantisedMul(_Pair):
    """The product of the integers less their zero points, scaled."""

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments
        assert a is not None and b is not None
        product = (a.astype(np.int64) - node["a_zero"]) * (b.astype(np.int64) - node["b_zero"])
        return [Output.of(node.attributes).apply(node["requantiser"].apply(product))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        first, second = arguments
        assert first is not None and second is not None
        a, b = centred(first, node["a_zero"]), centred(second, node["b_zero"])

        def element(*index: Any) -> Any:
            return a[index] * broadcast(b, index)

        product = te.compute(a.shape, element)
        return [Output.of(node.attributes).expression(requantised(product, node["requantiser"]))]

    def schedule(self, node: Node, scope: Scope) -> None:
        a, b, y = (scope.tensors[name] for name in (*node.inputs, *node.outputs))
        zeros = (node["a_zero"], node["b_zero"])
        schedule_product(scope, Product(a, b, y, node["requantiser"], *zeros, Output.of(node.attributes)))
