"""Into what sizes a loop may be cut."""

from __future__ import annotations

__all__ = ["few_splits", "splits"]


def splits(total: int) -> list[int]:
    """The sizes of pieces when `total` is cut into 1, 2, 3 … as equal as can be, the largest first."""
    return sorted({-(-total // parts) for parts in range(1, total + 1)}, reverse=True)


def few_splits(total: int, most: int) -> list[int]:
    """The `most` largest of them: the smallest pieces are hardly ever worth their overhead."""
    return splits(total)[:most]
