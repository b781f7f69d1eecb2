"""Which bytes of the activations segment each tensor has, and when they are free again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...isa.registers import SEGMENT_ALIGNMENT

__all__ = ["Lifetime", "plan_memory"]


@dataclass(frozen=True)
class Lifetime:
    """A tensor of `nbytes` bytes that is needed during steps `first` to `last`, inclusive."""

    name: str
    nbytes: int
    first: int
    last: int


def plan_memory(lifetimes: Sequence[Lifetime]) -> tuple[dict[str, int], int]:
    """(offset of each tensor, bytes in all). Largest first, each at the lowest place that is free while it lives."""
    placed: list[tuple[int, int, Lifetime]] = []
    for tensor in sorted(lifetimes, key=lambda entry: (-entry.nbytes, entry.first, entry.name)):
        size = -(-tensor.nbytes // SEGMENT_ALIGNMENT) * SEGMENT_ALIGNMENT
        offset = 0
        for start, end, other in sorted(placed, key=lambda entry: entry[0]):
            meets = other.first <= tensor.last and tensor.first <= other.last
            if meets and start < offset + size and offset < end:
                offset = end
        placed.append((offset, offset + size, tensor))
    return {tensor.name: start for start, _, tensor in placed}, max((end for _, end, _ in placed), default=0)
