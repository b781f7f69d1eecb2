"""A search on a real Dask cluster of this machine, of which a worker is killed in the middle.

Its five processes take half a minute of CPU time: in `make soak`, which sets TILEWRIGHT_PROGRAMS.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tilewright.errors import DeviceError
from tilewright.explore.question import Question
from tilewright.explore.rungs import Rung
from tilewright.explore.space import Parameter
from tilewright.explore.store import Store
from tilewright.explore.study import Study
from tilewright.explore.workers import Job, Processes, Setting

pytest.importorskip("distributed")

POINTS = 12
SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000


@contextmanager
def process(*words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[str]"]]]:
    """The scheduler's address and three workers."""
    with ExitStack() as stack:
        place = ("--host", "127.0.0.1", "--no-dashboard")
        scheduler = stack.enter_context(process("dask_scheduler", "--port", "0", *place))
        address = announced(scheduler, "Scheduler at:")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
        workers = [stack.enter_context(process("dask_worker", address, *options)) for _ in range(3)]
        for worker in workers:
            announced(worker, "Registered to:")
        yield address, workers


def announced(started: "subprocess.Popen[str]", words: str) -> str:
    """The address after `words` in what it says."""
    assert started.stderr is not None
    for line in started.stderr:
        if words in line:
            return line.split()[-1]
    pytest.fail(f"it did not say {words!r}")


@pytest.fixture
def question(ask: Callable[..., Question]) -> Question:
    asked = ask("random")
    small = {"block_in": (4, 8), "block_out": (4, 8, 16), "act_depth": (1024, 4096), "queue_depth": (4, 8)}
    assert isinstance(asked.space.parameters[0], Parameter)
    return Question(asked.space.narrowed(small), asked.setting, asked.goals, asked.constraints, "random")


@pytest.mark.skipif(not SOAK, reason="in make soak")
def test_nothing_is_lost_or_repeated_where_a_worker_is_killed(cluster: Any, question: Question, tmp_path: Path) -> None:
    from tilewright.explore.cluster import Cluster

    address, processes = cluster
    seen: list[tuple[Rung, str]] = []

    class Watched(Cluster):
        """Kills a worker once some results are there."""

        def run(self, jobs: Any) -> Iterator[Any]:
            for place, measurement in super().run(jobs):
                seen.append((measurement.rung, jobs[place].config.hash))
                if len(seen) == POINTS + 2:
                    processes[0].send_signal(signal.SIGKILL)
                yield place, measurement

    with Store(tmp_path / "cluster.db") as store, Watched(question.setting, address) as workers:
        study = Study(question, store, workers)
        study.search(POINTS)
        trials = store.trials(question.key)
    assert processes[0].wait(timeout=10) == -signal.SIGKILL and all(each.poll() is None for each in processes[1:])
    assert len(seen) == len(set(seen)), "evaluated twice"
    assert [trial.number for trial in trials] == list(range(study.trials)) and study.points == POINTS

    with Store(tmp_path / "alone.db") as store, Processes(question.setting, 1) as alone:
        expected = Study(question, store, alone)
        expected.search(POINTS)
        assert store.trials(question.key) == trials
    assert expected.front() == study.front() and len(study.front()) > 1


def test_workers_of_another_version_are_refused(question: Question) -> None:
    from tilewright.explore.cluster import evaluate_there

    config = question.space.config({**next(question.space.combinations())})
    with pytest.raises(DeviceError, match=r"^workers of the cluster must have the search's own version of Tilewright"):
        evaluate_there(question.setting, Job(Rung.CLOSED_FORM, config, "{}"))


def test_an_address_that_no_one_answers(workload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.explore import cluster

    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 0.2)
    with pytest.raises(
        DeviceError, match=r"^--cluster must be the address of a Dask scheduler, not 'tcp://127.0.0.1:9'"
    ):
        cluster.Cluster(Setting(workload, "ulx3s-85f"), "tcp://127.0.0.1:9")
