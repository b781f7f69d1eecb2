"""Tensor expressions of the integer operators: one meaning for the accelerator's nests and for the host's loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import te
from .requantise import Requantiser
from .te import layout, nn
from .window import Window

__all__ = ["centred", "convolution", "depthwise", "requantised", "window_reduction", "with_padding"]


def with_padding(x: te.Tensor, window: Window, fill: int) -> te.Tensor:
    """(N, C, H, W) `x` with the window's padding around it."""
    top, left, bottom, right = window.pads
    return layout.pad(x, (0, 0, top, left), (0, 0, bottom, right), fill) if window.padded else x


def convolution(x: te.Tensor, w: te.Tensor, window: Window, x_zero: int = 0) -> te.Tensor:
    """int32 sums of (x − x_zero) · w over an image that has its padding already."""
    return nn.conv2d(x, w, strides=window.strides, dilations=window.dilations, x_zero_point=x_zero)


def depthwise(x: te.Tensor, w: te.Tensor, window: Window, x_zero: int = 0) -> te.Tensor:
    """int32 sums of (x − x_zero) · w, channel by channel; `w` is (C, 1, KH, KW), the image has its padding already."""
    (down, right), (skip_down, skip_right) = window.strides, window.dilations
    i, j = te.reduce_axis(window.kernel[0]), te.reduce_axis(window.kernel[1])

    def element(n: Any, c: Any, row: Any, column: Any) -> Any:
        value = x[n, c, row * down + i * skip_down, column * right + j * skip_right].astype("int32")
        centred = value - x_zero if x_zero else value
        return te.sum(centred * w[c, 0, i, j].astype("int32"), [i, j])

    size = [(x.shape[2 + d] - window.reach[d]) // window.strides[d] + 1 for d in range(2)]
    return te.compute((*x.shape[:2], *size), element)


def window_reduction(x: te.Tensor, window: Window, *, largest: bool) -> te.Tensor:
    """int32 maximum or sum of each window of an image that has its padding already."""
    (down, right), (skip_down, skip_right) = window.strides, window.dilations
    i, j = te.reduce_axis(window.kernel[0]), te.reduce_axis(window.kernel[1])
    fold = te.max if largest else te.sum

    def element(n: Any, c: Any, row: Any, column: Any) -> Any:
        value = x[n, c, row * down + i * skip_down, column * right + j * skip_right]
        return fold(value.astype("int32"), [i, j])

    size = [(x.shape[2 + d] - window.reach[d]) // window.strides[d] + 1 for d in range(2)]
    return te.compute((*x.shape[:2], *size), element)


def requantised(
    x: te.Tensor, requantiser: Requantiser | None, place: Callable[[Sequence[Any]], Any] = lambda index: index[1]
) -> te.Tensor:
    """int32 `x` times a factor, rounded as docs/isa.md has it; `place` tells which one: the channel's."""
    if requantiser is None:
        return x
    down = requantiser.right + (requantiser.bits - 1 if requantiser.single else 0)
    multiplier, left, right = _per_channel(requantiser.multiplier), _per_channel(requantiser.left), _per_channel(down)
    half = _per_channel((np.int64(1) << down) >> 1)

    def element(*index: Any) -> Any:
        channel = place(index) if requantiser.multiplier.size > 1 else 0
        shifted = x[index].astype("int32") << left(channel).astype("int32")
        product = shifted.astype("int64") * multiplier(channel)
        if requantiser.single:
            return ((product + half(channel)) >> right(channel)).astype("int32")
        high = _halved_high(product, requantiser.bits)
        return te.where(
            high >= 0, (high + half(channel)) >> right(channel), -((half(channel) - high) >> right(channel))
        ).astype("int32")

    return te.compute(x.shape, element)


def _halved_high(product: Any, bits: int) -> Any:
    """The high part of a doubled product, rounded as gemmlowp does."""
    half = 1 << (bits - 2)
    nudged = product + te.where(product >= 0, half, 1 - half)
    return te.where(nudged >= 0, nudged >> (bits - 1), -((-nudged) >> (bits - 1)))


def centred(x: te.Tensor, zero: int) -> te.Tensor:
    """int32: 8-bit `x` less its zero point."""
    return te.compute(x.shape, lambda *index: x[index].astype("int32") - zero)


class _per_channel:  # noqa: N801
    """A whole number, or one a channel, by the channel's index."""

    def __init__(self, values: np.ndarray) -> None:
        self._single = te.Const(int(values.flat[0]), "int64") if values.size == 1 else None
        self._table = None if values.size == 1 else te.constant(values.astype(np.int64))

    def __call__(self, channel: Any) -> Any:
        return self._single if self._table is None else self._table[channel]
