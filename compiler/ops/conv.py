"""Convolution: float Conv, which only a quantised model may use, and the integer qconv."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from .. import te
from ..expressions import clamped, convolution, requantised, with_padding
from ..graph import Node, Value
from ..schedule.conv import Convolution, schedule_convolution
from ..schedule.scope import Scope
from .groups import ungrouped
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site
from .window import window_of
from .windows import convolve, geometry

__all__ = ["accumulate"]


def _result(node: Node, image: Value | None, weight: Value | None, dtype: np.dtype) -> list[Signature]:
    assert image is not None and weight is not None
    shape, filters = image.known_shape, weight.known_shape
    if len(filters) != 4 or len(shape) != 4:
        raise refuse(node, f"it must work on images (4 dimensions), not on {list(shape)} and weights {list(filters)}")
    if filters[1] * node.get("group", 1) != shape[1]:
        raise refuse(node, f"its weights {list(filters)} must match the {shape[1]} channels of its input")
    window = window_of(node, shape, filters[2:])
    return [Signature((shape[0], filters[0], *window.output), dtype)]


def accumulate(views: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N, C, OH, OW, KH, KW) and (O, C, KH, KW) → (N, O, OH, OW), exact in the views' dtype."""
    product = np.tensordot(views, weight, axes=((1, 4, 5), (1, 2, 3)))
    return np.asarray(np.moveaxis(product, -1, 1))


def _sums(views: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, output …, kernel …) and (O, C / groups, kernel …) → (N, O, output …), in the views' dtype."""
    outputs, inner, *kernel = weight.shape
    rank = len(kernel)
    if inner == 1 and outputs == groups:
        total = np.zeros(views.shape[: 2 + rank], views.dtype)
        for tap in np.ndindex(*kernel):
            total += views[(..., *tap)] * weight[(slice(None), 0, *tap)].reshape(-1, *[1] * rank)
        return total
    over = (1, *range(2 + rank, 2 + 2 * rank)), tuple(range(1, 2 + rank))
    products = [
        np.moveaxis(np.tensordot(seen, filters, axes=over), -1, 1)
        for seen, filters in zip(np.split(views, groups, 1), np.split(weight, groups), strict=True)
    ]
    return np.concatenate(products, 1)


@operator("Conv")
class Conv(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        shape, filters = arguments[0].known_shape, arguments[1].known_shape if arguments[1] is not None else ()
        if len(shape) < 3 or len(filters) != len(shape) or filters[1] * node.get("group", 1) != shape[1]:
            raise refuse(node, f"its weights {list(filters)} must match its input {list(shape)}")
        window = geometry(node, shape[2:], filters[2:])
        return [Signature((shape[0], filters[0], *window.output), arguments[0].known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image, weight = arguments[:2]
        bias = arguments[2] if len(arguments) > 2 else None
        assert image is not None and weight is not None
        views = geometry(node, image.shape[2:], weight.shape[2:]).views(image, 0)
        sums = _sums(views, weight, node.get("group", 1))
        return [sums if bias is None else sums + bias.reshape(-1, *[1] * (image.ndim - 2))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image, weight = arguments[:2]
        bias = arguments[2] if len(arguments) > 2 else None
        assert image is not None and weight is not None
        window = geometry(node, image.shape[2:], weight.shape[2:])
        sums = convolve(image, weight, window, node.get("group", 1))
        if bias is None:
            return [sums]
        return [te.compute(sums.shape, lambda n, c, *index: sums[(n, c, *index)] + bias[c])]

    def quantise(self, site: Site) -> Lowered | None:
        image, x = site.activation(0)
        weight = site.weight(1)
        assert weight.data is not None
        if weight.scale.ndim and weight.axis % 4 != 0:
            raise site.refuse("its weights must be quantised per output channel (axis 0) or as a whole")
        window = window_of(site.node, image.shape, weight.data.shape[2:])
        scale = x.scale * weight.scale
        attributes = {
            "strides": window.strides,
            "dilations": window.dilations,
            "pads": window.pads,
            "x_zero": x.zero_point,
            "requantiser": site.requantiser(scale / site.output.scale),
            **site.clamp(),
        }
        bias = site.bias(2, scale, weight.data.shape[0]).astype(np.int32)
        try:
            lowered, filters = ungrouped(weight.data, image.shape[1])
        except ValueError as error:
            raise site.refuse(str(error)) from None
        return Lowered(lowered, (image.name, filters, bias), attributes)


@operator("qconv")
class QuantisedConv(Operator):
    """int8 image (N, C, H, W), int8 weights (O, C, KH, KW), int32 bias (O,) → int8 (N, O, OH, OW).

    Padding stands for the real number 0, that is, it holds x_zero.
    """

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        return _result(node, arguments[0], arguments[1], np.dtype(np.int8))

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image, weight, bias = arguments
        assert image is not None and weight is not None and bias is not None
        window = window_of(node, image.shape, weight.shape[2:])
        centred = image.astype(np.float64) - node["x_zero"]
        sums = accumulate(window.views(centred, 0.0), weight.astype(np.float64)).astype(np.int64)
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
        sums = convolution(with_padding(image, window, node["x_zero"]), weight, window, node["x_zero"])
        biased = te.compute(sums.shape, lambda n, c, h, w: sums[n, c, h, w] + bias[c])
        return [clamped(requantised(biased, node["requantiser"]), node["y_zero"], node["minimum"], node["maximum"])]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        weight, bias = scope.constant_data(node.inputs[1]), scope.constant_data(node.inputs[2])
        window = window_of(node, x.shape, weight.shape[2:])
        limits = (node["requantiser"], node["x_zero"], node["y_zero"], node["minimum"], node["maximum"])
        schedule_convolution(scope, Convolution(x, y, weight, bias, window, *limits))
