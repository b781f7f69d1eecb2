"""``tilewright inspect``"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from ..errors import TilewrightError
from .files import config_option, dense_rounding_option
from .graphs import chosen_passes, graph_after, passes_option

if TYPE_CHECKING:
    from rich.table import Table

    from ..compiler.inspection import LayerPlan

__all__ = ["inspect"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@config_option
@dense_rounding_option
@click.option("--json", "as_json", is_flag=True, help="Print the layers as JSON.")
@click.option("--passes", type=click.IntRange(0), help="Print the graph after the compiler's first N passes instead.")
@passes_option
def inspect(model: Path, config: str, dense_rounding: str, as_json: bool, passes: int | None, target: str) -> None:
    """Show what MODEL is made of: operators, MACs, parameters, what runs where and why."""
    chosen = load_config(config)
    from ..compiler.compile import import_model
    from ..compiler.inspection import inspect_graph

    graph = import_model(model, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    if passes is not None:
        click.echo(graph_after(graph, chosen_passes(target, chosen), passes), nl=False)
        return
    if target == "host":
        raise TilewrightError("--target must go with --passes here: the table is the accelerator's")
    plans = inspect_graph(graph, chosen)
    if as_json:
        click.echo(json.dumps([asdict(plan) for plan in plans], indent=1))
        return
    from .report import print_table

    print_table(_table(plans, f"{model.name} for {chosen.name}"))


def _table(plans: "list[LayerPlan]", title: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, min_width=12, max_width=28)
    table.add_column("operator", no_wrap=True)
    for heading in ("result", "MACs", "parameters"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("runs on", no_wrap=True)
    table.add_column("why not on the core")
    for plan in plans:
        target = "core" if plan.target == "accelerator" else plan.target
        shape = "×".join(map(str, plan.shape))
        table.add_row(plan.name, plan.operator, shape, f"{plan.macs:,}", f"{plan.parameters:,}", target, plan.reason)
    table.add_section()
    total, parameters = sum(plan.macs for plan in plans), sum(plan.parameters for plan in plans)
    on_core = sum(plan.macs for plan in plans if plan.target == "accelerator")
    share = f"{on_core / total:.0%} of MACs" if total else ""
    table.add_row("total", "", "", f"{total:,}", f"{parameters:,}", "core" if share else "", share)
    return table
