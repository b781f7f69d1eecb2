"""Trials and what is known of them, rung by rung: measured once, and found in the store ever after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..config import Config
from .correction import Correction
from .question import Outcome, Question
from .rungs import Knowledge, Measurement, Rung
from .store import Store
from .workers import Job, Workers

__all__ = ["Ladder", "Trial"]

_MOST_ERROR = 0.02  # of the cycles foretold


@dataclass
class Trial:
    """A point that is being judged.

    Members
    -------
    config
        None where the values are not legal.
    measured
        The rungs that were asked.
    """

    number: int
    values: Mapping[str, int]
    config: Config | None = None
    outcome: Outcome | None = None
    reason: str = ""
    known: Knowledge = field(default_factory=Knowledge)
    measured: set[Rung] = field(default_factory=set)

    @property
    def hardware(self) -> Config:
        """Its configuration, of a trial that is legal."""
        assert self.config is not None
        return self.config


class Ladder:
    """Measures trials.

    Parameters
    ----------
    correction
        Of what closed forms say.
    progress
        Called after every measurement.

    Members
    -------
    evaluated
        How many points were evaluated in this run, by rung, and not found in the store.
    """

    def __init__(
        self,
        question: Question,
        store: Store,
        workers: Workers,
        correction: Correction,
        progress: Callable[[], object],
    ) -> None:
        self.evaluated = dict.fromkeys(Rung, 0)
        self._setting = question.setting
        self._store = store
        self._workers = workers
        self._correction = correction
        self._progress = progress

    def measure(self, trials: Sequence[Trial], rung: Rung) -> None:
        """From the store, or by the workers; each result is kept as soon as it is there."""
        missing = [trial for trial in trials if not self.recall(trial, rung)]
        asked = self._setting.asked(rung)
        jobs = [Job(rung, trial.hardware, asked.tools) for trial in missing]
        for place, measurement in self._workers.run(jobs):
            self._store.add_result(jobs[place].config, asked, measurement)
            self.evaluated[rung] += 1
            self._learn(missing[place], measurement)
            self._progress()

    def recall(self, trial: Trial, rung: Rung) -> bool:
        """Whether the store had it."""
        measurement = self._store.result(trial.hardware.hash, self._setting.asked(rung))
        if measurement is not None:
            self._learn(trial, measurement)
        return measurement is not None

    def _learn(self, trial: Trial, measurement: Measurement) -> None:
        trial.measured.add(measurement.rung)
        refused = measurement.refused or _unforetold(trial.known, measurement)
        if refused:
            failed = measurement.rung >= Rung.RTL
            trial.outcome, trial.reason = (Outcome.FAILED if failed else Outcome.REFUSED), refused
            return
        trial.known = trial.known.learnt(measurement)
        if measurement.rung is Rung.CLOSED_FORM:
            trial.known = trial.known.learnt(self._correction.corrected(trial.hardware, measurement.quantities))


def _unforetold(known: Knowledge, measurement: Measurement) -> str:
    """In what the Verilog is not what the timing model foretold; "" where it is."""
    if measurement.rung is not Rung.RTL or "cycles" not in known.quantities:
        return ""
    expected, found = known.quantities["cycles"], measurement.quantities.get("cycles", 0.0)
    if abs(found - expected) <= _MOST_ERROR * expected:
        return ""
    return f"the Verilog must take the {expected:,.0f} cycles that were foretold, not {found:,.0f}"
