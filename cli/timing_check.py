"""``tilewright timing-check``"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from ..errors import DeviceError
from .progress import each_of

if TYPE_CHECKING:
    from ..simulator.timing.accuracy import Comparison, Distribution

__all__ = ["timing_check"]

_CONFIGS = ("vta-16", "tiny", "8x16", "wide-32")


@click.command(name="timing-check")
@click.argument("programs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--config", "-c", "configs", multiple=True, help=f"For random programs; {', '.join(_CONFIGS)} by default."
)
@click.option("--random", "count", type=click.IntRange(0), default=100, show_default=True, help="Random programs each.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first random program.")
@click.option("--latency", type=click.IntRange(1, 1_000_000), default=40, show_default=True, help="Of DRAM, in cycles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def timing_check(
    programs: tuple[Path, ...], configs: tuple[str, ...], count: int, seed: int, latency: int, as_json: bool
) -> None:
    """Compare the timing model with the Verilog, on compiled PROGRAMS and on random ones.

    Fails where the mean error is above 0.5% or the worst above 2%.
    """
    from ..isa.program import Program
    from ..simulator.timing.accuracy import compare_program, compare_random, distribution, require_accuracy

    results: dict[str, Sequence[Comparison]] = {}
    for path in programs:
        program = Program.load(path)
        compared = compare_program(program, path.name, latency=latency)
        if not compared:
            raise DeviceError(f"program {path} must run on the accelerator to have a time, and has no run of it")
        results[f"{path.name} ({program.config.name})"] = compared
    for name in configs or _CONFIGS:
        if count:
            config = load_config(name)
            compared_so_far = compare_random(config, range(seed, seed + count), latency=latency)
            results[f"random ({config.name})"] = list(each_of(compared_so_far, count, f"programs on {config.name}"))
    table = {what: distribution(compared) for what, compared in results.items()}
    if as_json:
        click.echo(json.dumps({what: vars(each) for what, each in table.items()}, indent=1))
    else:
        _show(table)
    for comparisons in results.values():
        require_accuracy(comparisons)


def _show(table: "dict[str, Distribution]") -> None:
    from rich.table import Table

    from .report import print_table

    shown = Table(title="The timing model against the Verilog")
    shown.add_column("programs")
    for heading in ("number", "cycles", "exact", "mean error", "worst error", "times as fast"):
        shown.add_column(heading, justify="right")
    for what, each in table.items():
        shown.add_row(
            what,
            f"{each.programs:,}",
            f"{each.cycles:,}",
            f"{each.exact / each.programs:.1%}",
            f"{each.mean:.3%}",
            f"{each.worst:.3%}",
            f"{each.speed:,.0f}",
        )
    print_table(shown)
