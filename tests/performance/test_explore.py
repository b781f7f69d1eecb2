"""How many designs a search looks at in a minute on two cores, compiled for and timed, schedules searched for."""

import multiprocessing
import os
from pathlib import Path
from time import perf_counter, process_time

import pytest
from tilewright.config import PRESETS, load_config
from tilewright.explore.metrics import FITS, parse_objectives
from tilewright.explore.question import Question
from tilewright.explore.rungs import Rung
from tilewright.explore.space import default_space
from tilewright.explore.store import Store
from tilewright.explore.study import Study
from tilewright.explore.workers import Processes, Setting
from tilewright.explore.workload import Workload

KWS = Path(__file__).parents[3] / "shared" / "models" / "kws_int8.tflite"
POINTS, LEAST = 160, 200
pytestmark = [
    pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes a minute: set TILEWRIGHT_BENCH"),
    pytest.mark.skipif(not KWS.is_file(), reason="needs the networks in shared/models beside the repository"),
]


class Warm(Processes):
    """Its processes have started, and imported what they need."""

    def cpu_seconds(self) -> float:
        """Of this process and of those that evaluate."""
        ticks = os.sysconf("SC_CLK_TCK")
        children = [Path(f"/proc/{child.pid}/stat").read_text() for child in multiprocessing.active_children()]
        return process_time() + sum(sum(map(int, text.rpartition(")")[2].split()[11:13])) for text in children) / ticks

    def warm(self, question: Question) -> None:
        with Store(None) as store:
            Study(question, store, self).search(16)


def test_kws() -> None:
    presets = tuple(load_config(name) for name in PRESETS)
    goals = parse_objectives(["latency", "area"])

    def question(seed: int) -> Question:
        setting = Setting(Workload.read([KWS]), "ulx3s-85f", seed)
        return Question(default_space(), setting, goals, (FITS,), "nsga2", presets)

    asked = question(1)
    with Store(None) as store, Warm(asked.setting, 2) as workers:
        workers.warm(question(99))
        study = Study(asked, store, workers)
        began, spent = perf_counter(), workers.cpu_seconds()
        study.search(POINTS)
        seconds, spent = perf_counter() - began, workers.cpu_seconds() - spent
    timed = study.evaluated[Rung.TIMING]
    measured = ", ".join(f"{count} {rung.label}" for rung, count in study.evaluated.items() if count)
    print(
        f"\nKWS on two cores: {60 * POINTS / seconds:,.0f} designs a minute, {60 * timed / seconds:,.0f} of them timed "
        f"({measured}). By CPU time, {spent:.1f} s: {120 * POINTS / spent:,.0f} and {120 * timed / spent:,.0f} a minute"
    )
    assert 60 * timed / seconds > LEAST
