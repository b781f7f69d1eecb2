"""Float convolution and pooling over any number of dimensions, for the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from .. import te
from ..graph import Node
from .derived import Expr
from .registry import refuse

__all__ = ["Geometry", "convolve", "geometry", "padded_view", "pool"]


@dataclass(frozen=True)
class Geometry:
    """One entry a dimension; `before` and `after` are padding."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    output: tuple[int, ...]

    def views(self, image: np.ndarray, fill: float | int) -> np.ndarray:
        """(N, C, …) → (N, C, …, kernel …): what each window sees, `fill` outside the image."""
        padding = [(0, 0), (0, 0), *zip(self.before, self.after, strict=True)]
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        frame = np.pad(image, padding, constant_values=fill)
        seen = np.lib.stride_tricks.sliding_window_view(frame, reach, axis=tuple(range(2, image.ndim)))
        steps = [slice(None, None, step) for step in (*self.strides, *self.dilations)]
        return np.asarray(seen[(slice(None), slice(None), *steps)])


def geometry(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Geometry:
    """The windows of a node over dimensions of `sizes`; pads may be implicit (auto_pad) and counts rounded up."""
    rank = len(sizes)
    strides, dilations = tuple(node.get("strides", (1,) * rank)), tuple(node.get("dilations", (1,) * rank))
    pads, auto = tuple(node.get("pads", (0,) * (2 * rank))), node.get("auto_pad", "NOTSET")
    if len(kernel) != rank or len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise refuse(node, f"its kernel, strides, dilations and pads must be those of {rank} dimensions")
    if min((*strides, *dilations, *kernel), default=1) < 1 or min(pads, default=0) < 0:
        raise refuse(node, "its kernel, strides and dilations must be positive, and no pad negative")
    before, after, output = list(pads[:rank]), list(pads[rank:]), []
    for d in range(rank):
        reach = (kernel[d] - 1) * dilations[d] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            count = -(-sizes[d] // strides[d])
            total = max((count - 1) * strides[d] + reach - sizes[d], 0)
            before[d] = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after[d] = total - before[d]
        elif auto == "VALID":
            before[d] = after[d] = 0
        room = sizes[d] + before[d] + after[d] - reach
        if room < 0:
            raise refuse(node, f"its window of {reach} must fit {sizes[d]} elements and their padding")
        count = room // strides[d] + 1
        if node.get("ceil_mode", 0) and room % strides[d] and count * strides[d] < sizes[d] + before[d]:
            count += 1
            after[d] += strides[d] - room % strides[d]
        output.append(count)
    return Geometry(tuple(kernel), strides, dilations, tuple(before), tuple(after), tuple(output))


def padded_view(x: te.Tensor, window: Geometry, fill: Expr | float | int) -> te.Tensor:
    """(N, C, …) with `fill` around the dimensions behind the second."""
    if not any((*window.before, *window.after)):
        return x
    sizes = x.shape[2:]
    shape = [a + size + b for a, size, b in zip(window.before, sizes, window.after, strict=True)]

    def element(n: Expr, c: Expr, *index: Expr) -> Expr:
        inside = []
        places = [i - before if before else i for i, before in zip(index, window.before, strict=True)]
        for place, size, before, after in zip(places, sizes, window.before, window.after, strict=True):
            inside += [place >= 0] if before else []
            inside += [place < size] if after else []
        return te.where(te.all_of(*inside), x[(n, c, *places)], fill)

    return te.compute((*x.shape[:2], *shape), element)


def _places(window: Geometry, index: Sequence[Expr], over: Sequence[te.Axis]) -> tuple[Expr, ...]:
    return tuple(
        i * stride + k * dilation
        for i, k, stride, dilation in zip(index, over, window.strides, window.dilations, strict=True)
    )


def convolve(
    x: te.Tensor,
    weight: te.Tensor,
    window: Geometry,
    groups: int,
    product: Callable[[Expr, Expr, Expr], Expr] | None = None,
    fill: Expr | float | int = 0,
) -> te.Tensor:
    """(N, C, …) with (O, C / groups, …): `product` of element, weight and output channel, summed."""
    padded = padded_view(x, window, fill)
    outputs, inner = weight.shape[:2]
    ci, over = te.reduce_axis(inner), [te.reduce_axis(size) for size in window.kernel]
    each = outputs // groups

    def element(n: Expr, co: Expr, *index: Expr) -> Expr:
        channel = co // each * inner + ci if groups > 1 else ci
        value, factor = padded[(n, channel, *_places(window, index, over))], weight[(co, ci, *over)]
        return te.sum(value * factor if product is None else product(value, factor, co), [ci, *over])

    return te.compute((x.shape[0], outputs, *window.output), element)


def pool(
    x: te.Tensor, window: Geometry, fold: Callable[..., te.Expr], element: Callable[[Expr], Expr], fill: float | int
) -> te.Tensor:
    """`fold` over each window of ``element(x)``; padding holds `fill`."""
    padded = padded_view(te.compute(x.shape, lambda *index: element(x[index])), window, fill)
    over = [te.reduce_axis(size) for size in window.kernel]
    shape = (*x.shape[:2], *window.output)
    return te.compute(shape, lambda n, c, *index: fold(padded[(n, c, *_places(window, index, over))], over))


def covered(window: Geometry, sizes: Sequence[int], index: Sequence[Expr], *, padding: Sequence[int] | None) -> Expr:
    """How many elements of each window count: those of the image, with `padding` (before and after) those too."""
    total: Expr = te.Const(1, "int64")
    rank = len(sizes)
    for d in range(rank):
        low = -padding[d] if padding is not None else 0
        high = sizes[d] + (padding[rank + d] if padding is not None else 0)
        start = index[d] * window.strides[d] - window.before[d]
        dilation = window.dilations[d]
        # The first and last steps k with low <= start + k · dilation < high.
        first = te.maximum((low - start + dilation - 1) // dilation, 0)
        last = te.minimum((high - 1 - start) // dilation, window.kernel[d] - 1)
        total = total * (last - first + 1)
    return total


def global_kernel(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[2:])


def elements(window: Geometry) -> int:
    return prod(window.kernel)
