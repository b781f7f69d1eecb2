"""Integer arithmetic as docs/isa.md states it, on arrays of any shape."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SCALE_ENTRY", "clamp", "requantise", "wrap"]

Integers = NDArray[np.int64]

SCALE_ENTRY = np.dtype([("multiplier", "<i4"), ("left", "u1"), ("right", "u1"), ("mode", "u1"), ("unused", "u1")])


def wrap(values: ArrayLike, bits: int = 32) -> Integers:
    """int64: `values` modulo 2^bits, as signed numbers."""
    half = np.int64(1 << (bits - 1))
    return (np.asarray(values, dtype=np.int64) + half & np.int64((1 << bits) - 1)) - half


def clamp(values: Integers, minimum: int, maximum: int) -> Integers:
    return np.minimum(np.maximum(values, minimum), maximum)


def requantise(values: Integers, scale: NDArray[Any], multiplier_bits: int) -> Integers:
    """int64, signed 32-bit numbers: `values` times what `scale`, of dtype SCALE_ENTRY, says.

    Parameters
    ----------
    values
        Signed 32-bit numbers, int64. Broadcasts with `scale`.
    multiplier_bits
        The configuration's; the product is taken relative to ``2 ** (multiplier_bits - 1)``.
    """
    multiplier = wrap(scale["multiplier"], multiplier_bits)
    left = (scale["left"] & 31).astype(np.int64)
    right = (scale["right"] & 31).astype(np.int64)
    product = wrap(np.asarray(values, dtype=np.int64) << left) * multiplier
    double = _rounding_shift(wrap(_doubling_high(product, multiplier_bits)), right)
    single = product + (np.int64(1) << (multiplier_bits - 2 + right)) >> (multiplier_bits - 1 + right)
    return wrap(np.where(scale["mode"] & 1, single, double))


def _doubling_high(product: Integers, multiplier_bits: int) -> Integers:
    nudge = 1 << (multiplier_bits - 2)
    nudged = product + np.where(product >= 0, nudge, 1 - nudge)
    magnitude = np.abs(nudged) >> (multiplier_bits - 1)
    return np.where(nudged >= 0, magnitude, -magnitude)


def _rounding_shift(values: Integers, shift: Integers) -> Integers:
    """`values` / 2^shift to nearest, halves away from zero."""
    half = (np.int64(1) << shift) >> 1
    magnitude: Integers = np.abs(values) + half >> shift
    return np.where(values >= 0, magnitude, -magnitude)
