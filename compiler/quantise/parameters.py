"""Scales and zero points of tensors and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Quantisation

__all__ = ["QuantisedWeight", "quantisation_of", "quantise_weight", "restored"]

_LOWEST, _HIGHEST = -128, 127
_MOST_WEIGHT = 127
_MOST_BIAS = float(1 << 29)
_SMALLEST = 1e-30


def quantisation_of(low: float, high: float) -> Quantisation:
    """int8 for the real numbers from `low` to `high` (low ≤ 0 ≤ high): the scale is a float32, 0 is one of its steps.

    Where both are 0, or as good as, the scale is 1.
    """
    span = high - low
    if span < _SMALLEST:
        return Quantisation(1.0, 0)
    scale = float(np.float32(span / (_HIGHEST - _LOWEST)))
    zero = int(np.clip(np.rint(_LOWEST - low / scale), _LOWEST, _HIGHEST))
    return Quantisation(scale, zero)


def restored(values: np.ndarray, quantisation: Quantisation) -> np.ndarray:
    """float32 `values`, quantised and back again."""
    scale, zero = np.float32(quantisation.scale), quantisation.zero_point
    steps = np.clip(np.rint(values / scale), _LOWEST - zero, _HIGHEST - zero)
    return np.asarray(steps.astype(np.float32) * scale)


@dataclass(frozen=True)
class QuantisedWeight:
    """int8 `data` with zero point 0, and a float32 scale for each output, which lies along `axis`."""

    data: np.ndarray
    scale: np.ndarray
    axis: int

    @property
    def real(self) -> np.ndarray:
        shape = [-1 if axis == self.axis else 1 for axis in range(self.data.ndim)]
        return np.asarray(self.data.astype(np.float32) * self.scale.reshape(shape))


def quantise_weight(weight: np.ndarray, axis: int, *, bias: np.ndarray | None, x_scale: float) -> QuantisedWeight:
    """`weight` symmetrically, output for output, so that its largest element is 127.

    The scale is raised where the output's `bias` in units of x_scale · scale would not fit 32 bits with room to spare.
    """
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    scale = np.abs(rows).max(axis=1, initial=0.0).astype(np.float64) / _MOST_WEIGHT
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias.astype(np.float64)) / x_scale / _MOST_BIAS)
    scale = np.where(scale < _SMALLEST, max(float(scale.max(initial=0.0)), _SMALLEST), scale).astype(np.float32)
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
    steps = np.rint(weight / scale.reshape(shape).astype(np.float64))
    return QuantisedWeight(np.clip(steps, -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.int8), scale, axis)
