"""Affine loop nests: the one shape that every instruction has."""

from dataclasses import dataclass
from math import prod

import numpy as np

__all__ = ["Access", "Nest"]


@dataclass(frozen=True)
class Nest:
    """Loop bounds, outermost first.

    Members
    -------
    points
        How often the body runs.
    """

    bounds: tuple[int, ...]

    @property
    def points(self) -> int:
        return prod(self.bounds)


@dataclass(frozen=True)
class Access:
    """``base + Σ strides[d] · index[d]`` over a nest of as many loops."""

    base: int
    strides: tuple[int, ...]

    def span(self, nest: Nest) -> tuple[int, int]:
        """The lowest and highest address that the nest reaches, both inclusive."""
        steps = [(bound - 1) * stride for bound, stride in zip(nest.bounds, self.strides, strict=True)]
        return self.base + sum(s for s in steps if s < 0), self.base + sum(s for s in steps if s > 0)

    def addresses(self, nest: Nest) -> np.ndarray:
        """int64, shape ``nest.bounds``: the address at every point."""
        total = np.full(nest.bounds, self.base, dtype=np.int64)
        for axis, (bound, stride) in enumerate(zip(nest.bounds, self.strides, strict=True)):
            shape = [1] * len(nest.bounds)
            shape[axis] = bound
            total += (np.arange(bound, dtype=np.int64) * stride).reshape(shape)
        return total
