"""A search from its beginning to its front: points are chosen, judged and kept, and the front climbs."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..config import Config
from ..errors import ConfigError
from .correction import Correction
from .front import dominated_by_any, non_dominated
from .ladder import Ladder, Trial
from .promise import expected_gain, hopeful, spread, uncertain
from .question import Candidate, Outcome, Question
from .rungs import Knowledge, Rung
from .searchers import Verdict, make_searcher
from .store import Store, StoredTrial
from .workers import Workers

__all__ = ["Study"]

_BATCH = 16
_ASKS_A_TRIAL = 50  # a searcher that only finds what is known already is stopped after so many


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
    correction
        What was learnt from earlier syntheses.
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
        self.correction = Correction.from_store(store, question)
        self._store = store
        self._progress = progress
        self._ladder = Ladder(question, store, workers, self.correction, lambda: progress(self))
        self._known: dict[str, Trial] = {}
        self._gains: list[float] = []
        self._required: frozenset[Rung] = frozenset()
        self._key = question.key

    @property
    def evaluated(self) -> Mapping[Rung, int]:
        return self._ladder.evaluated

    def search(self, points: int) -> None:
        """Until so many different points were looked at, or the searcher has no more."""
        question = self.question
        self._store.add_study(self._key, question.to_json())
        inside = (question.space.values_of(config) for config in question.first)
        earlier = (trial.values for trial in self._store.trials(question.earlier) if trial.outcome != Outcome.REPEATED)
        first = [dict(values) for values in (*inside, *earlier) if values is not None]
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
                self._ladder.recall(trial, rung)
            self._known[trial.config.hash] = trial
            self.points += 1
            before = Outcome(stored.outcome)
            if trial.outcome is Outcome.DOMINATED and Rung.TIMING in trial.measured:
                trial.outcome = Outcome.EVALUATED  # it was judged again
            if before in (Outcome.EVALUATED, Outcome.DOMINATED):
                self._review(trial, before)
        self._required = frozenset(Rung(rung) for rung in self._store.front_rungs(self._key))

    def front(self) -> list[Candidate]:
        """What keeps all constraints and is dominated by nothing, ascending by the first goal.

        After :meth:`climb`, of what has been measured on its rungs alone.
        """
        return [Candidate(t.hardware, t.known, t.number) for t in self._front_trials(self._required)]

    @property
    def unreported(self) -> int:
        """How many designs are not on the front for want of the rungs that it must have."""
        reported = {trial.number for trial in self._front_trials(self._required)}
        return sum(trial.number not in reported for trial in self._front_trials())

    def looked_at(self) -> Iterator[tuple[int, Config, Knowledge, Outcome, str]]:
        """Every point, by its first trial's number: what is known of it, its outcome and the reason."""
        for trial in self._known.values():
            assert trial.outcome is not None
            yield trial.number, trial.hardware, trial.known, trial.outcome, trial.reason

    def climb(self, rungs: Sequence[Rung], most: int | None = None) -> None:
        """Measure the front on `rungs`, ascending, until every point on it has been, or `most` of them.

        What is learnt may break a constraint, or put other points on the front: also those that were spared the timing
        model, or better schedules, for the costs that others seemed to have. Of a larger front both ends are chosen and
        what lies farthest from all that were.
        """
        self._recall()
        while True:
            self._reconsider()
            front = self._front_trials()
            done = [place for place, trial in enumerate(front) if trial.measured.issuperset(rungs)]
            room = (len(front) if most is None else most) - len(done)
            chosen = spread([self.question.costs(trial.known) for trial in front], done, max(room, 0))
            if not chosen:
                break
            self._measure_all([front[place] for place in chosen], rungs)
        self._required = frozenset(rungs)
        self._store.add_front(self._key, [int(rung) for rung in rungs])

    def _recall(self) -> None:
        """What the store knows of points by higher rungs than this search has asked: other searches have."""
        for trial in self._able():
            for rung in (Rung.TUNED, Rung.RTL, Rung.SYNTHESIS, Rung.ROUTED):
                told = Rung.TUNED in trial.measured or rung is not Rung.RTL  # which runs tuned schedules
                if trial.outcome is Outcome.EVALUATED and rung not in trial.measured and told:
                    self._ladder.recall(trial, rung)
            if trial.outcome is not Outcome.EVALUATED or self.question.broken(trial.known):
                self._review(trial)

    def _measure_all(self, trials: Sequence[Trial], rungs: Sequence[Rung]) -> None:
        for rung in rungs:
            ready = [each for each in trials if each.outcome is Outcome.EVALUATED and rung not in each.measured]
            self._ladder.measure(ready, rung)
            for trial in ready:
                self._review(trial)

    def _reconsider(self) -> None:
        """Judge again what was spared a rung by comparison with costs that turned out to be higher."""
        best = [self.question.costs(trial.known) for trial in self._front_trials()]
        spared = [trial for trial in self._known.values() if trial.outcome is Outcome.DOMINATED]
        hopes = [trial for trial in spared if not dominated_by_any(best, self.question.costs(trial.known))]
        self._ladder.measure(hopes, Rung.TIMING)
        for trial in hopes:
            if trial.outcome is Outcome.DOMINATED:
                trial.outcome = None
                self._conclude(trial)
            self._count(trial, Outcome.DOMINATED)
        timed = [trial for trial in self._able() if Rung.TUNED not in trial.measured]
        self._measure_all(hopeful(self.question, timed, best, expected_gain(self._gains)), [Rung.TUNED])

    def explore(self, count: int) -> None:
        """Synthesise up to `count` more points: of those that may belong on the front, the least known first."""
        best = [self.question.costs(candidate.known) for candidate in self.front()]
        able = [trial for trial in self._able() if Rung.SYNTHESIS not in trial.measured]
        known = [trial.hardware for trial in self._known.values() if Rung.SYNTHESIS in trial.measured]
        chosen = uncertain(self.question, able, best, known, self.correction)[:count]
        self._ladder.measure(chosen, Rung.SYNTHESIS)
        for trial in chosen:
            self._review(trial)

    def _able(self) -> list[Trial]:
        return [trial for trial in self._known.values() if trial.outcome is Outcome.EVALUATED]

    def _front_trials(self, rungs: frozenset[Rung] = frozenset()) -> list[Trial]:
        """The front of what has been measured on `rungs`."""
        able = [trial for trial in self._able() if rungs <= trial.measured]
        return [able[place] for place in non_dominated([self.question.costs(trial.known) for trial in able])]

    def _review(self, trial: Trial, before: Outcome = Outcome.EVALUATED) -> None:
        """A trial that was evaluated may turn out to be worse than it looked."""
        if trial.outcome is Outcome.EVALUATED and (reason := self.question.broken(trial.known)):
            trial.outcome, trial.reason = Outcome.BROKEN, reason
        self._count(trial, before)

    def _count(self, trial: Trial, before: Outcome) -> None:
        """What was `before` is what it is now."""
        assert trial.outcome is not None
        self.counted[before] -= 1
        self.counted[trial.outcome] += 1

    def _within(self, asked: Sequence[Mapping[str, int]], room: int) -> list[Trial]:
        """The first of `asked`, as far as `room` points are new."""
        trials: list[Trial] = []
        fresh: set[str] = set()
        for values in asked:
            trial = self._trial(self.trials + len(trials), values)
            if trial.config is not None and trial.config.hash not in self._known:
                fresh.add(trial.config.hash)
            if len(fresh) > room:
                break
            trials.append(trial)
        return trials

    def _trial(self, number: int, values: Mapping[str, int]) -> Trial:
        try:
            return Trial(number, values, self.question.space.config(values))
        except ConfigError as error:
            return Trial(number, values, None, Outcome.REFUSED, str(error))

    def _judge(self, trials: Sequence[Trial]) -> list[Verdict]:
        """Evaluate points side by side; verdicts in their order."""
        fresh: dict[str, Trial] = {}
        for trial in trials:
            if trial.config is None:
                continue
            if trial.config.hash in self._known or trial.config.hash in fresh:
                trial.outcome = Outcome.REPEATED
            else:
                fresh[trial.config.hash] = trial
        best = [self.question.costs(candidate.known) for candidate in self.front()]
        self._ladder.measure(list(fresh.values()), Rung.CLOSED_FORM)
        for trial in fresh.values():
            self._screen(trial, best)
        self._ladder.measure([trial for trial in fresh.values() if trial.outcome is None], Rung.TIMING)
        timed = [trial for trial in fresh.values() if trial.outcome is None]
        before = {trial.number: trial.known.quantities["cycles"] for trial in timed}
        tuned = hopeful(self.question, timed, best, expected_gain(self._gains))
        self._ladder.measure(tuned, Rung.TUNED)
        self._gains += [1 - trial.known.quantities["cycles"] / before[trial.number] for trial in tuned]
        for trial in fresh.values():
            self._conclude(trial)
        self._known |= fresh
        self.points += len(fresh)
        return [self._record(trial) for trial in trials]

    def _screen(self, trial: Trial, best: Sequence[Sequence[float]]) -> None:
        """Closed forms never say too much of cycles: what fails by them fails."""
        if trial.outcome is not None:
            return
        if reason := self.question.broken(trial.known):
            trial.outcome, trial.reason = Outcome.BROKEN, reason
        elif dominated_by_any(best, self.question.costs(trial.known)):
            trial.outcome = Outcome.DOMINATED

    def _conclude(self, trial: Trial) -> None:
        if trial.outcome is None:
            reason = self.question.broken(trial.known)
            trial.outcome, trial.reason = (Outcome.BROKEN, reason) if reason else (Outcome.EVALUATED, "")

    def _record(self, trial: Trial) -> Verdict:
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
