"""What integer operators over windows of an image share: shapes, and how the accelerator reads the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...config import Config
from ..graph import Node, Value
from ..schedule.resident import Reading
from ..window import Window
from .registry import Operator, Signature
from .window import window_of

__all__ = ["SlidingOperator"]


class SlidingOperator(Operator):
    """int8 (N, C, H, W) → int8 (N, C, OH, OW), channel by channel."""

    accelerated = True

    def _window(self, node: Node, shape: tuple[int, ...]) -> Window:
        return window_of(node, shape, tuple(node["kernel_shape"]))

    def _padding(self, node: Node) -> int:
        """What the windows see outside the image."""
        raise NotImplementedError

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        image = arguments[0]
        assert image is not None
        window = self._window(node, image.known_shape)
        return [Signature((*image.known_shape[:2], *window.output), np.dtype(np.int8))]

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        assert arguments[0] is not None
        return Reading(self._window(node, arguments[0].known_shape), self._padding(node))
