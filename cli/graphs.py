"""Graphs as text files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import TilewrightError
from .files import write_text

if TYPE_CHECKING:
    from ..compiler.graph import Graph
    from ..compiler.passes.manager import Dump

__all__ = ["dump_option"]


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
