"""What a window sees, side by side as channels: it lets few channels fill the array's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from ..window import Window
from .registry import Arrays, Operator, Signature, operator
from .window import window_of


@operator("im2col")
class Im2col(Operator):
    """(N, C, H, W) → (N, KH · KW · C, OH, OW), for a kernel KH × KW with the attributes of a convolution.

    Channel (i · KW + j) · C + c is what tap (i, j) of the window sees of channel c; outside the image that is `fill`.
    """

    def _window(self, node: Node, shape: tuple[int, ...]) -> Window:
        return window_of(node, shape, tuple(node["kernel_shape"]))

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image = arguments[0]
        assert image is not None
        window = self._window(node, image.known_shape)
        taps = window.kernel[0] * window.kernel[1]
        shape = (image.known_shape[0], taps * image.known_shape[1], *window.output)
        return [Signature(shape, image.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        views = self._window(node, image.shape).views(image, node["fill"]).transpose(0, 4, 5, 1, 2, 3)
        return [views.reshape(len(image), -1, *views.shape[4:])]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        n, channels, height, width = image.shape
        window = self._window(node, image.shape)
        (down, right), (step_down, step_right), (top, left) = window.strides, window.dilations, window.pads[:2]
        across = window.kernel[1]

        def element(b: Any, channel: Any, row: Any, column: Any) -> Any:
            tap = channel // channels
            y = row * down + tap // across * step_down - top
            x = column * right + tap % across * step_right - left
            inside = te.all_of(y >= 0, y < height, x >= 0, x < width)
            return te.where(inside, image[b, channel % channels, y, x], node["fill"])

        return [te.compute((n, window.kernel[0] * across * channels, *window.output), element)]
