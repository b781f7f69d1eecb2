"""Changes of scale: ReLU and Clip in a quantised model, and their integer form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..expressions import centred, requantised
from ..graph import Node, Quantisation, Value
from ..output import Output
from ..schedule.elementwise import Rescale, schedule_rescale
from ..schedule.scope import Scope
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site

__all__ = ["in_steps", "limits_of", "rescaled"]


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
        return [Output.of(node.attributes).apply(scaled)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        scaled = requantised(centred(data, node["x_zero"]), node["requantiser"])
        return [Output.of(node.attributes).expression(scaled)]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        schedule_rescale(scope, Rescale(x, y, node["requantiser"], node["x_zero"], Output.of(node.attributes)))
