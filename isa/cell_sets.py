"""Sets of addresses as whole numbers: what a nest touches is built, joined and compared in a few operations on them."""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from ..errors import ProgramError

__all__ = ["CellSet", "common", "meet", "nest_cells", "union", "without"]

_PATTERNS = 1 << 12
_LARGEST_RING = 1 << 20


class CellSet(NamedTuple):
    """Address ``low + n`` belongs to it where bit n of `bits` is set.

    Members
    -------
    low
        Not below 0, and not above the lowest address.
    """

    low: int
    bits: int

    def addresses(self) -> np.ndarray:
        """int64, ascending."""
        raw = self.bits.to_bytes(-(-self.bits.bit_length() // 8), "little")
        return np.flatnonzero(np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")) + self.low


def meet(a: CellSet, b: CellSet) -> bool:
    """Whether any address belongs to both."""
    ahead = b.low - a.low
    return bool(a.bits >> ahead & b.bits if ahead >= 0 else b.bits >> -ahead & a.bits)


def common(a: CellSet, b: CellSet) -> CellSet:
    """The addresses that belong to both."""
    low = max(a.low, b.low)
    return CellSet(low, (a.bits >> low - a.low) & (b.bits >> low - b.low))


def union(a: CellSet, b: CellSet) -> CellSet:
    """The addresses that belong to either."""
    low = min(a.low, b.low)
    return CellSet(low, a.bits << a.low - low | b.bits << b.low - low)


def without(a: CellSet, b: CellSet) -> CellSet:
    """The addresses of `a` that do not belong to `b`."""
    ahead = b.low - a.low
    return CellSet(a.low, a.bits & ~(b.bits << ahead if ahead >= 0 else b.bits >> -ahead))


def nest_cells(
    base: int, bounds: tuple[int, ...], strides: tuple[int, ...], *, size: int, width: int = 1, run: int = 1
) -> CellSet:
    """The addresses that a nest reaches, modulo `size`.

    Parameters
    ----------
    width
        A power of two that divides `size`: every address stands for all of its group of `width` aligned neighbours.
    run
        Every address stands for this many from it on.

    Raises
    ------
    ProgramError
        It leaves a memory of more than 2^20, which no legal nest does.
    """
    phase = base % width
    make = _pattern if size <= _LARGEST_RING else _pattern.__wrapped__  # patterns of DRAM are long and rarely the same
    pattern = make(bounds, strides, phase, width, run, size)
    if pattern is not None:
        low = base - phase + pattern[0]
        if low >= 0 and low + pattern[1].bit_length() <= size:
            return CellSet(low, pattern[1])
    if size > _LARGEST_RING:
        raise ProgramError(f"a transfer must stay below byte 2^32 of its segment, not start at {base} of {size} units")
    ring = _in_ring(1 << base % size, (*bounds, run), (*strides, 1), size)
    return CellSet(0, _in_groups(ring, width))


@lru_cache(_PATTERNS)
def _pattern(
    bounds: tuple[int, ...], strides: tuple[int, ...], phase: int, width: int, run: int, size: int
) -> tuple[int, int] | None:
    """Lowest address and bits of a nest that starts at `phase`; None where it can't lie within `size`."""
    steps = [(bound, stride) for bound, stride in zip(bounds, strides, strict=True) if bound > 1 and stride]
    if sum((bound - 1) * abs(stride) for bound, stride in steps) + run > size:
        return None
    low = phase + sum((bound - 1) * stride for bound, stride in steps if stride < 0)
    bits = (1 << run) - 1
    for bound, stride in steps:
        have = 1
        while have < bound:
            more = min(have, bound - have)
            bits |= bits << more * abs(stride)
            have += more
    return low - low % width, _in_groups(bits << low % width, width)


def _in_ring(bits: int, bounds: tuple[int, ...], strides: tuple[int, ...], size: int) -> int:
    """`bits`, which are addresses below `size`, moved along every loop, modulo `size`."""
    everything = (1 << size) - 1
    for bound, stride in zip(bounds, strides, strict=True):
        have = 1
        while have < bound:
            more = min(have, bound - have)
            moved = bits << more * stride % size
            bits |= moved & everything | moved >> size
            have += more
    return bits


def _in_groups(bits: int, width: int) -> int:
    """Every aligned group of `width` bits of which one is set, set as a whole."""
    step = 1
    while step < width:
        bits |= bits >> step
        step *= 2
    if width > 1:
        bits &= _every(-(-bits.bit_length() // width), width)
    step = 1
    while step < width:
        bits |= bits << step
        step *= 2
    return bits


@cache
def _every(count: int, width: int) -> int:
    return sum(1 << width * n for n in range(count))
