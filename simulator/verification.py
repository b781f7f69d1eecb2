"""The tables of docs/verification.md: the cores that random programs run on, and what those programs must reach."""

from pathlib import Path

from ..isa.coverage import bins_by_part, coverage_bins
from ..isa.generated_page import updated
from .campaign import CAMPAIGN

__all__ = ["PATH", "generated"]

PATH = Path(__file__).parents[1] / "docs" / "verification.md"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cores() -> str:
    rows = []
    for name, core in CAMPAIGN.items():
        config = core.config
        shape = f"{config.rows} × {config.block_in} × {config.block_out}"
        room = f"{config.on_chip_bytes / 1024:,.1f} KiB"
        others = f"{config.queue_depth}, {(1 << config.token_bits) - 1}"
        rows.append([f"`{name}`", shape, f"{config.bus_bits} bits", room, others, f"{core.base:#x}"])
    return _table(["core", "rows × in × out", "bus", "on chip", "queue, tokens", "DRAM from"], rows)


def _bins() -> str:
    parts = bins_by_part()
    kinds = list(dict.fromkeys(kind for kind, _ in parts))
    owners = list(dict.fromkeys(owner for _, owner in parts))
    rows = [[f"`{owner}`", *(f"{len(parts.get((kind, owner), ())):,}" for kind in kinds)] for owner in owners]
    return _table(["", *kinds], rows)


def generated() -> str:
    """Markdown."""
    return (
        "### The cores\n\n"
        f"Random programs run on {len(CAMPAIGN)} cores, a share of them on each; a soak adds cores drawn at random.\n\n"
        f"{_cores()}\n"
        "### The bins\n\n"
        f"{len(coverage_bins()):,} bins follow from the instruction table; a soak that leaves out one fails.\n\n"
        "- `fields`: values of choices, corner values of numbers, every mask of tokens; where they count.\n"
        "- `loops`: which loops of a nest are real, and which of them are reduced.\n"
        "- `walks`: each operand, in each memory and function, × loop depth × corner: at the first or last cell,\n"
        "  beyond the memory's end, standing still, dense, backwards, repeating.\n"
        "- `order`: which instruction follows which in the queue of an engine.\n"
        "- `contents`: corner values in memories.\n\n"
        f"{_bins()}"
    )


if __name__ == "__main__":
    PATH.write_text(updated(PATH, generated()), encoding="utf-8")
