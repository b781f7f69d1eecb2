"""Who is worth the next rung: those that may yet belong on the front, and of them the least known."""

from collections.abc import Sequence
from dataclasses import astuple
from math import log2

import numpy as np

from ..config import Config
from .correction import Correction
from .front import dominated_by_any, non_dominated
from .ladder import Trial
from .question import Question
from .rungs import Knowledge, Rung

__all__ = ["expected_gain", "hopeful", "spread", "uncertain"]

# The largest share of cycles that a search for schedules has saved anywhere is 0.19, of VWW on 2×16×16.
_MOST_GAIN = 0.25
_ENOUGH_GAINS, _MARGIN = 16, 1.5
_TUNED_QUANTITIES = ("cycles", "bytes_read", "bytes_written", "energy")


def expected_gain(gains: Sequence[float]) -> float:
    """The share of cycles that better schedules may save.

    Half as much again as the most of `gains`, those of points whose schedules were searched for; while these are few,
    more than was ever seen.
    """
    return min(_MARGIN * max(gains), _MOST_GAIN) if len(gains) >= _ENOUGH_GAINS else _MOST_GAIN


def hopeful(question: Question, timed: Sequence[Trial], best: Sequence[Sequence[float]], gain: float) -> list[Trial]:
    """Of `timed` points those that better schedules may put on the front, whose costs are `best` so far.

    Parameters
    ----------
    gain
        The share of cycles, bytes and energy that better schedules may save.
    """
    costs = [*best, *(question.costs(trial.known) for trial in timed if not question.broken(trial.known))]
    reached = [costs[place] for place in non_dominated(costs)]
    return [trial for trial in timed if _may_belong(question, _with_less(trial.known, gain), reached)]


def spread(costs: Sequence[Sequence[float]], taken: Sequence[int], count: int) -> list[int]:
    """Up to `count` places of a front beside those `taken`: the best of each goal, then what lies farthest from all.

    Parameters
    ----------
    costs
        Of the front; distances are along their range.
    """
    if not costs:
        return []
    table = np.asarray(costs, dtype=float)
    table = (table - table.min(axis=0)) / np.maximum(np.ptp(table, axis=0), 1e-300)
    ends = [int(place) for place in table.argmin(axis=0)]
    chosen: list[int] = []
    while len(chosen) < count:
        left = [place for place in range(len(table)) if place not in taken and place not in chosen]
        if not left:
            break
        open_ends = [place for place in ends if place in left]
        reached = table[[*taken, *chosen]]
        farthest = max(left, key=lambda place: float(((reached - table[place]) ** 2).sum(axis=1).min(initial=np.inf)))
        chosen.append(open_ends[0] if open_ends else farthest)
    return chosen


def uncertain(
    question: Question,
    able: Sequence[Trial],
    best: Sequence[Sequence[float]],
    synthesised: Sequence[Config],
    correction: Correction,
) -> list[Trial]:
    """Of `able` points those that synthesis may put on the front, the least known first.

    That is the one whose area is least certain by the learned correction; where nothing is learnt yet, the one that is
    most unlike what was `synthesised`.
    """
    able = [trial for trial in able if _may_belong(question, correction.at_best(trial.hardware, trial.known), best)]
    if correction.learnt:
        return sorted(able, key=lambda trial: -correction.uncertainty(trial.hardware, trial.known))
    seen = [_coordinates(config) for config in synthesised]
    chosen: list[Trial] = []
    while able:
        farthest = max(able, key=lambda trial: _distance(trial.hardware, seen))
        able = [trial for trial in able if trial is not farthest]
        seen.append(_coordinates(farthest.hardware))
        chosen.append(farthest)
    return chosen


def _may_belong(question: Question, at_best: Knowledge, best: Sequence[Sequence[float]]) -> bool:
    return not question.broken(at_best) and not dominated_by_any(best, question.costs(at_best))


def _with_less(known: Knowledge, gain: float) -> Knowledge:
    least = {
        name: value * (1 - gain)
        for name, value in known.quantities.items()
        if name in _TUNED_QUANTITIES and known.rungs[name] <= Rung.TIMING
    }
    return Knowledge({**known.quantities, **least}, known.rungs)


def _coordinates(config: Config) -> np.ndarray:
    """float64, shape (parameters,): along logarithms."""
    return np.array([log2(value) for value in astuple(config) if isinstance(value, int)])


def _distance(config: Config, seen: Sequence[np.ndarray]) -> float:
    """The square of the distance to the nearest of `seen`."""
    mine = _coordinates(config)
    return min((float(((mine - other) ** 2).sum()) for other in seen), default=float("inf"))
