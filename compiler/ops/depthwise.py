"""The integer depthwise convolution: each channel has a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from .. import te
from ..expressions import clamped, depthwise, requantised, with_padding
from ..graph import Node, Value
from ..schedule.depthwise import Depthwise, schedule_depthwise
from ..schedule.scope import Scope
from .registry import Arrays, Operator, Signature, operator, refuse
from .window import window_of


@operator("qdepthwise")
class QuantisedDepthwise(Operator):
    """int8 image (N, C, H, W), int8 weights (C, 1, KH, KW), int32 bias (C,) → int8 (N, C, OH, OW).

    Padding stands for the real number 0, that is, it holds x_zero.
    """

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image, weight = arguments[:2]
        assert image is not None and weight is not None
        shape, filters = image.known_shape, weight.known_shape
        if len(shape) != 4 or len(filters) != 4 or filters[:2] != (shape[1], 1):
            raise refuse(node, f"its weights {list(filters)} must be one window for each channel of {list(shape)}")
        window = window_of(node, shape, filters[2:])
        return [Signature((*shape[:2], *window.output), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image, weight, bias = arguments
        assert image is not None and weight is not None and bias is not None
        window = window_of(node, image.shape, weight.shape[2:])
        views = window.views(image.astype(np.int64) - node["x_zero"], 0)
        sums = np.einsum("nchwij,cij->nchw", views, weight[:, 0].astype(np.int64))
        scaled = node["requantiser"].apply(sums + bias.reshape(1, -1, 1, 1)) + node["y_zero"]
        return [np.clip(scaled, node["minimum"], node["maximum"]).astype(np.int8)]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        weight = arguments[1]
        assert weight is not None
        return prod(results[0].known_shape) * prod(weight.known_shape[1:])

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image, weight, bias = arguments
        assert image is not None and weight is not None and bias is not None
        window = window_of(node, image.shape, weight.shape[2:])
        sums = depthwise(with_padding(image, window, node["x_zero"]), weight, window, node["x_zero"])
        biased = te.compute(sums.shape, lambda n, c, h, w: sums[n, c, h, w] + bias[c])
        return [clamped(requantised(biased, node["requantiser"]), node["y_zero"], node["minimum"], node["maximum"])]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        weight, bias = scope.constant_data(node.inputs[1]), scope.constant_data(node.inputs[2])
        window = window_of(node, x.shape, weight.shape[2:])
        limits = (node["requantiser"], node["x_zero"], node["y_zero"], node["minimum"], node["maximum"])
        schedule_depthwise(scope, Depthwise(x, y, weight, bias, window, *limits))
