"""A convolution and the sum of its result and another tensor, as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...config import Config
from .. import te
from ..graph import Node, Value
from ..schedule.conv import Addend, Convolution
from ..schedule.resident import Reading
from ..schedule.scope import Scope
from .arithmetic import added, sum_expression
from .conv import QuantisedConv
from .registry import Arrays, Signature, operator, refuse

__all__ = ["QuantisedConvAdd"]

_OTHER = 3


@operator("qconv+add")
class QuantisedConvAdd(QuantisedConv):
    """A qconv, whose result and another int8 (N, O, OH, OW) the attribute `sum` (:class:`Sum`) adds."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        (result,), other = super().infer(node, arguments), arguments[_OTHER]
        assert other is not None
        if other.known_shape != result.shape:
            raise refuse(node, f"what it adds {list(other.known_shape)} must match its result {list(result.shape)}")
        return [result]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        (product,), other = super().reference(node, arguments[:_OTHER]), arguments[_OTHER]
        assert other is not None
        return [added(node["sum"], product, other)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        (product,), other = super().expression(node, arguments[:_OTHER]), arguments[_OTHER]
        assert other is not None
        return [sum_expression(node["sum"], product, other)]

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        return Reading() if place == _OTHER else super().reading(node, arguments, place, config)

    def _convolution(self, node: Node, scope: Scope) -> Convolution:
        addend = Addend(scope.tensors[node.inputs[_OTHER]], node["sum"])
        return replace(super()._convolution(node, scope), addend=addend)
