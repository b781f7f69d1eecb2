"""What schedules leave open: a choice is asked for a decision, which whoever tunes may give instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ...errors import TilewrightError

__all__ = ["Choice", "Decisions", "Schedule"]

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)


class Choice(Protocol[D_co]):
    """One thing that a layer's schedule must decide. Decisions are frozen dataclasses of whole numbers."""

    def heuristic(self) -> D_co:
        """What a closed form finds best.

        Raises
        ------
        TilewrightError
            Nothing fits the configuration.
        """
        ...

    def admits(self, decision: object) -> bool:
        """Whether the layer can be scheduled so."""
        ...

    def space(self) -> Sequence[D_co]:
        """Some tens of decisions that may be better than the heuristic's: the likeliest of all that it admits."""
        ...


@dataclass(frozen=True)
class Schedule:
    """What is laid down for a network; for the rest the heuristics decide.

    Members
    -------
    layers
        By the node's name: its decisions, in the order in which its schedule asks.
    leaving
        Activations that go through DRAM even where there would be room in ACT.
    """

    layers: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()

    def share(self, layer: str) -> tuple[int, int] | None:
        """The matrix engine's share of a depthwise convolution, if that is laid down."""
        return next((decision.share for decision in self.layers.get(layer, ()) if hasattr(decision, "share")), None)


class Decisions:
    """Gives each layer what is laid down for it, in the order in which it asks, and else the heuristic's pick.

    Parameters
    ----------
    given
        By layer.

    Members
    -------
    made, asked
        By layer: what was decided so far, and about what.
    """

    def __init__(self, given: Mapping[str, Sequence[Any]] | None = None) -> None:
        self._given = given or {}
        self.made: dict[str, list[Any]] = {}
        self.asked: dict[str, list[Choice[Any]]] = {}

    def decide(self, layer: str, choice: Choice[D]) -> D:
        """The decision for the next choice of `layer`.

        Raises
        ------
        TilewrightError
            What is laid down is not among what the choice admits, or nothing is.
        """
        made, given = self.made.setdefault(layer, []), self._given.get(layer, ())
        decision = given[len(made)] if len(made) < len(given) else choice.heuristic()
        if len(made) < len(given) and not choice.admits(decision):
            raise TilewrightError(f"layer {layer!r} must have a schedule that fits, not {decision}; tune it again")
        made.append(decision)
        self.asked.setdefault(layer, []).append(choice)
        return decision
