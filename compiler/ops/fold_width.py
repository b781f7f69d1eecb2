"""The columns that a window sees, side by side as channels: what lets few channels fill the array's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from .registry import Arrays, Operator, Signature, operator


@operator("fold_width")
class FoldWidth(Operator):
    """(N, C, H, W) → (N, taps · C, H, width).

    Channel tap · C + c at column x is channel c at column x · stride + tap · dilation − pad; outside the
    image it is `fill`.
    """

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image = arguments[0]
        assert image is not None
        n, channels, height, _ = image.known_shape
        return [Signature((n, node["taps"] * channels, height, node["width"]), image.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        image = arguments[0]
        assert image is not None
        columns = np.arange(node["width"]) * node["stride"] - node["pad"]
        parts = []
        for tap in range(node["taps"]):
            places = columns + tap * node["dilation"]
            inside = (places >= 0) & (places < image.shape[3])
            part = image[..., np.clip(places, 0, image.shape[3] - 1)]
            parts.append(np.where(inside, part, image.dtype.type(node["fill"])))
        return [np.concatenate(parts, axis=1)]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        image = arguments[0]
        assert image is not None
        n, channels, height, width = image.shape

        def element(b: Any, channel: Any, row: Any, column: Any) -> Any:
            place = column * node["stride"] + channel // channels * node["dilation"] - node["pad"]
            value = image[b, channel % channels, row, place]
            return te.where(te.all_of(place >= 0, place < width), value, node["fill"])

        return [te.compute((n, node["taps"] * channels, height, node["width"]), element)]
