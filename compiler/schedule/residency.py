"""What lies in an on-chip memory: places by key, reused where the content is still there."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

__all__ = ["Fixed", "Region"]


@dataclass(frozen=True)
class Fixed:
    """A place that is known: what lies there is the planner's affair."""

    base: int

    size: int = 0

    def holds(self, key: Hashable) -> bool:
        return True

    def place(self, key: Hashable, size: int, pinned: Collection[Hashable] = ()) -> tuple[int, bool]:
        return self.base, True


@dataclass
class _Resident:
    base: int
    size: int
    last_use: int


class Region:
    """Cells [base, base + size) of a memory, shared by things with keys.

    A thing that does not fit beside the others pushes out those that were used longest ago.

    Parameters
    ----------
    step
        Places start at multiples of it, for instance at banks.
    """

    def __init__(self, base: int, size: int, step: int = 1) -> None:
        self.base = base
        self.size = size
        self.step = step
        self._residents: dict[Hashable, _Resident] = {}
        self._clock = 0

    def place(self, key: Hashable, size: int, pinned: Collection[Hashable] = ()) -> tuple[int, bool] | None:
        """(address, whether it is there already), or None where only what is `pinned` could make room."""
        self._clock += 1
        resident = self._residents.get(key)
        if resident is not None and resident.size == size:
            resident.last_use = self._clock
            return resident.base, True
        if resident is not None:
            del self._residents[key]
        best: tuple[int, int] | None = None
        for start in self._candidates(size):
            recency = self._recency(start, size, pinned)
            if recency is not None and (best is None or recency < best[0]):
                best = (recency, start)
        if best is None:
            return None
        start = best[1]
        for other in self._overlapping(start, size):
            del self._residents[other]
        self._residents[key] = _Resident(start, size, self._clock)
        return start, False

    def holds(self, key: Hashable) -> bool:
        """Whether `key` has a place."""
        return key in self._residents

    def _candidates(self, size: int) -> list[int]:
        ends = {self.base, *(resident.base + resident.size for resident in self._residents.values())}
        starts = {self.base + -(-(end - self.base) // self.step) * self.step for end in ends}
        return sorted(start for start in starts if start + size <= self.base + self.size)

    def _overlapping(self, start: int, size: int) -> list[Hashable]:
        return [k for k, r in self._residents.items() if r.base < start + size and start < r.base + r.size]

    def _recency(self, start: int, size: int, pinned: Collection[Hashable]) -> int | None:
        """When the youngest that would go was last used; None where one of them is pinned."""
        going = self._overlapping(start, size)
        if any(key in pinned for key in going):
            return None
        return max((self._residents[key].last_use for key in going), default=0)
