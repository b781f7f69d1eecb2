"""The last step of every integer operator: wide results become int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import te

__all__ = ["Output"]


@dataclass(frozen=True, eq=False)
class Output:
    """Add `zero_point`, limit to [`minimum`, `maximum`], then look up.

    Members
    -------
    table
        int8 (256,): the element x becomes that at x + 128; None where results stay as they are.
    """

    zero_point: int = 0
    minimum: int = -128
    maximum: int = 127
    table: np.ndarray | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Output:
        """From a node's attributes."""
        limits = (attributes["y_zero"], attributes["minimum"], attributes["maximum"])
        return cls(*limits, attributes.get("table"))

    def apply(self, wide: np.ndarray) -> np.ndarray:
        """Integers → int8, of the same shape."""
        limited = np.clip(wide + self.zero_point, self.minimum, self.maximum)
        return np.asarray(limited.astype(np.int8) if self.table is None else self.table[limited.astype(np.int64) + 128])

    def expression(self, wide: te.Tensor) -> te.Tensor:
        """The same of int32, as a tensor expression."""
        limits = (self.minimum, self.maximum)
        if self.table is None:
            return te.compute(wide.shape, lambda *i: te.clamp(wide[i] + self.zero_point, *limits).astype("int8"))
        table = te.constant(self.table)
        return te.compute(wide.shape, lambda *i: table[te.clamp(wide[i] + self.zero_point, *limits) + 128])
