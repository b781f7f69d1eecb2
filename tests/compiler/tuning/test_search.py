"""The search: never slower, resumed where it was interrupted, and asked of nothing that it knows."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from tilewright.compiler.assemble import assemble_core
from tilewright.compiler.compile import compile_model
from tilewright.compiler.tuning import Effort, Tuner, TuningDatabase
from tilewright.driver.session import Session
from tilewright.models import DIGITS, DIGITS_TEST
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.timing import ProgramClock

BRIEF = Effort(level=1, layers=1, network=1, decisions=4, trials=4)


@dataclass
class Counting:
    """A clock that counts questions, and may break at one."""

    clock: ProgramClock
    breaks_at: int = 1 << 30
    asked: list[int] = field(default_factory=list)

    @property
    def identity(self):
        return self.clock.identity

    def cycles(self, program):
        if len(self.asked) == self.breaks_at:
            raise KeyboardInterrupt
        self.asked.append(self.clock.cycles(program))
        return self.asked[-1]


def tuned(graph, config, path, clock, *, search=True):
    with TuningDatabase(path) as database:
        tuner = Tuner(database, lambda _: clock, search=search, name="digits", effort=BRIEF)
        return tuner(graph, config), tuner.entry


def test_the_whole_network_decides(tmp_path, digits_graph, tiny, clock):
    schedule, entry = tuned(digits_graph, tiny, tmp_path / "t", clock)
    assert entry.searched == 1
    assert entry.heuristic == clock.cycles(assemble_core(digits_graph, tiny).program)
    assert entry.cycles == clock.cycles(assemble_core(digits_graph, tiny, schedule).program) <= entry.heuristic


def test_what_is_known_is_not_asked_again(tmp_path, digits_graph, tiny, clock):
    first = tuned(digits_graph, tiny, tmp_path / "t", clock)
    for search in (True, False):
        again = Counting(clock)
        assert tuned(digits_graph, tiny, tmp_path / "t", again, search=search)[0] == first[0]
        assert not again.asked


def test_a_longer_search_goes_beyond_a_short_one(tmp_path, digits_graph, tiny, clock):
    """And a short one does not begin where a longer one has ended."""
    longer = replace(BRIEF, level=2, decisions=8, trials=12)
    short = tuned(digits_graph, tiny, tmp_path / "t", clock)[1]
    with TuningDatabase(tmp_path / "t") as database:
        tuner = Tuner(database, lambda _: clock, search=True, effort=longer)
        tuner(digits_graph, tiny)
        assert tuner.entry.searched == 2 and tuner.entry.cycles <= short.cycles
    again = Counting(clock)
    assert tuned(digits_graph, tiny, tmp_path / "t", again)[1].searched == 2
    assert not again.asked


def test_the_outcome_is_the_same_every_time(tmp_path, digits_graph, tiny, clock):
    assert tuned(digits_graph, tiny, tmp_path / "a", clock)[0] == tuned(digits_graph, tiny, tmp_path / "b", clock)[0]


def test_an_interrupted_search_goes_on(tmp_path, digits_graph, tiny, clock):
    whole = Counting(clock)
    expected = tuned(digits_graph, tiny, tmp_path / "whole", whole)[0]
    broken = Counting(clock, breaks_at=len(whole.asked) * 2 // 3)
    with pytest.raises(KeyboardInterrupt):
        tuned(digits_graph, tiny, tmp_path / "t", broken)
    rest = Counting(clock)
    schedule, entry = tuned(digits_graph, tiny, tmp_path / "t", rest)
    assert len(rest.asked) < len(whole.asked)
    assert entry.searched == 1 and entry.cycles <= entry.heuristic
    assert entry.cycles == clock.cycles(assemble_core(digits_graph, tiny, expected).program)
    assert schedule == expected


def test_without_a_database_heuristics_decide(tmp_path, digits_graph, tiny, clock):
    untouched = Counting(clock)
    with TuningDatabase(tmp_path / "none", create=False) as database:
        tuner = Tuner(database, lambda _: untouched)
        schedule = tuner(digits_graph, tiny)
    assert tuner.entry is None and not schedule.layers and not untouched.asked


def test_tuned_programs_compute_the_same(tmp_path, tiny):
    with np.load(DIGITS_TEST) as test:
        inputs = {"image": test["images"][:1]}
    answers = []
    with TuningDatabase(tmp_path / "t") as database:
        for scheduler in (None, Tuner(database, ProgramClock, search=True, effort=BRIEF)):
            program = compile_model(DIGITS, tiny, scheduler=scheduler)
            answers.append(Session(program, NativeSimulator(tiny)).run(inputs))
    for name, answer in answers[0].items():
        np.testing.assert_array_equal(answer, answers[1][name])
