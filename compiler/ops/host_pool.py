"""Float pooling on the host, over any number of dimensions: maximum (with indices), average, Lp."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from .. import te
from ..graph import Node
from ..te import functions as f
from .derived import DerivedOperator, Expr, Tensors, given
from .registry import operator
from .windows import Geometry, covered, geometry, padded_view, pool

__all__ = ["host_pool"]


def host_pool(node: Node, x: te.Tensor) -> list[te.Tensor]:
    """The results of a pooling node."""
    whole = node.operator.startswith("Global")
    window = geometry(node, x.shape[2:], x.shape[2:] if whole else tuple(node["kernel_shape"]))
    if node.operator.endswith("MaxPool"):
        lowest = -inf if x.dtype.startswith("float") else int(np.iinfo(x.dtype).min)
        values = pool(x, window, te.max, lambda value: value, lowest)
        return [values, _places_of_maxima(node, x, values, window, lowest)][: len(node.outputs)]
    if node.operator.endswith("LpPool"):
        power = float(node.get("p", 2))
        raised = _power(power)
        total = pool(x, window, te.sum, lambda value: raised(te.abs(value)), 0)
        root = _power(1 / power)
        return [te.compute(total.shape, lambda *index: root(total[index]))]
    total = pool(x, window, te.sum, lambda value: value, 0)
    sizes, rank = x.shape[2:], len(x.shape) - 2
    counted = tuple(node.get("pads", (0,) * (2 * rank))) if node.get("auto_pad", "NOTSET") == "NOTSET" else None
    padding = (counted or (*window.before, *window.after)) if node.get("count_include_pad", 0) else None

    def mean(n: Expr, c: Expr, *index: Expr) -> Expr:
        return total[(n, c, *index)] / covered(window, sizes, index, padding=padding).astype(x.dtype)

    return [te.compute(total.shape, mean)]


def _power(exponent: float):  # type: ignore[no-untyped-def]
    special = {1.0: lambda x: x, 2.0: lambda x: x * x, 0.5: te.sqrt}
    return special.get(exponent, lambda x: f.pow(x, te.Const(exponent, x.dtype)))


def _places_of_maxima(node: Node, x: te.Tensor, values: te.Tensor, window: Geometry, lowest: float | int) -> te.Tensor:
    """Row-major number in `x` of the first largest element of each window; with storage_order 1 columns come first."""
    padded = padded_view(x, window, lowest)
    over = [te.reduce_axis(size) for size in window.kernel]
    sizes = x.shape[2:]
    order: Sequence[int] = range(len(sizes))
    if node.get("storage_order", 0):
        order = list(reversed(order))
    most = te.Const(int(np.iinfo(np.int64).max), "int64")

    def element(n: Expr, c: Expr, *index: Expr) -> Expr:
        steps = [i * s + k * d for i, s, k, d in zip(index, window.strides, over, window.dilations, strict=True)]
        number: Expr = n * x.shape[1] + c
        inside = []
        for d in order:
            place = steps[d] - window.before[d]
            number = number * sizes[d] + place
            inside += [place >= 0, place < sizes[d]]
        hit = te.equal(padded[(n, c, *steps)], values[(n, c, *index)])
        return te.min(te.where(te.all_of(hit, *inside), number, most), over)

    return te.compute(values.shape, element)


@operator("LpPool", "GlobalLpPool")
class LpPool(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        return host_pool(node, given(node, arguments))
