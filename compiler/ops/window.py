"""The window of a convolution or pooling node."""

from __future__ import annotations

from ..graph import Node
from ..window import Window
from .registry import refuse

__all__ = ["window_of"]


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
    if min(pads) < 0:
        raise refuse(node, f"its pads must not be negative: {list(pads)}")
    auto = node.get("auto_pad", "NOTSET")
    spans = []
    for axis in range(2):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            count = -(-image[2 + axis] // strides[axis])
            total = max((count - 1) * strides[axis] + reach - image[2 + axis], 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            spans.append((before, total - before, count))
            continue
        before, after = (0, 0) if auto == "VALID" else (pads[axis], pads[2 + axis])
        room = image[2 + axis] + before + after - reach
        count = room // strides[axis] + 1
        if node.get("ceil_mode", 0) and room % strides[axis] and count * strides[axis] < image[2 + axis] + before:
            after += strides[axis] - room % strides[axis]
            count += 1
        if room < 0:
            raise refuse(
                node, f"its window of {reach} does not fit {image[2 + axis]} elements with pads {before} and {after}"
            )
        spans.append((before, after, count))
    (top, bottom, rows), (left, right, columns) = spans
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (top, left, bottom, right),
        (rows, columns),
    )
