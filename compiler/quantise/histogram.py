"""Streaming histograms: bounded memory however many samples there are, and the same result in whatever order."""

from __future__ import annotations

from math import frexp

import numpy as np

__all__ = ["Histogram"]

_HALF = 4096


class Histogram:
    """How often a tensor's elements fall into bins of equal width 2^k from −4096 · 2^k to 4096 · 2^k.

    Where an element lies outside, neighbouring bins are merged two by two and k grows; since that is exact, the result
    does not depend on the order of the samples. At least half of the bins of one side are in use.

    Members
    -------
    low, high
        Smallest and largest element; infinite (the wrong way round) before the first.
    total
        Number of elements.
    """

    def __init__(self) -> None:
        self.low, self.high, self.total = float("inf"), float("-inf"), 0
        self._exponent: int | None = None
        self._counts = np.zeros(2 * _HALF, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count every element of `values`, which are finite."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high, self.total = min(self.low, low), max(self.high, high), self.total + values.size
        largest = max(-low, high)
        needed = frexp(largest / _HALF)[1] if largest > 0 else None
        if needed is None and self._exponent is None:
            self._counts[_HALF] += values.size
            return
        if needed is not None:
            self._widen(needed)
        assert self._exponent is not None
        places = np.floor(np.ldexp(values.reshape(-1).astype(np.float64), -self._exponent)).astype(np.int64)
        self._counts += np.bincount(places + _HALF, minlength=2 * _HALF)

    def _widen(self, exponent: int) -> None:
        """Bins of width 2^exponent at least."""
        if self._exponent is None:
            self._exponent = exponent
        while self._exponent < exponent:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.zeros(2 * _HALF, np.int64)
            self._counts[_HALF // 2 : _HALF // 2 + _HALF] = pairs
            self._exponent += 1

    @property
    def width(self) -> float:
        """Of a bin; 0 where every element is 0."""
        return 0.0 if self._exponent is None else float(np.ldexp(1.0, self._exponent))

    def bins(self) -> tuple[np.ndarray, np.ndarray]:
        """(lower edges, counts) of the bins from the first to the last that is not empty."""
        used = np.flatnonzero(self._counts)
        first, last = (int(used[0]), int(used[-1])) if used.size else (_HALF, _HALF - 1)
        places = np.arange(first, last + 1)
        return (places - _HALF) * self.width, self._counts[first : last + 1]
