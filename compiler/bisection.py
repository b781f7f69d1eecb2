"""Which pass is the first to change what a graph computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import TilewrightError
from .graph import Graph
from .passes.manager import Pass, run_passes

__all__ = ["WrongStage", "first_wrong_stage"]


@dataclass(frozen=True)
class WrongStage:
    """The first graph that is wrong.

    Members
    -------
    stage
        As in dumps: ``00-import``, or the number and name of the pass that made it.
    reason
        Why it can't be evaluated; empty where it gives wrong numbers.
    """

    stage: str
    reason: str = ""


def first_wrong_stage(graph: Graph, passes: Sequence[Pass], agrees: Callable[[str, Graph], bool]) -> WrongStage | None:
    """Find it by bisection: about log2 of the number of passes calls of `agrees`, with a stage and its graph.

    Passes that come after one which refuses its graph are left out. None where all is well.

    Raises
    ------
    TilewrightError
        A pass refuses a graph that is not wrong; or `agrees` raises it for the graph as imported.
    """
    stages: list[tuple[str, Graph]] = []
    refusal = None
    try:
        run_passes(graph, passes, dump=lambda stage, made: stages.append((stage, made)))
    except TilewrightError as error:
        if not stages:
            raise
        refusal = error
    if not agrees(*stages[0]):
        return WrongStage(stages[0][0])
    wrong = _judge(*stages[-1], agrees)
    if wrong is None:
        if refusal is not None:
            raise refusal
        return None
    good, bad = 0, len(stages) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        found = _judge(*stages[middle], agrees)
        if found is None:
            good = middle
        else:
            bad, wrong = middle, found
    return wrong


def _judge(stage: str, graph: Graph, agrees: Callable[[str, Graph], bool]) -> WrongStage | None:
    try:
        return None if agrees(stage, graph) else WrongStage(stage)
    except Exception as error:  # operators and NumPy raise many kinds for a graph that contradicts itself
        return WrongStage(stage, f"{type(error).__name__}: {error}")
