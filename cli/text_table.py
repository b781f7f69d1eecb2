"""Tables as plain text, at once: a short run should not wait for a library that can do more."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Column", "encodable", "text_table"]

_GAP = "  "
_ASCII = {ord("─"): "-", ord("…"): "~"}


@dataclass(frozen=True)
class Column:
    """How a column is set.

    Members
    -------
    most
        Longer texts are cut to so many characters.
    least
        How far a column may be narrowed where the table is too wide.
    """

    heading: str
    right: bool = False
    most: int = sys.maxsize
    least: int = sys.maxsize


def text_table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], last: Sequence[str], width: int
) -> str:
    """`rows` below headings and a rule, and the row `last` after a gap; as wide as `width`, wider where it must be."""
    headings = [column.heading for column in columns]
    widths = _widths(columns, [headings, *rows, last], width)

    def line(cells: Sequence[str]) -> str:
        return " " + _GAP.join(map(_set, cells, columns, widths)).rstrip()

    rule = " " + "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    return "\n".join([title, "", line(headings), rule, *map(line, rows), "", line(last), ""])


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    widths = [
        min(column.most, max(map(len, cells))) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) + 1 - width
    for place, column in enumerate(columns):
        narrowed = max(min(column.least, widths[place]), widths[place] - max(excess, 0))
        excess -= widths[place] - narrowed
        widths[place] = narrowed
    return widths


def _set(cell: str, column: Column, width: int) -> str:
    shown = cell if len(cell) <= width else cell[: width - 1] + "…"
    return shown.rjust(width) if column.right else shown.ljust(width)


def encodable(text: str) -> str:
    """`text` as standard output can show it."""
    encoding = sys.stdout.encoding or "ascii"
    if not encoding.lower().startswith("utf"):
        text = text.translate(_ASCII)
    return text.encode(encoding, "replace").decode(encoding)
