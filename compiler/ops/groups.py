"""Grouped convolutions as what the integer operators are: depthwise, or one convolution over all channels."""

from __future__ import annotations

from math import prod

import numpy as np

__all__ = ["ungrouped"]

_MOST_WEIGHTS = 1 << 26


def ungrouped(weight: np.ndarray, channels: int) -> tuple[str, np.ndarray]:
    """(integer operator, its weights) of (O, I, KH, KW) over an image of `channels`, `I` of them a group.

    Raises
    ------
    ValueError
        They do not match, or zeros outside the groups would make them too many; the message says which.
    """
    outputs, inputs, *kernel = weight.shape
    groups = channels // inputs
    if channels % inputs or outputs % groups:
        raise ValueError(f"its weights {list(weight.shape)} must match the {channels} channels of its input")
    if groups == 1:
        return "qconv", weight
    if inputs == 1 and outputs == channels:
        return "qdepthwise", weight
    if outputs * channels * prod(kernel) > _MOST_WEIGHTS:
        raise ValueError(f"its groups must be fewer: as one convolution it has over {_MOST_WEIGHTS} weights")
    dense = np.zeros((outputs, channels, *kernel), weight.dtype)
    each = outputs // groups
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        dense[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return "qconv", dense
