"""Add, and changes of scale: ReLU and Clip in a quantised model, and their integer forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..expressions import clamped, requantised
from ..graph import Node, Quantisation, Value
from ..schedule.elementwise import Addition, Rescale, schedule_addition, schedule_rescale
from ..schedule.scope import Scope
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site

__all__ = ["in_steps", "limits_of", "rescaled"]

_SUM_SHIFT = 20


def limits_of(node: Node, arguments: Sequence[np.ndarray | None]) -> tuple[float, float]:
    """Lower and upper limit of a Relu or Clip `node`; `arguments` are its inputs, the data's may be None."""
    if node.operator == "Relu":
        return 0.0, float("inf")
    limits = []
    for position, default in ((1, float("-inf")), (2, float("inf"))):
        given = len(node.inputs) > position and node.inputs[position]
        limit = arguments[position] if given else np.array(default)
        if limit is None or limit.size != 1:
            raise refuse(node, "its limits must be constants of one element")
        limits.append(float(limit.reshape(())))
    return limits[0], limits[1]


def in_steps(limit: float, quantisation: Quantisation) -> int:
    """A real limit as an int8."""
    steps = np.rint(np.float64(limit) / quantisation.scale) + quantisation.zero_point
    return int(np.clip(steps, -128, 127))


def rescaled(site: Site) -> Lowered:
    """The site's first operand on the scale of its result, within its limits."""
    data, x = site.activation(0)
    requantiser = None
    if x.scale != site.output.scale:
        requantiser = site.requantiser(x.scale / site.output.scale)
    return Lowered("qrescale", (data.name,), {"x_zero": x.zero_point, "requantiser": requantiser, **site.clamp()})


@operator("Relu", "Clip")
class Limit(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, arguments[0].known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        if node.operator == "Relu":
            return [np.maximum(data, data.dtype.type(0))]
        low, high = (arguments[place] if len(arguments) > place else None for place in (1, 2))
        raised = data if low is None else np.maximum(data, low)
        return [raised if high is None else np.minimum(raised, high)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        limits = [arguments[place] if len(arguments) > place else None for place in (1, 2)]

        def element(*index: Any) -> Any:
            value: Any = data[index]
            if node.operator == "Relu":
                return te.maximum(value, 0)
            for limit, choose in zip(limits, (te.maximum, te.minimum), strict=True):
                if limit is not None:
                    value = choose(value, limit[(0,) * len(limit.shape)])
            return value

        return [te.compute(data.shape, element)]

    def quantise(self, site: Site) -> Lowered | None:
        limits = limits_of(site.node, [None if operand is None else operand.data for operand in site.operands])
        low, high = (in_steps(limit, site.output) for limit in limits)
        lowered = rescaled(site)
        minimum, maximum = max(site.minimum, low), min(site.maximum, high)
        attributes = {**lowered.attributes, "minimum": min(minimum, maximum), "maximum": maximum}
        return Lowered(lowered.operator, lowered.inputs, attributes)


def _centred(data: te.Tensor, zero: int) -> te.Tensor:
    return te.compute(data.shape, lambda *index: data[index].astype("int32") - zero)


@operator("qrescale")
class QuantisedRescale(Operator):
    """int8 → int8: another scale and zero point, and limits; without a requantiser the scale stays."""

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        centred = data.astype(np.int64) - node["x_zero"]
        scaled = centred if node["requantiser"] is None else node["requantiser"].apply(centred)
        return [np.clip(scaled + node["y_zero"], node["minimum"], node["maximum"]).astype(np.int8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        scaled = requantised(_centred(data, node["x_zero"]), node["requantiser"])
        return [clamped(scaled, node["y_zero"], node["minimum"], node["maximum"])]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        limits = (node["requantiser"], node["x_zero"], node["y_zero"], node["minimum"], node["maximum"])
        schedule_rescale(scope, Rescale(x, y, *limits))


@operator("Add")
class Add(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        a, b = arguments
        assert a is not None and b is not None
        try:
            shape = np.broadcast_shapes(a.known_shape, b.known_shape)
        except ValueError:
            raise refuse(node, f"its terms {list(a.known_shape)} and {list(b.known_shape)} must match") from None
        return [Signature(shape, a.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments
        assert a is not None and b is not None
        return [np.asarray(a + b)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        a, b = arguments
        assert a is not None and b is not None
        shape = np.broadcast_shapes(a.shape, b.shape)

        def at(tensor: te.Tensor, index: Sequence[Any]) -> Any:
            tail = index[len(index) - len(tensor.shape) :]
            return tensor[tuple(0 if size == 1 else i for size, i in zip(tensor.shape, tail, strict=True))]

        return [te.compute(shape, lambda *index: at(a, index) + at(b, index))]

    def quantise(self, site: Site) -> Lowered | None:
        first, a = site.activation(0)
        second, b = site.activation(1)
        constants = [operand.data for operand in (first, second) if operand.data is not None]
        if len(constants) == 2 or any(data.dtype != np.int8 for data in constants):
            return None
        terms: list[str | np.ndarray] = []
        for operand in (first, second):
            if operand.data is not None:
                terms.append(np.ascontiguousarray(np.broadcast_to(operand.data, site.shape)).astype(np.int8))
            elif operand.shape == site.shape:
                terms.append(operand.name)
            else:
                raise site.refuse(
                    f"its terms must have the result's shape {list(site.shape)}, not {list(operand.shape)}"
                )
        twice = 2 * max(a.scale, b.scale)
        attributes = {
            "a_zero": a.zero_point,
            "b_zero": b.zero_point,
            "a_requantiser": site.requantiser(a.scale / twice, pre_shift=_SUM_SHIFT),
            "b_requantiser": site.requantiser(b.scale / twice, pre_shift=_SUM_SHIFT),
            "requantiser": site.requantiser(twice / site.output.scale / (1 << _SUM_SHIFT)),
            **site.clamp(),
        }
        return Lowered("qadd", tuple(terms), attributes)


@operator("qadd")
class QuantisedAdd(Operator):
    """int8 + int8 → int8: both terms are brought to a common scale with 20 more bits, added, and scaled back."""

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        a, b = arguments
        assert a is not None and b is not None
        if a.known_shape != b.known_shape:
            raise refuse(node, f"its terms {list(a.known_shape)} and {list(b.known_shape)} must match")
        return [Signature(a.known_shape, np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments
        assert a is not None and b is not None
        total = node["a_requantiser"].apply(a.astype(np.int64) - node["a_zero"])
        total = total + node["b_requantiser"].apply(b.astype(np.int64) - node["b_zero"])
        scaled = node["requantiser"].apply(total) + node["y_zero"]
        return [np.clip(scaled, node["minimum"], node["maximum"]).astype(np.int8)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        terms = []
        for data, term in zip(arguments, "ab", strict=True):
            assert data is not None
            terms.append(requantised(_centred(data, node[f"{term}_zero"]), node[f"{term}_requantiser"]))
        a, b = terms
        total = te.compute(a.shape, lambda *index: a[index] + b[index])
        return [clamped(requantised(total, node["requantiser"]), node["y_zero"], node["minimum"], node["maximum"])]

    def schedule(self, node: Node, scope: Scope) -> None:
        a, b, y = (scope.tensors[name] for name in (*node.inputs, *node.outputs))
        factors = (node["a_requantiser"], node["b_requantiser"], node["requantiser"])
        limits = (node["a_zero"], node["b_zero"], node["y_zero"], node["minimum"], node["maximum"])
        schedule_addition(scope, Addition(a, b, y, *factors, *limits))
