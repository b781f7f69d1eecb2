"""Runs passes in order, with a verifier after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..graph import Graph, verify

__all__ = ["Dump", "Pass", "run_passes"]

Dump = Callable[[str, Graph], None]


@dataclass(frozen=True)
class Pass:
    """A named transformation.

    Members
    -------
    typed
        Whether every value has its shape and dtype afterwards.
    """

    name: str
    transform: Callable[[Graph], Graph]
    typed: bool = True


def run_passes(graph: Graph, passes: Sequence[Pass], *, dump: Dump | None = None, limit: int | None = None) -> Graph:
    """Apply `passes`, the first `limit` of them only.

    `dump` sees the graph as it comes, under ``00-import``, and after each pass, under ``03-name``.

    Raises
    ------
    GraphError
        A pass left a broken graph behind; the message names the pass.
    """
    verify(graph, stage="import")
    if dump is not None:
        dump("00-import", graph)
    for number, entry in enumerate(passes[:limit], 1):
        graph = entry.transform(graph)
        verify(graph, stage=entry.name, typed=entry.typed)
        if dump is not None:
            dump(f"{number:02d}-{entry.name}", graph)
    return graph
