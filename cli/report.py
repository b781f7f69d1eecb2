"""Tables in the terminal, and the same as data."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..driver.layers import LayerReport, layer_reports, total_report
from ..driver.session import StepRecord
from ..isa.program import Program
from ..isa.table import ENGINES

if TYPE_CHECKING:
    from rich.table import Table

_FILE_WIDTH = 140

__all__ = ["layers_csv", "layers_json", "print_arrays", "print_layers", "print_table"]


def _layers_table(reports: Sequence[LayerReport], total: LayerReport, title: str) -> "Table":
    """A row for each layer and a total; `used` is the share of the multipliers' cycles that did a MAC."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, min_width=12, max_width=28)
    table.add_column("operator", overflow="ellipsis", no_wrap=True, max_width=14)
    table.add_column("ran on", no_wrap=True)
    for heading in ("MACs", "cycles", "ideal", "used"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    for heading in ("B read", "B written"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        target = "core" if report.target == "accelerator" else report.target
        table.add_row(report.name, report.operator, target, *_numbers(report))
    table.add_section()
    table.add_row("total", "", "", *_numbers(total))
    return table


def _numbers(report: LayerReport) -> list[str]:
    return [
        f"{report.macs:,}",
        "-" if report.cycles is None else f"{report.cycles:,}",
        "-" if report.ideal_cycles is None else f"{report.ideal_cycles:,}",
        "-" if report.utilisation is None else f"{report.utilisation:.1%}",
        report.bound or "-",
        f"{report.bytes_read:,}",
        f"{report.bytes_written:,}",
    ]


def print_layers(program: Program, records: Sequence[StepRecord], device: str) -> None:
    reports = layer_reports(program, records)
    total = total_report(program, records, reports)
    print_table(_layers_table(reports, total, f"{program.config.name} on device {device}"))


def print_table(table: "Table") -> None:
    """As wide as the terminal, but wider where numbers would be cut off."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    width = console.width if console.is_terminal else _FILE_WIDTH
    needed = Measurement.get(console, console.options.update(width=10 * _FILE_WIDTH), table)
    least = needed.maximum if all(column.no_wrap for column in table.columns) else needed.minimum
    Console(width=max(width, least)).print(table)


def print_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        shown = np.array2string(array.ravel(), threshold=20, precision=5, separator=", ")
        print(f"{name} {array.dtype} {array.shape}: {shown}")


def layers_json(program: Program, records: Sequence[StepRecord]) -> dict[str, Any]:
    """One object: totals, counters of every run, and a list of layers."""
    reports = layer_reports(program, records)
    total = total_report(program, records, reports)
    return {
        "config": program.config.name,
        "config_hash": program.config.hash,
        **{key: value for key, value in vars(total).items() if key not in _NAMES},
        "counters": [dict(record.counters) for record in records if record.counters],
        "layers": [vars(report) for report in reports],
    }


_NAMES = ("name", "operator", "target")


def layers_csv(program: Program, records: Sequence[StepRecord]) -> str:
    """A line of headings, one for each layer, and one for the total; empty where something is not known."""
    reports = layer_reports(program, records)
    text = io.StringIO()
    busy = [f"{engine.name.lower()}_busy" for engine in ENGINES]
    names = [entry.name for entry in fields(LayerReport) if entry.name != "busy"]
    writer = csv.DictWriter(text, [*names, *busy], lineterminator="\n")
    writer.writeheader()
    for report in (*reports, total_report(program, records, reports)):
        engines = {f"{engine}_busy": cycles for engine, cycles in report.busy.items()}
        writer.writerow({name: getattr(report, name) for name in names} | engines)
    return text.getvalue()
