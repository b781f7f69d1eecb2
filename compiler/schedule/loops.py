"""Loops over several operands, made to fit the few loops of an instruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

__all__ = ["Loop", "Piece", "fit"]

_MOST_ITERATIONS = (1 << 16) - 1


@dataclass(frozen=True)
class Loop:
    """`bound` iterations; `strides` has one step for each operand."""

    bound: int
    strides: tuple[int, ...]
    reduction: bool = False


@dataclass(frozen=True)
class Piece:
    """One instruction's share.

    Members
    -------
    bases
        What to add to each operand's base.
    first
        Whether all reductions outside the piece stand at their first iteration.
    """

    loops: tuple[Loop, ...]
    bases: tuple[int, ...]
    first: bool

    @property
    def bounds(self) -> list[int]:
        return [loop.bound for loop in self.loops]

    @property
    def reductions(self) -> list[int]:
        return [position for position, loop in enumerate(self.loops) if loop.reduction]

    def strides(self, operand: int) -> list[int]:
        return [loop.strides[operand] for loop in self.loops]


def _merged(loops: Sequence[Loop]) -> list[Loop]:
    """Without loops that run once, and with neighbours that are one loop in every operand."""
    result: list[Loop] = []
    for loop in loops:
        if loop.bound == 1:
            continue
        outer = result[-1] if result else None
        joined = (
            outer is not None and outer.reduction == loop.reduction and outer.bound * loop.bound <= _MOST_ITERATIONS
        )
        if (
            joined
            and outer is not None
            and all(o == i * loop.bound for o, i in zip(outer.strides, loop.strides, strict=True))
        ):
            result[-1] = Loop(outer.bound * loop.bound, loop.strides, loop.reduction)
        else:
            result.append(loop)
    return result


def fit(loops: Sequence[Loop], dims: int) -> Iterator[Piece]:
    """The same iterations, in order, in nests of at most `dims` loops: the rest is unrolled, outermost first."""
    merged = _merged(loops)
    if not merged:
        operands = len(loops[0].strides)
        yield Piece((Loop(1, (0,) * operands),), (0,) * operands, True)
        return
    excess = max(len(merged) - dims, 0)
    outer, inner = merged[:excess], tuple(merged[excess:])
    for indices in product(*(range(loop.bound) for loop in outer)):
        bases = [0] * len(inner[0].strides)
        for index, loop in zip(indices, outer, strict=True):
            bases = [base + index * stride for base, stride in zip(bases, loop.strides, strict=True)]
        first = all(index == 0 for index, loop in zip(indices, outer, strict=True) if loop.reduction)
        yield Piece(inner, tuple(bases), first)
