"""Maximum and average pooling, windowed and global."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...isa.table import Function
from .. import te
from ..expressions import requantised, window_reduction, with_padding
from ..graph import Node
from ..output import Output
from ..schedule.pool import Pooling, schedule_pooling
from ..schedule.scope import Scope
from ..window import Window
from .derived import DerivedOperator
from .host_pool import host_pool
from .pool_counted import counted_average, counts_of
from .registry import Arrays, operator
from .site import Lowered, Site
from .sliding import SlidingOperator
from .window import window_of
from .windows import geometry

__all__ = ["pooling_window"]


def pooling_window(node: Node, image: tuple[int, ...]) -> Window:
    if node.operator.startswith("Global"):
        return window_of(node, image, image[2:])
    return window_of(node, image, tuple(node["kernel_shape"]))


class _Pool(DerivedOperator):
    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        whole = node.operator.startswith("Global")
        window = geometry(node, image.shape[2:], image.shape[2:] if whole else tuple(node["kernel_shape"]))
        largest, inside = node.operator.endswith("MaxPool"), tuple(range(image.ndim, 2 * image.ndim - 2))
        if len(node.outputs) == 1 and image.dtype.kind == "f" and (largest or not any((*window.before, *window.after))):
            views = window.views(image, -np.inf)
            return [np.asarray(views.max(axis=inside) if largest else views.mean(axis=inside), image.dtype)]
        return te.evaluate(host_pool(node, te.constant(image)), {})

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        return host_pool(node, image)


def _attributes(site: Site, window: Window, factor: float, x_zero: int) -> dict[str, object]:
    same = factor == 1.0
    return {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
        "pads": window.pads,
        "x_zero": x_zero,
        "requantiser": None if same else site.requantiser(factor),
        **site.clamp(),
    }


@operator("MaxPool", "GlobalMaxPool")
class MaxPool(_Pool):
    def quantise(self, site: Site) -> Lowered | None:
        data, x = site.activation(0)
        if len(site.node.outputs) > 1:
            raise site.refuse("its second result (indices) is not supported")
        window = pooling_window(site.node, data.shape)
        return Lowered("qmaxpool", (data.name,), _attributes(site, window, x.scale / site.output.scale, x.zero_point))


@operator("AveragePool", "GlobalAveragePool")
class AveragePool(_Pool):
    def quantise(self, site: Site) -> Lowered | None:
        data, x = site.activation(0)
        window = pooling_window(site.node, data.shape)
        factor = x.scale / site.output.scale
        counts = counts_of(window, data.shape[2:], _counted_padding(site.node, window))
        if 0 in (*counts[0], *counts[1]):
            raise site.refuse("each of its windows must see an element")
        operator_, attributes = counted_average(window, counts, lambda count: site.requantiser(factor / count))
        return Lowered(operator_, (data.name,), {**attributes, "x_zero": x.zero_point, **site.clamp()})


def _counted_padding(node: Node, window: Window) -> tuple[int, ...]:
    """Padding that an average counts: what the node states, without the rest of windows that ceil_mode adds."""
    if not node.get("count_include_pad", 0):
        return 0, 0, 0, 0
    return window.pads if node.get("auto_pad", "NOTSET") != "NOTSET" else tuple(node.get("pads", (0, 0, 0, 0)))


class _QuantisedPool(SlidingOperator):
    def _finish(self, node: Node, centred: np.ndarray) -> list[np.ndarray]:
        scaled = centred if node["requantiser"] is None else node["requantiser"].apply(centred)
        return [Output.of(node.attributes).apply(scaled)]

    function: Function

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        window, zero = pooling_window(node, image.shape), int(node["x_zero"])
        padded = with_padding(image, window, self._padding(node))
        largest = self.function is Function.MAX
        reduced = window_reduction(padded, window, largest=largest)
        offset = zero if largest else zero * window.kernel[0] * window.kernel[1]
        centred = te.compute(reduced.shape, lambda *index: reduced[index] - offset)
        return [Output.of(node.attributes).expression(requantised(centred, node["requantiser"]))]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        window = pooling_window(node, x.shape)
        how = (node["requantiser"], self._padding(node), node["x_zero"], Output.of(node.attributes))
        schedule_pooling(scope, Pooling(x, y, self.function, window, *how))


@operator("qmaxpool")
class QuantisedMaxPool(_QuantisedPool):
    """int8 (N, C, H, W) → int8 (N, C, OH, OW); padding never wins."""

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        views = pooling_window(node, image.shape).views(image.astype(np.int64), -128)
        return self._finish(node, views.max(axis=(4, 5)) - node["x_zero"])

    function = Function.MAX

    def _padding(self, node: Node) -> int:
        return -128


@operator("qavgpool")
class QuantisedAveragePool(_QuantisedPool):
    """int8 (N, C, H, W) → int8 (N, C, OH, OW); padding counts as the real number 0."""

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        views = pooling_window(node, image.shape).views(image.astype(np.int64) - node["x_zero"], 0)
        return self._finish(node, views.sum(axis=(4, 5)))

    function = Function.SUM

    def _padding(self, node: Node) -> int:
        return int(node["x_zero"])
