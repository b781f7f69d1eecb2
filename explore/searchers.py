"""Who chooses the next points: one interface, ask and tell, and those behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from ..errors import TilewrightError
from .front import non_dominated
from .space import Space

__all__ = ["SEARCHERS", "Point", "Searcher", "Verdict", "make_searcher"]

Point = dict[str, int]  # values by parameter
_Places = tuple[int, ...]
_POPULATION = 32


@dataclass(frozen=True)
class Verdict:
    """What became of a point.

    Members
    -------
    costs
        One for each goal, less being better; None for a point that can't be had.
    excess
        One for each constraint: above 0 where it is broken.
    """

    costs: tuple[float, ...] | None
    excess: tuple[float, ...] = ()


class Searcher(Protocol):
    """Chooses points. The same seed and the same verdicts give the same points."""

    def ask(self, count: int) -> list[Point]:
        """Up to `count` points to try, as values of parameters; none where nothing is left."""
        ...

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """What became of the points asked for last, in their order."""
        ...


class ExhaustiveSearcher:
    """Every combination of the space, once."""

    def __init__(self, space: Space) -> None:
        self._left = space.combinations()

    def ask(self, count: int) -> list[Point]:
        return list(islice(self._left, count))

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        pass


class RandomSearcher:
    """Each value with the same probability, whatever was found."""

    def __init__(self, space: Space, seed: int, first: Sequence[Point] = ()) -> None:
        self._parameters = space.parameters
        self._random = np.random.default_rng(seed)
        self._first = list(first)

    def ask(self, count: int) -> list[Point]:
        chosen, self._first = self._first[:count], self._first[count:]
        return chosen + [
            {p.name: p.values[int(self._random.integers(len(p.values)))] for p in self._parameters}
            for _ in range(count - len(chosen))
        ]

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        pass


class OptunaSearcher:
    """Optuna's samplers, over the places of values in their ascending order, and neighbours of the best.

    Half of what is asked for are points a step away, in one parameter, from what no other point told so far dominates:
    in a space of steps these find the ends of the front, which samplers alone come near.
    """

    def __init__(self, space: Space, goals: int, kind: str, seed: int, first: Sequence[Point] = ()) -> None:
        optuna = _require_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        samplers = optuna.samplers
        sampler = (
            samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
            if kind == "nsga2"
            else samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=_POPULATION)
        )
        self._values = {parameter.name: parameter.values for parameter in space.parameters}
        self._study = optuna.create_study(directions=["minimize"] * goals, sampler=sampler)
        self._failed = optuna.trial.TrialState.FAIL
        self._trials: list[Any] = []
        self._asked: list[_Places] = []
        self._seen: set[_Places] = set()
        self._best: list[tuple[tuple[float, ...], _Places]] = []
        self._random = np.random.default_rng(seed)
        self._waiting = len(first)
        for point in first:
            self._want(tuple(values.index(point[name]) for name, values in self._values.items()))

    def ask(self, count: int) -> list[Point]:
        for places in self._neighbours(count // 2 if self._waiting < count // 2 else 0):
            self._want(places)
        self._waiting = max(self._waiting - count, 0)
        self._trials = [self._study.ask() for _ in range(count)]
        self._asked = [
            tuple(trial.suggest_int(name, 0, len(values) - 1) for name, values in self._values.items())
            for trial in self._trials
        ]
        self._seen.update(self._asked)
        return [
            {name: values[place] for (name, values), place in zip(self._values.items(), places, strict=True)}
            for places in self._asked
        ]

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        for trial, places, verdict in zip(self._trials, self._asked, verdicts, strict=True):
            if verdict.costs is None:
                self._study.tell(trial, state=self._failed)
                continue
            for number, excess in enumerate(verdict.excess):
                trial.set_constraint(str(number), excess)
            self._study.tell(trial, list(verdict.costs))
            if all(excess <= 0 for excess in verdict.excess):
                self._best.append((verdict.costs, places))
        self._best = [self._best[number] for number in non_dominated([costs for costs, _ in self._best])]

    def _want(self, places: _Places) -> None:
        self._study.enqueue_trial(dict(zip(self._values, places, strict=True)))

    def _neighbours(self, count: int) -> list[_Places]:
        """Up to `count` of those that were never asked for."""
        found: dict[_Places, None] = {}
        for _, places in self._best:
            for number, values in enumerate(self._values.values()):
                for place in (places[number] - 1, places[number] + 1):
                    if 0 <= place < len(values):
                        found[*places[:number], place, *places[number + 1 :]] = None
        fresh = [places for places in found if places not in self._seen]
        return [fresh[int(number)] for number in self._random.permutation(len(fresh))[:count]]


def _require_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise TilewrightError(
            "this search must have Optuna: pip install 'tilewright[explore]', or take --search random"
        ) from None
    return optuna


SEARCHERS = ("nsga2", "tpe", "random", "exhaustive")


def make_searcher(kind: str, space: Space, goals: int, seed: int, first: Sequence[Point] = ()) -> Searcher:
    """A new one of that kind, for points of `space` that are judged by so many goals; it asks for `first` first.

    Raises
    ------
    TilewrightError
        There is no such kind, or its library is not installed.
    """
    if kind not in SEARCHERS:
        raise TilewrightError(f"the search must be one of {', '.join(SEARCHERS)}, not {kind!r}")
    if kind == "exhaustive":
        return ExhaustiveSearcher(space)
    if kind == "random":
        return RandomSearcher(space, seed, first)
    return OptunaSearcher(space, goals, kind, seed, first)
