"""Convolution: float Conv, and the integer forms qconv and qdepthwise."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ...config import Config
from .. import te
from ..expressions import convolution, depthwise, requantised, with_padding
from ..graph import Node, Value
from ..output import Output
from ..schedule.conv import Convolution, schedule_convolution
from ..schedule.depthwise import depthwise_granules, schedule_depthwise
from ..schedule.depthwise_gemm import share_of_gemm
from ..schedule.resident import Reading
from ..schedule.scope import Scope
from ..window import Window
from .groups import ungrouped
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site
from .window import window_of
from .windows import convolve, geometry

__all__ = ["QuantisedConv", "accumulate"]


def accumulate(views: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N, C, OH, OW, KH, KW) and (O, C, KH, KW) → (N, O, OH, OW), exact in the views' dtype."""
    product = np.tensordot(views, weight, axes=((1, 4, 5), (1, 2, 3)))
    return np.asarray(np.moveaxis(product, -1, 1))


def _macs(arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
    weight = arguments[1]
    assert weight is not None
    return prod(results[0].known_shape) * prod(weight.known_shape[1:])


def _sums(views: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, output …, kernel …) and (O, C / groups, kernel …) → (N, O, output …), in the views' dtype."""
    outputs, inner, *kernel = weight.shape
    rank = len(kernel)
    if inner == 1 and outputs == groups:
        total = np.zeros(views.shape[: 2 + rank], views.dtype)
        for tap in np.ndindex(*kernel):
            total += views[(..., *tap)] * weight[(slice(None), 0, *tap)].reshape(-1, *[1] * rank)
        return total
    samples, output = len(views), views.shape[2 : 2 + rank]
    columns = views.transpose(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    products = [
        filters.reshape(len(filters), -1) @ seen.reshape(samples, filters[0].size, -1)
        for seen, filters in zip(np.split(columns, groups, 1), np.split(weight, groups), strict=True)
    ]
    return np.concatenate(products, 1).reshape(samples, outputs, *output)


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

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        return _macs(arguments, results)

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
        weight, scales = site.weight(1, axis=0)
        window = window_of(site.node, image.shape, weight.shape[2:])
        scale = x.scale * scales
        attributes = {
            "strides": window.strides,
            "dilations": window.dilations,
            "pads": window.pads,
            "x_zero": x.zero_point,
            "requantiser": site.requantiser(scale / site.output.scale),
            **site.clamp(),
        }
        bias = site.bias(2, scale, weight.shape[0]).astype(np.int32)
        try:
            lowered, filters = ungrouped(weight, image.shape[1])
        except ValueError as error:
            raise site.refuse(str(error)) from None
        return Lowered(lowered, (image.name, filters, bias), attributes)


class _QuantisedConv(Operator):
    """int8 image (N, C, H, W), weights (O, …, KH, KW), int32 bias (O,) → int8 (N, O, OH, OW).

    Weights are int8, or int16 from −255 to 255 that span at most 255 in each output channel: 8-bit ones less their
    zero points. Padding stands for the real number 0, that is, it holds x_zero.
    """

    accelerated = True

    def _require_match(self, node: Node, shape: tuple[int, ...], filters: tuple[int, ...]) -> None:
        """Refuse weights that do not fit the image."""
        raise NotImplementedError

    def _sums(self, views: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """float64 (N, C, OH, OW, KH, KW) and weights → (N, O, OH, OW), exact."""
        raise NotImplementedError

    def _expression(self, image: te.Tensor, weight: te.Tensor, window: Window, x_zero: int) -> te.Tensor:
        """The same of a padded image, as a tensor expression."""
        raise NotImplementedError

    def _schedule(self, scope: Scope, conv: Convolution) -> None:
        raise NotImplementedError

    def _columns(self, node: Node) -> int:
        """How many neighbouring columns of the result a window makes; see qconv_columns."""
        return 1

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image, weight = arguments[:2]
        assert image is not None and weight is not None
        shape, filters = image.known_shape, weight.known_shape
        if len(filters) != 4 or len(shape) != 4:
            raise refuse(node, f"it must work on images (4 dimensions), not on {list(shape)} and {list(filters)}")
        self._require_match(node, shape, filters)
        window = window_of(node, shape, filters[2:])
        return [Signature((shape[0], filters[0], *window.output), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image, weight, bias = arguments
        assert image is not None and weight is not None and bias is not None
        window = window_of(node, image.shape, weight.shape[2:])
        views = window.views(image.astype(np.float64) - node["x_zero"], 0.0)
        sums = self._sums(views, weight.astype(np.float64)).astype(np.int64)
        if (columns := self._columns(node)) > 1:
            n, _, rows, across = sums.shape
            apart = sums.reshape(n, columns, -1, rows, across)[:, :, : len(bias)]
            sums = apart.transpose(0, 2, 3, 4, 1).reshape(n, len(bias), rows, across * columns)
        scaled = node["requantiser"].apply(sums + bias.reshape(1, -1, 1, 1))
        return [Output.of(node.attributes).apply(scaled)]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        return _macs(arguments, results)

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image, weight, bias = arguments
        assert image is not None and weight is not None and bias is not None
        window = window_of(node, image.shape, weight.shape[2:])
        sums = self._expression(with_padding(image, window, node["x_zero"]), weight, window, node["x_zero"])
        columns, (batch, channels, rows, across) = self._columns(node), sums.shape
        group, shape = channels // columns, (batch, bias.shape[0], rows, across * columns)
        biased = te.compute(shape, lambda n, c, h, w: sums[n, w % columns * group + c, h, w // columns] + bias[c])
        return [Output.of(node.attributes).expression(requantised(biased, node["requantiser"]))]

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        image, weight = arguments[:2]
        assert image is not None and weight is not None
        return Reading(window_of(node, image.known_shape, weight.known_shape[2:]), node["x_zero"])

    def schedule(self, node: Node, scope: Scope) -> None:
        self._schedule(scope, self._convolution(node, scope))

    def _convolution(self, node: Node, scope: Scope) -> Convolution:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        weight, bias = scope.constant_data(node.inputs[1]), scope.constant_data(node.inputs[2])
        window = window_of(node, x.shape, weight.shape[2:])
        output = (node["requantiser"], node["x_zero"], Output.of(node.attributes))
        return Convolution(x, y, weight, bias, window, *output, self._columns(node))


@operator("qconv")
class QuantisedConv(_QuantisedConv):
    """Weights (O, C, KH, KW): every output channel sees every input channel."""

    def _require_match(self, node: Node, shape: tuple[int, ...], filters: tuple[int, ...]) -> None:
        if filters[1] != shape[1]:
            raise refuse(node, f"its weights {list(filters)} must match the {shape[1]} channels of its input")

    def _sums(self, views: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return accumulate(views, weight)

    def _expression(self, image: te.Tensor, weight: te.Tensor, window: Window, x_zero: int) -> te.Tensor:
        return convolution(image, weight, window, x_zero)

    def _schedule(self, scope: Scope, conv: Convolution) -> None:
        schedule_convolution(scope, conv)


@operator("qconv_columns")
class QuantisedColumns(QuantisedConv):
    """A qconv whose windows make `columns` neighbouring columns of the result each: (N, O, OH, columns · OW).

    Weights are (columns · G, C, KH, KW) with G ≥ O: of each group the first O make a column. `used` of the C inputs
    count in each.
    """

    def _columns(self, node: Node) -> int:
        return int(node["columns"])

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        (result,), bias = super().infer(node, arguments), arguments[2]
        assert bias is not None
        n, _, rows, across = result.shape
        return [Signature((n, bias.known_shape[0], rows, across * self._columns(node)), result.dtype)]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        weight = arguments[1]
        assert weight is not None
        return prod(results[0].known_shape) * int(node["used"]) * prod(weight.known_shape[2:])


@operator("qdepthwise")
class QuantisedDepthwise(_QuantisedConv):
    """Weights (C, 1, KH, KW): each channel has a window of its own."""

    def _require_match(self, node: Node, shape: tuple[int, ...], filters: tuple[int, ...]) -> None:
        if filters[:2] != (shape[1], 1):
            raise refuse(node, f"its weights {list(filters)} must be one window for each channel of {list(shape)}")

    def _sums(self, views: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("nchwij,cij->nchw", views, weight[:, 0]))

    def _expression(self, image: te.Tensor, weight: te.Tensor, window: Window, x_zero: int) -> te.Tensor:
        return depthwise(image, weight, window, x_zero)

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        weight, window = arguments[1], super().reading(node, arguments, place, config).window
        assert weight is not None and weight.data is not None and window is not None
        return Reading(window, node["x_zero"], split=share_of_gemm(config, weight.data, window.output[0]))

    def act_constants(self, node: Node, arguments: Sequence[Value | None], config: Config) -> tuple[int, int]:
        weight = arguments[1]
        assert weight is not None and weight.data is not None
        return depthwise_granules(config, weight.data)

    def _schedule(self, scope: Scope, conv: Convolution) -> None:
        schedule_depthwise(scope, conv)
