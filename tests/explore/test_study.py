"""Searches whose truth is known: fronts, constraints, interruption, seeds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tilewright.explore.front import dominated_by_any, non_dominated
from tilewright.explore.metrics import parse_constraint
from tilewright.explore.question import Outcome, Question
from tilewright.explore.rungs import Measurement, Rung
from tilewright.explore.store import Store
from tilewright.explore.study import Study
from tilewright.explore.workers import Job

Ask = Callable[..., Question]
VERIFIED = (Rung.TUNED, Rung.RTL, Rung.SYNTHESIS)


def searched(question: Question, workers: Any, points: int = 10_000, store: Store | None = None) -> Study:
    study = Study(question, store or Store(None), workers)
    study.search(points)
    return study


def front(study: Study) -> list[tuple[str, tuple[float, ...]]]:
    return [(candidate.config.hash, study.question.costs(candidate.known)) for candidate in study.front()]


def true_front(question: Question, workers: Any) -> list[tuple[float, ...]]:
    """By evaluating everything and comparing everything with everything."""
    found = []
    for values in question.space.combinations():
        config = question.space.config(values)
        quantities: dict[str, float] = {}
        refused = ""
        for _, measurement in workers.run([Job(Rung.CLOSED_FORM, config, "")]):
            quantities |= measurement.quantities
        for _, measurement in workers.run([Job(Rung.TIMING, config, "")]):
            quantities |= measurement.quantities
            refused = measurement.refused
        share = quantities["lut"] / question.board.has.lut
        if not refused and share <= 1:
            found.append((quantities["cycles"], share))
    return sorted(
        {a for a in found if not any(b[0] <= a[0] and b[1] <= a[1] and b != a for b in found)},
    )


def test_an_exhaustive_search_finds_the_true_front(ask: Ask, formula_workers: Any) -> None:
    study = searched(ask("exhaustive"), formula_workers())
    assert study.points == study.question.space.size == 192
    assert [cost for _, cost in front(study)] == true_front(study.question, formula_workers())
    assert study.counted[Outcome.DOMINATED] > 0 < study.counted[Outcome.REFUSED]
    assert study.evaluated[Rung.TIMING] < 192  # closed forms spared some


@pytest.mark.parametrize("searcher", ["nsga2", "tpe"])
def test_a_search_finds_the_true_front_of_a_small_space(ask: Ask, formula_workers: Any, searcher: str) -> None:
    study = searched(ask(searcher), formula_workers(), points=150)
    truth = true_front(study.question, formula_workers())
    assert [cost for _, cost in front(study)] == truth and len(truth) > 5


@pytest.mark.parametrize("searcher", ["nsga2", "tpe", "random"])
def test_a_seed_gives_one_front(ask: Ask, formula_workers: Any, searcher: str) -> None:
    first, again = (searched(ask(searcher), formula_workers(), points=60) for _ in range(2))
    assert front(first) == front(again) and first.trials == again.trials
    other = searched(ask(searcher, seed=2), formula_workers(), points=60)
    assert {trial[1].hash for trial in other.looked_at()} != {trial[1].hash for trial in first.looked_at()}


@pytest.mark.parametrize("searcher", ["nsga2", "exhaustive"])
@pytest.mark.parametrize("until", [1, 40, 101])
def test_an_interrupted_search_goes_on(
    ask: Ask, formula_workers: Any, tmp_path: Path, searcher: str, until: int
) -> None:
    whole = formula_workers()
    expected = searched(ask(searcher), whole, points=100)
    path = tmp_path / "explore.db"
    before, after = formula_workers(until=until), formula_workers()
    with Store(path) as store, pytest.raises(KeyboardInterrupt):
        searched(ask(searcher), before, points=100, store=store)
    with Store(path) as store:
        resumed = searched(ask(searcher), after, points=100, store=store)
        trials = store.trials(resumed.question.key)
    assert front(resumed) == front(expected) and resumed.trials == expected.trials
    evaluated = [(job.rung, job.config.hash) for job in (*before.jobs[:until], *after.jobs)]
    assert len(evaluated) == len(set(evaluated)), "evaluated twice"
    assert set(evaluated) == {(job.rung, job.config.hash) for job in whole.jobs}, "lost"
    assert [trial.number for trial in trials] == list(range(resumed.trials))


def test_a_search_of_more_points_goes_on_where_a_shorter_one_ended(
    ask: Ask, formula_workers: Any, tmp_path: Path
) -> None:
    expected = searched(ask("nsga2"), formula_workers(), points=90)
    with Store(tmp_path / "explore.db") as store:
        short = searched(ask("nsga2"), formula_workers(), points=37, store=store)
        assert short.points == 37
        workers = formula_workers()
        longer = searched(ask("nsga2"), workers, points=90, store=store)
    assert front(longer) == front(expected) and longer.points == 90
    assert sum(job.rung is Rung.CLOSED_FORM for job in workers.jobs) == 90 - 37


@pytest.mark.parametrize("searcher", ["nsga2", "random", "exhaustive"])
@pytest.mark.parametrize("limit", ["area<=30%", "cycles<=30000", "lut>=20000"])
def test_no_design_breaks_a_constraint(ask: Ask, formula_workers: Any, searcher: str, limit: str) -> None:
    constraint = parse_constraint(limit)
    study = searched(ask(searcher, constraint), formula_workers(), points=120)
    assert study.front() and study.counted[Outcome.BROKEN]
    for candidate in study.front():
        assert constraint.excess(candidate.known, study.question.board) <= 0
    reasons = {reason for *_, outcome, reason in study.looked_at() if outcome is Outcome.BROKEN}
    assert all(reason.startswith(("area must be <= ", f"{constraint.metric.name} must be ")) for reason in reasons)


def test_nothing_keeps_what_can_t_be_kept(ask: Ask, formula_workers: Any) -> None:
    study = searched(ask("exhaustive", parse_constraint("cycles<=1")), formula_workers())
    assert study.front() == [] and study.evaluated[Rung.TIMING] == 0


def test_the_front_climbs_until_all_of_it_is_known(ask: Ask, formula_workers: Any) -> None:
    designs: dict[str, int] = {}

    class Climbers(formula_workers):  # type: ignore[misc]
        """Synthesis finds every second design of the front larger than the board."""

        def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement]]:
            if not jobs or jobs[0].rung < Rung.RTL:
                yield from super().run(jobs)
                return
            for place, job in enumerate(jobs):
                if job.rung is Rung.RTL:
                    yield place, replace(self._measured(job), rung=Rung.RTL)
                    continue
                large = designs.setdefault(job.config.hash, len(designs)) % 2
                yield place, Measurement(job.rung, {"lut": 100_000.0 if large else 40_000.0})

    study = searched(ask("exhaustive"), Climbers())
    before, dominated_before = len(study.front()), study.counted[Outcome.DOMINATED]
    study.climb((Rung.RTL, Rung.SYNTHESIS))
    after = study.front()
    assert after and study.evaluated[Rung.SYNTHESIS] >= before
    assert all(candidate.known.rungs["lut"] is Rung.SYNTHESIS for candidate in after)
    assert all(candidate.known.quantities["lut"] == 40_000 for candidate in after)
    assert study.counted[Outcome.BROKEN] and study.counted[Outcome.EVALUATED]
    assert sum(study.counted.values()) == study.trials == 192
    costs = [study.question.costs(candidate.known) for candidate in after]
    spared = [known for *_, known, outcome, _ in study.looked_at() if outcome is Outcome.DOMINATED]
    assert all(dominated_by_any(costs, study.question.costs(known)) for known in spared), "not judged again"
    assert study.counted[Outcome.DOMINATED] == len(spared) < dominated_before


def test_a_large_front_is_verified_along_its_length(ask: Ask, formula_workers: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "explore.db") as store:
        study = searched(ask("exhaustive"), formula_workers(), store=store)
        whole = front(study)
        study.climb(VERIFIED, 4)
        chosen = front(study)
        restored = Study(study.question, store, formula_workers())
        restored.restore()
        assert front(restored) == chosen and restored.counted == study.counted
        assert study.unreported == restored.unreported == len(whole) - 4
        assert len(chosen) == 4 < len(whole) and chosen[0] == whole[0] and chosen[-1] == whole[-1]
        assert all(candidate.known.rungs["cycles"] is Rung.SYNTHESIS for candidate in study.front())
        study.climb(VERIFIED)
        assert front(study) == whole and study.unreported == 0


def test_points_are_judged_again_by_what_was_learnt_since(ask: Ask, formula_workers: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "explore.db") as store:
        first = searched(ask("nsga2").continued(store.studies(), 0), formula_workers(), points=40, store=store)
        before = {config.hash for _, config, *_ in first.looked_at()}
        assert ask("nsga2").continued(store.studies(), 0, anew=True) == first.question, "nothing was learnt"
        anew = ask("nsga2").continued(store.studies(), 7, anew=True)
        assert (anew.learnt_from, anew.earlier) == (7, first.question.key)
        workers = formula_workers()
        again = searched(anew, workers, points=50, store=store)
        assert {config.hash for _, config, *_ in again.looked_at()} > before and again.points == 50
        assert len([job for job in workers.jobs if job.rung is Rung.CLOSED_FORM]) == 10, "evaluated twice"
        again.climb((Rung.TUNED,))
        assert all(candidate.known.rungs["cycles"] is Rung.TUNED for candidate in again.front())
        other = searched(ask("nsga2", seed=2), formula_workers(), points=20, store=store)
        other.climb((Rung.TUNED, Rung.SYNTHESIS))
        again.climb((Rung.TUNED,))
        shared = {one.config.hash for one in other.front()} & {one.config.hash for one in again.front()}
        found = {one.config.hash: one.known.rungs["cycles"] for one in again.front()}
        assert shared and all(found[key] is Rung.SYNTHESIS for key in shared), "not taken from the store"
        assert ask("nsga2").continued(store.studies(), 9) == anew
        assert Question.from_json(anew.to_json()).key == anew.key


def test_a_design_that_fails_in_verilog_is_said_to_and_leaves_the_front(
    ask: Ask, formula_workers: Any, tmp_path: Path
) -> None:
    class Failing(formula_workers):  # type: ignore[misc]
        """The fastest design takes 3% more cycles in Verilog than foretold, the next one computes something else."""

        def _measured(self, job: Job) -> Measurement:
            found = replace(super()._measured(job), rung=job.rung)
            if job.rung is Rung.RTL and job.config.hash == wrong[0]:
                return replace(found, quantities={"cycles": 1.03 * found.quantities["cycles"]})
            if job.rung is Rung.RTL and job.config.hash == wrong[1]:
                return Measurement(Rung.RTL, refused=f"{job.config.name}: output y differs")
            return found

    path, workers = tmp_path / "explore.db", Failing()
    with Store(path) as store:
        study = searched(ask("exhaustive"), workers, store=store)
        wrong = [key for key, _ in front(study)[:2]]
        study.climb(VERIFIED)
        expected = front(study)
        failed = {config.hash: reason for _, config, _, outcome, reason in study.looked_at() if outcome == "failed"}
    assert set(failed) == set(wrong) and study.counted[Outcome.FAILED] == 2
    assert failed[wrong[0]].startswith("the Verilog must take the ") and "output y differs" in failed[wrong[1]]
    synthesised = {job.config.hash for job in workers.jobs if job.rung is Rung.SYNTHESIS}
    assert synthesised.issuperset(key for key, _ in expected) and not synthesised & set(wrong)

    again = Failing()
    with Store(path) as store:
        repeated = searched(ask("exhaustive"), again, store=store)
        repeated.climb(VERIFIED)
        restored = Study(repeated.question, store, again)
        restored.restore()
    assert not again.jobs, "evaluated twice"
    assert front(repeated) == front(restored) == expected


def test_a_search_keeps_to_what_it_had_learnt_when_it_began(ask: Ask, formula_workers: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "explore.db") as store:
        first = ask("nsga2").continued(store.studies(), 0)
        searched(first, formula_workers(), points=20, store=store).climb((Rung.SYNTHESIS,))
        asked = first.setting.asked(Rung.SYNTHESIS)
        last = max(number for number, *_ in store.results(asked))
        assert ask("nsga2").continued(store.studies(), last) == first
        anew = ask("nsga2", seed=2).continued(store.studies(), last)
        assert anew.learnt_from == last > 0 == first.learnt_from
        assert Question.from_json(anew.to_json()).key == anew.key


def test_presets_are_tried_first(ask: Ask, formula_workers: Any) -> None:
    question = ask("random")
    chosen = question.space.config(
        {"block_in": 8, "block_out": 8, "act_depth": 512, "queue_depth": 8, "vector_lanes": 4}
    )
    with_first = Question(
        question.space, question.setting, question.goals, question.constraints, "random", (chosen.replace(name="mine"),)
    )
    study = searched(with_first, formula_workers(), points=1)
    assert [config.hash for _, config, *_ in study.looked_at()] == [chosen.hash]


def test_fronts() -> None:
    costs = [(2.0, 2.0), (1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (3.0, 3.0), (1.0, 4.0)]
    assert non_dominated(costs) == [1, 0, 3]
    assert non_dominated([]) == []
