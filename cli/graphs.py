"""Graphs as text files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import TilewrightError
from .files import write_text

if TYPE_CHECKING:
    from ..compiler.graph import Graph
    from ..compiler.passes.manager import Dump, Pass
    from ..config import Config

__all__ = ["chosen_passes", "dump_option", "graph_after", "passes_option"]


def _dumping(context: click.Context, parameter: click.Parameter, folder: Path | None) -> "Dump | None":
    """What writes each graph to a file of its own in `folder`, which is made where it is missing."""
    if folder is None:
        return None
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise TilewrightError(f"dump folder {folder} must be usable: {error.strerror}; name another place") from None

    def dump(stage: str, graph: "Graph") -> None:
        from ..compiler.graph import format_graph

        write_text(folder / f"{stage}.txt", format_graph(graph))

    return dump


dump_option = click.option(
    "--dump",
    type=click.Path(path_type=Path),
    metavar="DIR",
    callback=_dumping,
    help="Folder for the graph as text: as imported and after each pass.",
)

passes_option = click.option(
    "--target",
    type=click.Choice(["accelerator", "host"]),
    default="accelerator",
    show_default=True,
    help="Whose passes: those for the accelerator, or those for the host alone.",
)


def chosen_passes(target: str, config: "Config") -> "list[Pass]":
    """The passes that ``--target`` names."""
    from ..compiler.pipeline import host_passes, passes_for

    return host_passes() if target == "host" else passes_for(config)


def graph_after(graph: "Graph", passes: "list[Pass]", count: int) -> str:
    """The graph as text after the first `count` of `passes`."""
    from ..compiler.graph import format_graph
    from ..compiler.passes import run_passes

    if count > len(passes):
        raise TilewrightError(f"--passes must be from 0 to {len(passes)}, the number of passes, not {count}")
    return format_graph(run_passes(graph, passes, limit=count))
