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
        """By way of the padded image with its channels innermost, in which a row of a window is one run."""
        image = arguments[0]
        assert image is not None
        n, channels = image.shape[:2]
        window = self._window(node, image.shape)
        (down, right), (step_down, step_right) = window.strides, window.dilations
        pixels = _pixels(image, window, node["fill"])
        run = window.kernel[1] * channels

        def element(b: Any, channel: Any, row: Any, column: Any) -> Any:
            y, rest = row * down + channel // run * step_down, channel % run
            if step_right > 1:
                rest = rest // channels * (step_right * channels) + rest % channels
            flat = ((b * pixels.shape[1] + y) * pixels.shape[2] + column * right) * channels + rest
            return pixels[te.unravel(flat, pixels.shape)]

        return [te.compute((n, window.kernel[0] * run, *window.output), element)]


def _pixels(image: te.Tensor, window: Window, fill: int) -> te.Tensor:
    """[N][rows][columns][C]: all that windows see, and a row more, so that two rows may be read at once."""
    n, channels, height, width = image.shape
    top, left = window.pads[:2]
    rows, columns = (
        (count - 1) * stride + reach
        for count, stride, reach in zip(window.output, window.strides, window.reach, strict=True)
    )

    def element(b: Any, row: Any, column: Any, channel: Any) -> Any:
        y, x = row - top, column - left
        inside = te.all_of(y >= 0, y < height, x >= 0, x < width)
        return te.where(inside, image[b, channel, y, x], fill)

    return te.compute((n, rows + window.dilations[0], columns, channels), element, kept=True)
