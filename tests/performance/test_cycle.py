"""Speed of the cycle simulators, of their builds, and ResNet-18 cycle by cycle; `make bench` prints the figures.

Speeds are in cycles per second of CPU time, which a loaded machine disturbs less than wall time; both are printed.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.program import Program
from tilewright.models.resnet18.quantise import build_network
from tilewright.simulator.cycle import CycleSimulator, FastCycleSimulator

pytestmark = pytest.mark.skipif(
    "TILEWRIGHT_BENCH" not in os.environ, reason="speeds are measured by make bench, on a quiet machine"
)
BUILD_SECONDS = 60
REPETITIONS = 3
SPEEDS: dict[type[CycleSimulator], float] = {CycleSimulator: 0.8e6, FastCycleSimulator: 3e6}


@pytest.fixture(scope="module")
def network() -> Program:
    return compile_model(build_network(), load_config("vta-16"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache, so that builds are cold."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("TILEWRIGHT_CACHE", str(path))
        yield path


class Stopwatch:
    """Times a simulator's runs: cycles, CPU seconds and seconds by the clock, summed."""

    def __init__(self, simulator: Any) -> None:
        self.cycles, self.cpu, self.wall = 0, 0.0, 0.0
        self._run: Callable[[Launch], Outcome] = simulator.run
        simulator.run = self.run

    def run(self, launch: Launch) -> Outcome:
        wall, cpu = time.perf_counter(), time.thread_time()
        outcome = self._run(launch)
        self.cpu += time.thread_time() - cpu
        self.wall += time.perf_counter() - wall
        self.cycles += outcome.counters["cycles"]
        return outcome


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("kind", SPEEDS)
def test_resnet18_cycle_by_cycle(kind: type[CycleSimulator], network: Program) -> None:
    begun, busy = time.perf_counter(), os.times()
    simulator = kind(network.config)
    build, now = time.perf_counter() - begun, os.times()
    cpu = sum(now[:4]) - sum(busy[:4])
    print(f"\n{simulator.name}, vta-16: built cold in {build:.0f} s ({cpu:.0f} s of CPU time)")
    inputs = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in network.inputs}
    taken = []
    for _ in range(REPETITIONS):
        simulator.dram.release_all()
        watch = Stopwatch(simulator)
        Session(network, simulator).run(inputs)
        taken.append(watch)
        simulator.run = watch._run  # type: ignore[method-assign]
    simulator.close()
    speed = statistics.median(watch.cycles / watch.cpu for watch in taken)
    clock = statistics.median(watch.cycles / watch.wall for watch in taken)
    print(
        f"{simulator.name}, ResNet-18: {taken[0].cycles:,} cycles, {speed / 1e6:.2f} million a second of CPU time, "
        f"{clock / 1e6:.2f} by the clock ({taken[0].cycles / speed:.1f} s)"
    )
    assert speed >= SPEEDS[kind]
    assert min(build, cpu) < BUILD_SECONDS
