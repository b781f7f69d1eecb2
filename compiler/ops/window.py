"""The window of a convolution or pooling node."""

from __future__ import annotations

from ..graph import Node
from ..window import Window
from .registry import refuse

__all__ = ["window_of"]

_MOST_PADDING = 1024


def window_of(node: Node, image: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Geometry of a convolution or pooling `node` over an (N, C, H, W) `image`.

    Raises
    ------
    UnsupportedOperator
        It is not two-dimensional, or the window does not fit.
    """
    if len(image) != 4 or len(kernel) != 2:
        raise refuse(node, f"it must work on images (4 dimensions), not on shape {list(image)}")
    strides = tuple(node.get("strides", (1, 1)))
    dilations = tuple(node.get("dilations", (1, 1)))
    pads = tuple(node.get("pads", (0, 0, 0, 0)))
    if len(strides) != 2 or len(dilations) != 2 or len(pads) != 4 or min(*strides, *dilations, *kernel) < 1:
        raise refuse(node, "its strides, dilations and pads must be those of an image, and positive")
    (top, bottom, rows), (left, right, columns) = (
        _span(
            node, image[2 + axis], (kernel[axis] - 1) * dilations[axis] + 1, strides[axis], pads[axis], pads[2 + axis]
        )
        for axis in range(2)
    )
    around = (top, left, bottom, right)
    if not 0 <= min(*pads, *around) <= max(*pads, *around) <= _MOST_PADDING:
        raise refuse(node, f"its pads must be from 0 to {_MOST_PADDING}, not {list(pads if any(pads) else around)}")
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        around,
        (rows, columns),
    )


def _span(node: Node, size: int, reach: int, stride: int, before: int, after: int) -> tuple[int, int, int]:
    """(padding before, after, number of windows) along one dimension of `size` elements."""
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        count = -(-size // stride)
        total = max((count - 1) * stride + reach - size, 0)
        before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        return before, total - before, count
    if auto == "VALID":
        before = after = 0
    room = size + before + after - reach
    if room < 0:
        raise refuse(node, f"its window of {reach} must fit {size} elements with pads {before} and {after}")
    count = room // stride + 1
    if node.get("ceil_mode", 0) and room % stride and count * stride < size + before:
        return before, after + stride - room % stride, count + 1
    return before, after, count
