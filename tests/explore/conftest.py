"""A space of 192 points, and workers that know what each costs without compiling anything."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tilewright.explore.metrics import FITS, Constraint, parse_objectives
from tilewright.explore.question import Question
from tilewright.explore.rungs import Measurement, Rung
from tilewright.explore.space import Parameter, Space
from tilewright.explore.workers import Job, Setting
from tilewright.explore.workload import Workload
from tilewright.models import DIGITS


class FormulaWorkers:
    """Costs with many local fronts: cycles fall with multipliers up to where memory is too short to feed them."""

    def __init__(self, *, until: int | None = None) -> None:
        self.jobs: list[Job] = []
        self._until = until

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement]]:
        for place in reversed(range(len(jobs))):
            if len(self.jobs) == self._until:
                raise KeyboardInterrupt
            self.jobs.append(jobs[place])
            yield place, self._measured(jobs[place])

    def _measured(self, job: Job) -> Measurement:
        config = job.config
        least = 1_000_000 / config.macs_per_cycle
        if job.rung is Rung.CLOSED_FORM:
            takes = {"lut": 100.0 * config.macs_per_cycle + config.act_depth, "ff": 1.0, "dsp": 1.0, "block_ram": 1.0}
            known = {"cycles": least, "fmax": 1e8, "bytes_read": 1.0, "bytes_written": 1.0, "energy": 1e-6, "macs": 1e6}
            return Measurement(job.rung, {**takes, **known})
        if config.act_depth < 32 * config.block_in:
            return Measurement(job.rung, refused=f"{config.name}: act_depth must be at least {32 * config.block_in}")
        wasted = 1 + config.macs_per_cycle / config.act_depth + abs(config.block_in - config.block_out) / 40
        return Measurement(job.rung, {"cycles": least * wasted * (1.2 - 0.01 * config.queue_depth)})


@pytest.fixture
def space() -> Space:
    return Space(
        (
            Parameter("block_in", (4, 8, 16, 32)),
            Parameter("block_out", (4, 8, 16, 32)),
            Parameter("act_depth", (256, 512, 1024, 4096)),
            Parameter("queue_depth", (4, 8, 16)),
            Parameter("vector_lanes", (4,)),
        )
    )


@pytest.fixture
def workload() -> Workload:
    return Workload.read([Path(DIGITS)])


@pytest.fixture
def ask(space: Space, workload: Workload):
    """``ask(searcher, *constraints, seed=…)``"""

    def question(searcher: str, *constraints: Constraint, seed: int = 1) -> Question:
        goals = parse_objectives(["cycles", "area"])
        return Question(space, Setting(workload, "ulx3s-85f", seed), goals, (FITS, *constraints), searcher)

    return question


@pytest.fixture
def formula_workers() -> type[FormulaWorkers]:
    return FormulaWorkers
