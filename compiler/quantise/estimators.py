"""Range estimators: from what a tensor held during calibration to the real numbers that its integers span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from .histogram import Histogram

__all__ = ["ESTIMATORS", "Estimator", "estimate"]

Estimator = Literal["min-max", "percentile", "mse", "entropy"]
Range = tuple[float, float]

_LEVELS = 256
_CANDIDATES = 96
_NARROWEST = 0.1


def estimate(histogram: Histogram, estimator: Estimator, *, percentile: float = 99.99) -> Range:
    """(lowest, highest) real number to represent, 0 among them.

    Parameters
    ----------
    estimator
        ``min-max``: all that was seen. ``percentile``: without the outermost elements, as many on both sides.
        ``mse``: what makes the mean squared error of rounding and clipping together least. ``entropy``: what makes the
        Kullback–Leibler divergence of the quantised distribution from the real one least (Migacz 2017).
    percentile
        Of the elements, in percent, that ``percentile`` keeps.
    """
    if not histogram.total or histogram.low == histogram.high == 0.0:
        return 0.0, 0.0
    low, high = _FUNCTIONS[estimator](histogram, percentile / 100)
    return min(low, 0.0), max(high, 0.0)


def _min_max(histogram: Histogram, _: float) -> Range:
    return histogram.low, histogram.high


def _percentile(histogram: Histogram, share: float) -> Range:
    """Both tails together hold 1 − `share` of the elements; within a bin they count as evenly spread."""
    edges, counts = histogram.bins()
    ends = np.append(edges, edges[-1] + histogram.width)
    below = np.concatenate(([0], np.cumsum(counts))) / histogram.total
    tail = (1 - share) / 2
    if histogram.low >= 0 or histogram.high <= 0:
        tail = 1 - share
    low = float(np.interp(tail, below, ends)) if histogram.low < 0 else 0.0
    high = float(np.interp(1 - tail, below, ends)) if histogram.high > 0 else 0.0
    return max(low, histogram.low), min(high, histogram.high)


def _mse(histogram: Histogram, _: float) -> Range:
    """Both ends shrink together first, then each by itself."""
    edges, counts = histogram.bins()
    centres = np.clip(edges + histogram.width / 2, histogram.low, histogram.high)
    used = counts > 0
    centres, counts = centres[used], counts[used]
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)

    def best(ranges: list[Range]) -> Range:
        return min(ranges, key=lambda ends: _squared_error(centres, counts, *ends))

    factors = np.linspace(1.0, _NARROWEST, _CANDIDATES).tolist()
    low, high = best([(low * factor, high * factor) for factor in factors])
    if low < 0 < high:
        low, high = best([(low * factor, high) for factor in factors])
        low, high = best([(low, high * factor) for factor in factors])
    return low, high


def _squared_error(centres: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / (_LEVELS - 1)
    zero = np.rint(-low / step)
    places = np.clip(np.rint(centres / step) + zero, 0, _LEVELS - 1)
    return float(counts @ np.square((places - zero) * step - centres))


def _entropy(histogram: Histogram, _: float) -> Range:
    """Limits on the absolute value, from a tenth of the largest up."""
    largest = max(-histogram.low, histogram.high)
    limits = (largest * np.linspace(1.0, _NARROWEST, _CANDIDATES)).tolist()
    ranges = [(max(min(histogram.low, 0.0), -limit), min(max(histogram.high, 0.0), limit)) for limit in limits]
    return min(ranges, key=lambda ends: _divergence(histogram, *ends))


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    """KL divergence of the elements, clipped to a range, from the same spread evenly over each of its integer levels.

    Zeros are left out: they are represented exactly, and would outweigh all else behind a ReLU.
    """
    edges, counts = histogram.bins()
    first, last = (int(np.floor((end - edges[0]) / histogram.width)) for end in (low, high))
    places = np.clip(np.arange(len(counts)), first, last) - first
    inside = places + first == np.arange(len(counts))
    size = last - first + 1
    values = np.where(edges == 0.0, 0, counts).astype(np.float64)
    real, spread = np.bincount(places, values, size), np.bincount(places, values * inside, size)
    levels = np.arange(size) * min(_LEVELS, size) // size
    occupied = spread > 0
    shares = np.bincount(levels, spread) / np.maximum(np.bincount(levels, occupied), 1)
    quantised = np.where(occupied, shares[levels], 0.0)
    if not quantised.sum():
        return np.inf
    p, q = _smoothed(real / real.sum()), _smoothed(quantised / quantised.sum())
    return float(np.sum(p * np.log(p / q)))


def _smoothed(distribution: np.ndarray, least: float = 1e-7) -> np.ndarray:
    """No probability is 0."""
    raised = np.maximum(distribution, least)
    return np.asarray(raised / raised.sum())


_FUNCTIONS: dict[Estimator, Callable[[Histogram, float], Range]] = {
    "min-max": _min_max,
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}
ESTIMATORS = tuple(_FUNCTIONS)
