"""A search from its beginning to its front: what is asked for, judged, kept, and climbs."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import ConfigError
from ..fpga.boards import BOARDS, Board
from .front import dominated_by_any, non_dominated
from .metrics import METRICS, Constraint, Goal
from .rungs import Knowledge, Measurement, Rung
from .searchers import Verdict, make_searcher
from .space import Parameter, Space
from .store import Store, StoredTrial
from .tools import tool_versions
from .workers import Job, Setting, Workers
from .workload import Workload, WorkloadModel

__all__ = ["Candidate", "Outcome", "Question", "Study"]

_BATCH = 16
_MOST_ERROR = 0.02  # of the cycles foretold
_ASKS_A_TRIAL = 50  # a searcher that only finds what is known already is stopped after so many


class Outcome(StrEnum):
    """What became of a trial."""

    REFUSED = "refused"  # not legal, or the models do not run on it: the reason names the limit that binds
    BROKEN = "broken"  # a constraint can't be kept: the reason names it
    DOMINATED = "dominated"  # even the least that it can cost is more than another point costs
    EVALUATED = "evaluated"  # timed, and keeps all constraints
    REPEATED = "repeated"  # the same hardware as a trial before it


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Parameters
    ----------
    goals
        What is wanted, at least one.
    constraints
        What must be kept.
    searcher, seed
        Who chooses points, and where its choices begin.
    first
        Points that are tried before all others, as far as the space has them.
    """

    space: Space
    setting: Setting
    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...] = ()
    searcher: str = "nsga2"
    first: tuple[Config, ...] = ()

    @property
    def board(self) -> Board:
        return BOARDS[self.setting.board]

    def to_json(self) -> dict[str, Any]:
        """All that the choice of points depends on."""
        return {
            "space": self.space.to_json(),
            "models": [[model.name, str(model.path), model.digest] for model in self.setting.workload.models],
            "board": self.setting.board,
            "seed": self.setting.seed,
            "goals": [[goal.metric.name, goal.minimise] for goal in self.goals],
            "constraints": [[each.metric.name, each.most, each.limit] for each in self.constraints],
            "searcher": self.searcher,
            "first": [config.to_toml() for config in self.first],
            "tools": [tool_versions(rung) for rung in (Rung.CLOSED_FORM, Rung.TIMING)],
        }

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Question":
        """The question whose :meth:`to_json` that is."""
        space, board, seed = settings["space"], settings["board"], settings["seed"]
        parameters = tuple(Parameter(name, tuple(values)) for name, values in space["parameters"].items())
        models = tuple(WorkloadModel(name, Path(path), digest) for name, path, digest in settings["models"])
        return cls(
            Space(parameters, Config.from_toml(space["base"])),
            Setting(Workload(models), board, seed),
            tuple(Goal(METRICS[name], minimise) for name, minimise in settings["goals"]),
            tuple(Constraint(METRICS[name], most, limit) for name, most, limit in settings["constraints"]),
            settings["searcher"],
            tuple(Config.from_toml(text) for text in settings["first"]),
        )

    @property
    def key(self) -> str:
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def costs(self, known: Knowledge) -> tuple[float, ...]:
        return tuple(goal.cost(known, self.board) for goal in self.goals)

    def excess(self, known: Knowledge) -> tuple[float, ...]:
        return tuple(each.excess(known, self.board) for each in self.constraints)

    def broken(self, known: Knowledge) -> str:
        """The first constraint that is not kept, and by what; "" where all are."""
        for each in self.constraints:
            if each.excess(known, self.board) > 0:
                value = each.metric.of(known, self.board)
                return f"{each.metric.name} must be {each}, not {value:.4g}".replace(f"be {each.metric.name} ", "be ")
        return ""


@dataclass(frozen=True)
class Candidate:
    """A point that keeps all constraints, as far as is known."""

    config: Config
    known: Knowledge
    trial: int


@dataclass
class _Trial:
    """One that is being judged."""

    number: int
    values: Mapping[str, int]
    config: Config | None = None
    outcome: Outcome | None = None
    reason: str = ""
    known: Knowledge = field(default_factory=Knowledge)
    measured: set[Rung] = field(default_factory=set)


class Study:
    """A search in progress.

    Parameters
    ----------
    store
        Where results are kept, and found again: what it has is not evaluated a second time. The search begins from its
        seed each time and makes the same choices; so it goes on where it was interrupted.
    workers
        Who evaluates.
    progress
        Called after every trial.

    Members
    -------
    trials, points
        How many were made, those that were refused or repeated included; and of how many different points.
    counted
        How many of them had each outcome.
    evaluated
        How many points were evaluated in this run, by rung, and not found in the store.
    """

    def __init__(
        self,
        question: Question,
        store: Store,
        workers: Workers,
        *,
        progress: Callable[["Study"], object] = lambda study: None,
    ) -> None:
        self.question = question
        self.trials = 0
        self.points = 0
        self.counted = dict.fromkeys(Outcome, 0)
        self.evaluated = dict.fromkeys(Rung, 0)
        self._store = store
        self._workers = workers
        self._progress = progress
        self._known: dict[str, _Trial] = {}
        self._key = question.key

    def search(self, points: int) -> None:
        """Until so many different points were looked at, or the searcher has no more."""
        question = self.question
        self._store.add_study(self._key, question.to_json())
        inside = (question.space.values_of(config) for config in question.first)
        first = [values for values in inside if values is not None]
        goals, seed = len(question.goals), question.setting.seed
        searcher = make_searcher(question.searcher, question.space, goals, seed, first)
        most = _ASKS_A_TRIAL * points + _BATCH
        while self.points < points and self.trials < most:
            asked = searcher.ask(_BATCH)
            now = self._within(asked, points - self.points)
            verdicts = self._judge(now)
            if len(now) < len(asked) or not asked:
                break  # with more points the search makes the same choices, and goes on from here
            searcher.tell(verdicts)

    def restore(self) -> None:
        """Take the trials that the store has, and all that is known of their points, instead of searching."""
        for stored in self._store.trials(self._key):
            self.trials += 1
            trial = self._trial(stored.number, stored.values)
            trial.outcome, trial.reason = Outcome(stored.outcome), stored.reason
            self.counted[trial.outcome] += 1
            if trial.config is None or trial.config.hash in self._known:
                continue
            for rung in Rung:
                if (measurement := self._stored(trial, rung)) is not None:
                    self._learn(trial, measurement)
            self._known[trial.config.hash] = trial
            self.points += 1
            if stored.outcome == Outcome.EVALUATED:
                self._review(trial)

    def front(self) -> list[Candidate]:
        """What keeps all constraints and is dominated by nothing, ascending by the first goal."""
        question = self.question
        able = [trial for trial in self._known.values() if trial.outcome is Outcome.EVALUATED]
        places = non_dominated([question.costs(trial.known) for trial in able])
        return [Candidate(able[p].config, able[p].known, able[p].number) for p in places]  # type: ignore[arg-type]

    def looked_at(self) -> Iterator[tuple[int, Config, Knowledge, Outcome, str]]:
        """Every point, by its first trial's number: what is known of it, its outcome and the reason."""
        for trial in self._known.values():
            assert trial.config is not None and trial.outcome is not None
            yield trial.number, trial.config, trial.known, trial.outcome, trial.reason

    def climb(self, rungs: Sequence[Rung]) -> None:
        """Measure the front on higher rungs, until every point on it has been.

        What is learnt may break a constraint, or put other points on the front.
        """
        while True:
            able = {candidate.config.hash for candidate in self.front()}
            trials = [trial for key, trial in self._known.items() if key in able]
            waiting = [(trial, rung) for trial in trials for rung in rungs if rung not in trial.measured]
            if not waiting:
                return
            for rung in rungs:
                self._measure([trial for trial, missing in waiting if missing is rung], rung)
            for trial in trials:
                self._review(trial)

    def _review(self, trial: _Trial) -> None:
        """A trial that was evaluated may turn out to be worse than it looked."""
        if trial.outcome is Outcome.EVALUATED and (reason := self.question.broken(trial.known)):
            trial.outcome, trial.reason = Outcome.BROKEN, reason
        if trial.outcome is not None and trial.outcome is not Outcome.EVALUATED:
            self.counted[Outcome.EVALUATED] -= 1
            self.counted[trial.outcome] += 1

    def _within(self, asked: Sequence[Mapping[str, int]], room: int) -> list[_Trial]:
        """The first of `asked`, as far as `room` points are new."""
        trials: list[_Trial] = []
        fresh: set[str] = set()
        for values in asked:
            trial = self._trial(self.trials + len(trials), values)
            if trial.config is not None and trial.config.hash not in self._known:
                fresh.add(trial.config.hash)
            if len(fresh) > room:
                break
            trials.append(trial)
        return trials

    def _trial(self, number: int, values: Mapping[str, int]) -> _Trial:
        try:
            return _Trial(number, values, self.question.space.config(values))
        except ConfigError as error:
            return _Trial(number, values, None, Outcome.REFUSED, str(error))

    def _judge(self, trials: Sequence[_Trial]) -> list[Verdict]:
        """Evaluate points side by side; verdicts in their order."""
        fresh: dict[str, _Trial] = {}
        for trial in trials:
            if trial.config is None:
                continue
            if trial.config.hash in self._known or trial.config.hash in fresh:
                trial.outcome = Outcome.REPEATED
            else:
                fresh[trial.config.hash] = trial
        self._measure(list(fresh.values()), Rung.CLOSED_FORM)
        best = [self.question.costs(candidate.known) for candidate in self.front()]
        for trial in fresh.values():
            self._screen(trial, best)
        self._measure([trial for trial in fresh.values() if trial.outcome is None], Rung.TIMING)
        for trial in fresh.values():
            self._conclude(trial)
        self._known |= fresh
        self.points += len(fresh)
        return [self._record(trial) for trial in trials]

    def _measure(self, trials: Sequence[_Trial], rung: Rung) -> None:
        """From the store, or by the workers; each result is kept as soon as it is there."""
        missing = []
        for trial in trials:
            measurement = self._stored(trial, rung)
            if measurement is None:
                missing.append(trial)
            else:
                self._learn(trial, measurement)
        jobs = [Job(rung, trial.config) for trial in missing if trial.config is not None]
        for place, measurement in self._workers.run(jobs):
            setting = self.question.setting
            self._store.add_result(
                jobs[place].config,
                setting.workload.key,
                setting.family,
                measurement,
                tools=tool_versions(rung),
                seed=setting.seed if rung is Rung.RTL else 0,
            )
            self.evaluated[rung] += 1
            self._learn(missing[place], measurement)
            self._progress(self)

    def _stored(self, trial: _Trial, rung: Rung) -> Measurement | None:
        assert trial.config is not None
        setting = self.question.setting
        return self._store.result(
            trial.config.hash,
            setting.workload.key,
            setting.family,
            rung,
            tools=tool_versions(rung),
            seed=setting.seed if rung is Rung.RTL else 0,
        )

    def _learn(self, trial: _Trial, measurement: Measurement) -> None:
        trial.measured.add(measurement.rung)
        expected, found = (each.quantities.get("cycles", 0.0) for each in (trial.known, measurement))
        if measurement.rung is Rung.RTL and abs(found - expected) > _MOST_ERROR * expected:
            wrong = f"the Verilog must take the {expected:,.0f} cycles that were foretold, not {found:,.0f}"
            measurement = Measurement(Rung.RTL, refused=measurement.refused or wrong)
        if measurement.refused:
            trial.outcome, trial.reason = Outcome.REFUSED, measurement.refused
        else:
            trial.known = trial.known.learnt(measurement)

    def _screen(self, trial: _Trial, best: Sequence[Sequence[float]]) -> None:
        """Closed forms never say too much: what fails by them fails."""
        if trial.outcome is not None:
            return
        if reason := self.question.broken(trial.known):
            trial.outcome, trial.reason = Outcome.BROKEN, reason
        elif dominated_by_any(best, self.question.costs(trial.known)):
            trial.outcome = Outcome.DOMINATED

    def _conclude(self, trial: _Trial) -> None:
        if trial.outcome is None:
            reason = self.question.broken(trial.known)
            trial.outcome, trial.reason = (Outcome.BROKEN, reason) if reason else (Outcome.EVALUATED, "")

    def _record(self, trial: _Trial) -> Verdict:
        assert trial.outcome is not None
        key = "" if trial.config is None else trial.config.hash
        self._store.add_trial(
            self._key, StoredTrial(trial.number, trial.values, key, trial.outcome.value, trial.reason)
        )
        self.trials += 1
        self.counted[trial.outcome] += 1
        self._progress(self)
        source = self._known.get(key, trial)
        if source.outcome is Outcome.REFUSED:
            return Verdict(None)
        return Verdict(self.question.costs(source.known), self.question.excess(source.known))
