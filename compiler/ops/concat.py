"""Images side by side in whole blocks of channels: a concatenation that the accelerator does while it rescales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import te
from ..expressions import centred, requantised
from ..graph import Node, Value
from ..output import Output
from ..schedule.elementwise import Rescale, schedule_rescale
from ..schedule.scope import Scope
from ..te import layout
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site

__all__ = ["in_blocks", "lower_concat"]


def in_blocks(site: Site) -> bool:
    """Whether it joins channels, and all operands but the last fill whole blocks of them."""
    along_channels = site.node.get("axis", 0) % len(site.shape) == 1
    return along_channels and all(o is not None and o.shape[1] % site.channels == 0 for o in site.operands[:-1])


def lower_concat(site: Site) -> Lowered | None:
    """Of computed quantised tensors along their channels."""
    operands = [site.activation(place) for place in range(len(site.operands))]
    if any(data.data is not None for data, _ in operands):
        raise site.refuse("its inputs must be computed")
    if len(site.shape) not in (2, 4) or not in_blocks(site):
        raise site.refuse(f"it must join channels (axis 1), all but the last input's a multiple of {site.channels}")
    attributes: dict[str, Any] = dict(site.clamp())
    for place, (_, x) in enumerate(operands):
        same = x.scale == site.output.scale
        attributes |= {
            f"x{place}_zero": x.zero_point,
            f"x{place}_requantiser": None if same else site.requantiser(x.scale / site.output.scale),
        }
    return Lowered("qconcat", tuple(data.name for data, _ in operands), attributes)


@operator("qconcat")
class QuantisedConcat(Operator):
    """int8 tensors of 2 or 4 dimensions that differ in the second one → int8, each rescaled, side by side."""

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        shapes = [value.known_shape for value in arguments if value is not None]
        if len({(shape[0], *shape[2:]) for shape in shapes}) != 1:
            raise refuse(node, f"its inputs must match but for axis 1: {[list(shape) for shape in shapes]}")
        channels = sum(shape[1] for shape in shapes)
        return [Signature((shapes[0][0], channels, *shapes[0][2:]), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        parts = []
        for place, data in enumerate(arguments):
            assert data is not None
            steps = data.astype(np.int64) - node[f"x{place}_zero"]
            requantiser = node[f"x{place}_requantiser"]
            parts.append(steps if requantiser is None else requantiser.apply(steps))
        return [Output.of(node.attributes).apply(np.concatenate(parts, axis=1))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        parts = []
        for place, data in enumerate(arguments):
            assert data is not None
            steps = centred(data, node[f"x{place}_zero"])
            scaled = requantised(steps, node[f"x{place}_requantiser"])
            parts.append(Output.of(node.attributes).expression(scaled))
        return [layout.concatenate(parts, 1)]

    def schedule(self, node: Node, scope: Scope) -> None:
        y = scope.tensors[node.outputs[0]]
        first = 0
        for place, name in enumerate(node.inputs):
            x = scope.tensors[name]
            how = (node[f"x{place}_requantiser"], node[f"x{place}_zero"], Output.of(node.attributes))
            for n in range(y.shape[0]):
                part = replace(y.part(n, first), shape=(1, *x.shape[1:]))
                whole = replace(x.part(n, 0), shape=(1, *x.shape[1:]))
                schedule_rescale(scope, Rescale(whole, part, *how))
            first += x.blocks
