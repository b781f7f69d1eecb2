"""Real designs all the way: a small space of which everything is known, and a front in Verilog and synthesis.

They take minutes: in `make soak`, which sets TILEWRIGHT_PROGRAMS.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tilewright.explore.metrics import FITS, parse_constraint, parse_objectives
from tilewright.explore.question import Outcome, Question
from tilewright.explore.rungs import Rung
from tilewright.explore.space import Space, default_space
from tilewright.explore.store import Store
from tilewright.explore.study import Study
from tilewright.explore.verify import require_tools
from tilewright.explore.workers import Processes, Setting
from tilewright.explore.workload import Workload
from tilewright.models import DIGITS

pytestmark = pytest.mark.skipif(int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") < 100_000, reason="in make soak")

LIMITS = (FITS, parse_constraint("dsp<=100"))


def space(**values: tuple[int, ...]) -> Space:
    few = {parameter.name: (parameter.values[0],) for parameter in default_space().parameters}
    fixed = {"vector_lanes": (4,), "queue_depth": (4,), "wgt_depth": (256,), "acc_depth": (256,), "act_banks": (2,)}
    return default_space().narrowed({**few, **fixed, **values})


def question(searched: Space, searcher: str, *, limits: Any = LIMITS) -> Question:
    setting = Setting(Workload.read([Path(DIGITS)]), "ulx3s-85f", seed=3)
    return Question(searched, setting, parse_objectives(["latency", "area"]), limits, searcher)


@pytest.fixture(scope="module")
def everything() -> Callable[..., Space]:
    """Of 192 combinations."""
    return lambda: space(
        block_in=(4, 8, 16), block_out=(4, 8), vector_lanes=(2, 4), act_depth=(512, 1024, 2048, 8192),
        act_banks=(2, 4), queue_depth=(4, 8),
    )  # fmt: skip


def test_a_search_finds_what_trying_everything_finds(everything: Callable[..., Space], tmp_path: Path) -> None:
    truth = question(everything(), "exhaustive")
    assert truth.space.size == 192
    with Store(tmp_path / "all.db") as store, Processes(truth.setting, 2) as workers:
        every = Study(truth, store, workers)
        every.search(192)
    assert every.counted[Outcome.BROKEN] and len(every.front()) > 4
    asked = question(everything(), "nsga2")
    with Store(tmp_path / "some.db") as store, Processes(asked.setting, 2) as workers:
        some = Study(asked, store, workers)
        some.search(120)
    costs = [[study.question.costs(candidate.known) for candidate in study.front()] for study in (some, every)]
    assert costs[0] == costs[1]
    for candidate in some.front():
        assert all(limit.excess(candidate.known, asked.board) <= 0 for limit in LIMITS)


def test_a_front_is_run_in_verilog_and_synthesised(tmp_path: Path) -> None:
    asked = question(space(block_in=(4,), block_out=(4, 8), act_depth=(1024,)), "exhaustive")
    require_tools(asked.board)
    rungs = (Rung.TUNED, Rung.RTL, Rung.SYNTHESIS)
    with Store(tmp_path / "explore.db") as store, Processes(asked.setting, 1) as workers:
        study = Study(asked, store, workers)
        study.search(2)
        foretold = {candidate.config.hash: candidate.known.quantities["cycles"] for candidate in study.front()}
        study.climb(rungs)
        again = Study(asked, store, workers)
        again.search(2)
        again.climb(rungs)
    assert study.front() == again.front() and not any(again.evaluated.values())
    assert len(study.front()) == 2 and study.evaluated[Rung.RTL] == study.evaluated[Rung.SYNTHESIS] == 2
    for candidate in study.front():
        known = candidate.known
        assert known.rungs["cycles"] is Rung.RTL and known.rungs["lut"] is known.rungs["dsp"] is Rung.SYNTHESIS
        assert known.quantities["cycles"] == pytest.approx(foretold[candidate.config.hash], rel=0.02)
