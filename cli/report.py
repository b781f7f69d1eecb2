"""Tables in the terminal, and the same as data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ..driver.layers import LayerReport
from ..driver.session import StepRecord
from ..isa.program import Program

_FILE_WIDTH = 120

__all__ = ["layers_json", "layers_table", "print_arrays", "print_layers", "print_table"]


def layers_table(program: Program, reports: Sequence[LayerReport], title: str) -> Table:
    """A row for each layer and a total; `used` is the share of the multipliers' cycles that did a MAC."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, min_width=12)
    table.add_column("operator", overflow="ellipsis", no_wrap=True, max_width=14)
    table.add_column("ran on", no_wrap=True)
    for heading in ("MACs", "cycles", "used", "B read", "B written"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        target = "core" if report.target == "accelerator" else report.target
        table.add_row(report.name, report.operator, target, *_numbers(report))
    table.add_section()
    table.add_row("total", "", "", *_numbers(_total(program, reports)))
    return table


def _total(program: Program, reports: Sequence[LayerReport]) -> LayerReport:
    timed = [report.cycles for report in reports if report.cycles is not None]
    cycles = sum(timed) if timed else None
    macs = sum(report.macs for report in reports if report.target == "accelerator")
    return LayerReport(
        name="total",
        operator="",
        target="",
        macs=sum(report.macs for report in reports),
        cycles=cycles,
        utilisation=macs / (cycles * program.config.macs_per_cycle) if cycles else None,
        bytes_read=sum(report.bytes_read for report in reports),
        bytes_written=sum(report.bytes_written for report in reports),
    )


def _numbers(report: LayerReport) -> list[str]:
    return [
        f"{report.macs:,}",
        "-" if report.cycles is None else f"{report.cycles:,}",
        "-" if report.utilisation is None else f"{report.utilisation:.1%}",
        f"{report.bytes_read:,}",
        f"{report.bytes_written:,}",
    ]


def print_layers(program: Program, reports: Sequence[LayerReport], device: str) -> None:
    print_table(layers_table(program, reports, f"{program.config.name} on device {device}"))


def print_table(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(table)


def print_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        shown = np.array2string(array.ravel(), threshold=20, precision=5, separator=", ")
        print(f"{name} {array.dtype} {array.shape}: {shown}")


def layers_json(program: Program, reports: Sequence[LayerReport], records: Sequence[StepRecord]) -> dict[str, Any]:
    """One object: totals, counters of every run, and a list of layers."""
    return {
        "config": program.config.name,
        "config_hash": program.config.hash,
        **{key: value for key, value in vars(_total(program, reports)).items() if key not in _NAMES},
        "counters": [dict(record.counters) for record in records if record.counters],
        "layers": [vars(report) for report in reports],
    }


_NAMES = ("name", "operator", "target")
