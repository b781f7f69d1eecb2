"""Who evaluates points: the seam, and processes of this machine behind it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from threading import Thread
from types import TracebackType
from typing import Protocol

from ..config import Config
from ..errors import DeviceError
from ..fpga.boards import BOARDS
from .rungs import Measurement, Rung
from .store import Asked
from .tools import tool_versions
from .workload import Workload

__all__ = ["Job", "Processes", "Setting", "Workers", "evaluate", "usable_cores"]

_ATTEMPTS = 3


@dataclass(frozen=True)
class Setting:
    """What all points of a search have in common.

    Members
    -------
    board
        A name in BOARDS.
    seed
        Of the inputs that simulated networks are given.
    """

    workload: Workload
    board: str
    seed: int = 0

    def asked(self, rung: Rung) -> Asked:
        """What results at that rung depend on. Those of synthesis and routing serve every workload."""
        workload = "" if rung in (Rung.SYNTHESIS, Rung.ROUTED) else self.workload.key
        place = "" if rung in (Rung.TIMING, Rung.TUNED, Rung.RTL) else self.board
        return Asked(rung, workload, place, tool_versions(rung), self.seed if rung is Rung.RTL else 0)


@dataclass(frozen=True)
class Job:
    """A point to evaluate at a rung.

    Members
    -------
    tools
        The versions that it must be evaluated with; see :func:`.tools.tool_versions`.
    """

    rung: Rung
    config: Config
    tools: str


class Workers(Protocol):
    """Evaluate jobs, wherever they are."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement]]:
        """Each job's place and what it gave, as they end."""
        ...


def evaluate(setting: Setting, job: Job) -> Measurement:
    """The measurement of `job`, in this process."""
    from .evaluate import closed_form, timed
    from .verify import routed, simulated, synthesised

    rungs: dict[Rung, Callable[[], Measurement]] = {
        Rung.CLOSED_FORM: lambda: closed_form(setting.workload, job.config, BOARDS[setting.board]),
        Rung.TIMING: lambda: timed(setting.workload, job.config),
        Rung.TUNED: lambda: timed(setting.workload, job.config, tune=True),
        Rung.RTL: lambda: simulated(setting.workload, job.config, setting.seed),
        Rung.SYNTHESIS: lambda: synthesised(job.config, BOARDS[setting.board]),
        Rung.ROUTED: lambda: routed(job.config, BOARDS[setting.board]),
    }
    return rungs[job.rung]()


def usable_cores() -> int:
    """Of this machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """A pool of processes; with one job at a time, this process itself.

    Parameters
    ----------
    count
        How many; by default as many as there are cores.
    """

    def __init__(self, setting: Setting, count: int | None = None) -> None:
        self._setting = setting
        self._count = count or usable_cores()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is None:
            return
        mine = [child for child in multiprocessing.active_children() if kind is not None]
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        for child in mine:  # what was interrupted is not waited for, nor the tools that it has started
            with suppress(OSError):
                _end(child)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement]]:
        """As :class:`Workers`; a worker that dies is replaced, and its job tried again.

        Raises
        ------
        DeviceError
            Workers died of the same jobs again and again.
        """
        if self._count == 1:
            yield from ((place, evaluate(self._setting, job)) for place, job in enumerate(jobs))
            return
        left = dict(enumerate(jobs))
        for _ in range(_ATTEMPTS):
            try:
                for place, measurement in self._attempt(left):
                    del left[place]
                    yield place, measurement
                return
            except BrokenProcessPool:
                self._pool = None
        raise DeviceError(f"the search's processes must live, but died {_ATTEMPTS} times: is memory too short?")

    def _attempt(self, jobs: dict[int, Job]) -> Iterator[tuple[int, Measurement]]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._count, mp_context=context, initializer=_begin, initargs=(self._setting,)
            )
        futures: dict[Future[Measurement], int] = {
            self._pool.submit(_evaluate_here, job): place for place, job in jobs.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _end(child: BaseProcess) -> None:
    assert child.pid is not None
    if os.getpgid(child.pid) == child.pid:
        os.killpg(child.pid, signal.SIGTERM)
    else:  # it has not begun yet
        child.terminate()


_here: list[Setting] = []


def _begin(setting: Setting) -> None:
    """In a worker: Ctrl-C is the parent's to handle, and must not reach the tools that the worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setpgid(0, 0)
    Thread(target=_end_with_parent, daemon=True).start()
    _here[:] = [setting]


def _end_with_parent() -> None:
    """A search that was killed leaves nobody behind: its workers would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)


def _evaluate_here(job: Job) -> Measurement:
    return evaluate(_here[0], job)
