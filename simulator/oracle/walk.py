"""Addresses of an affine nest for any set of its points, so that no nest is ever laid out whole."""

from collections.abc import Sequence

import numpy as np

from ...isa.nest import Access

__all__ = ["at_points", "indices"]


def indices(bounds: Sequence[int], points: np.ndarray) -> list[np.ndarray | int]:
    """The index of every loop, outermost first, at `points` numbered in lexicographic order."""
    result: list[np.ndarray | int] = []
    for bound in reversed(bounds):
        if bound == 1:
            result.append(0)
            continue
        result.append(points % bound)
        points = points // bound
    return result[::-1]


def at_points(access: Access, bounds: Sequence[int], points: np.ndarray) -> np.ndarray:
    """int64: the address of `access` at `points` numbered in lexicographic order."""
    address = np.full(points.shape, access.base, dtype=np.int64)
    for stride, index in zip(access.strides, indices(bounds, points), strict=True):
        address += stride * index
    return address
