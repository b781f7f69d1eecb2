"""Weights less their zero points have nine bits; engines multiply by eight: what is multiplied instead."""

from __future__ import annotations

import numpy as np

from ..requantise import Requantiser

__all__ = ["eight_bit_parts", "scale_cells", "shifted_to_eight_bits"]


def eight_bit_parts(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parts that add up to `weight`, and a sign for each output channel.

    Parameters
    ----------
    weight
        Integers from −255 to 255, (O, …); within a channel they span at most 255.

    Returns
    -------
    parts
        int8 (P, O, …): their sum over P is `weight` times the channel's sign. P is 1 where int8 holds all of it.
    signs
        int64 (O,), 1 or −1: −1 where 255 occurs, which two int8 can't make up, while −255 they can.
    """
    wide = weight.astype(np.int64)
    signs = np.where(wide.reshape(len(wide), -1).max(axis=1) > 254, -1, 1)
    rest = wide * signs.reshape(-1, *(1,) * (wide.ndim - 1))
    parts = [np.clip(rest, -128, 127)]
    if np.any(rest != parts[0]):
        parts.append(rest - parts[0])
    return np.stack(parts).astype(np.int8), signs


def shifted_to_eight_bits(weight: np.ndarray) -> tuple[np.ndarray, int] | None:
    """(int8 weights, their zero point) of `weight`, or None where it spans more than 255."""
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if high - low > 255:
        return None
    zero = max(-128 - low, 0) + min(127 - high, 0)
    return (weight.astype(np.int64) + zero).astype(np.int8), zero


def scale_cells(requantiser: Requantiser, count: int, channels: int) -> np.ndarray:
    """uint8 (`channels`, 8): SCALE entries, of which those after the first `count` have the factor 0."""
    cells = np.frombuffer(requantiser.cells(channels), dtype=np.uint8).reshape(channels, 8).copy()
    cells[count:, :4] = 0
    return cells
