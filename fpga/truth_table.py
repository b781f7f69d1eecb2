"""Look-up tables as expressions: a table's bits, and the names of its inputs, to Verilog."""

from collections.abc import Sequence
from functools import cache

__all__ = ["table_expression"]

_CONSTANTS = {"1'b0": 0, "1'b1": 1}


def table_expression(table: int, inputs: Sequence[str]) -> str:
    """Verilog, in brackets where it must be, for the bit of `table` that `inputs` number.

    Parameters
    ----------
    table
        Bit k is the answer where the inputs, the first of them lowest, read k.
    inputs
        Expressions of one bit; ``1'b0`` and ``1'b1`` are known to be constant.
    """
    free: list[str] = []
    for place, name in reversed(list(enumerate(inputs))):
        if name in _CONSTANTS:
            table = _halves(table, place, free_below=place + len(free))[_CONSTANTS[name]]
        else:
            free.insert(0, name)
    text, _ = _shortest(table, len(free))
    return text.format(*free)


def _halves(table: int, place: int, *, free_below: int) -> tuple[int, int]:
    """The tables for input `place` at 0 and at 1, of one input less; the table has `free_below` + 1 inputs."""
    low = high = 0
    for row in range(1 << free_below):
        above, below = row >> place, row & (1 << place) - 1
        whole = above << place + 1 | below
        low |= (table >> whole & 1) << row
        high |= (table >> (whole | 1 << place) & 1) << row
    return low, high


@cache
def _shortest(table: int, inputs: int) -> tuple[str, int]:
    """Expression with ``{k}`` for input k, and how many operators it has: split by the input that gives the fewest."""
    full = (1 << (1 << inputs)) - 1
    if table in (0, full):
        return f"1'b{int(table != 0)}", 0
    return min((_split(table, inputs, place) for place in range(inputs)), key=lambda found: (found[1], found[0]))


def _split(table: int, inputs: int, place: int) -> tuple[str, int]:
    """The same, split by one input: f = input ? high : low."""
    low, high = _halves(table, place, free_below=inputs - 1)
    full = (1 << (1 << inputs - 1)) - 1
    one = f"{{{place}}}"
    (low_text, low_cost), (high_text, high_cost) = (_renumbered(half, inputs - 1, place) for half in (low, high))
    if low == high:
        return low_text, low_cost
    if (low, high) == (0, full):
        return one, 0
    if (low, high) == (full, 0):
        return f"~{one}", 1
    if low == high ^ full:
        return f"({one} ^ {low_text})", low_cost + 1
    if low == 0:
        return f"({one} & {high_text})", high_cost + 1
    if high == full:
        return f"({one} | {low_text})", low_cost + 1
    if high == 0:
        return f"(~{one} & {low_text})", low_cost + 2
    if low == full:
        return f"(~{one} | {high_text})", high_cost + 2
    return f"({one} ? {high_text} : {low_text})", low_cost + high_cost + 2


def _renumbered(table: int, inputs: int, gone: int) -> tuple[str, int]:
    """As :func:`_shortest`, with the numbers of the inputs before number `gone` was taken out."""
    text, cost = _shortest(table, inputs)
    return text.format(*(f"{{{place + (place >= gone)}}}" for place in range(inputs))), cost
