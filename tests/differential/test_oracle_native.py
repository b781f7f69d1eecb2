"""Random programs: the native simulator does to every memory what the oracle does."""

from collections.abc import Iterator

import pytest
from tilewright.cache import cache_directory
from tilewright.config import Config, load_config
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.native.fallback import NumpySimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIGS = {
    **{name: load_config(name) for name in ("vta-16", "tiny", "8x16", "wide-32")},
    "tiny-2-rows": load_config("tiny").replace(name="tiny-2-rows", rows=2),
    "16x8": Config(name="16x8", rows=4, block_in=16, block_out=8, acc_depth=256, vector_lanes=4, multiplier_bits=16),
    "64x4": Config(name="64x4", block_in=64, block_out=4, act_depth=1024, acc_depth=64, vector_lanes=4, bus_bits=512),
}
PROGRAMS = 90
POINTS = (40, 160, 1200)


CASES = [
    *((name, "native") for name in CONFIGS),
    *(("tiny-2-rows", cpu) for cpu in ("avx2", "portable", "numpy")),
    *(("64x4", cpu) for cpu in ("avx2", "portable", "numpy")),
    ("16x8", "avx2"),
]
CPUS = ("native", "avx2", "portable", "numpy")


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def config(case: tuple[str, str]) -> Config:
    return CONFIGS[case[0]]


@pytest.fixture
def cpu(case: tuple[str, str]) -> str:
    return case[1]


def both_forms(config: Config, dram: Dram, cpu: str) -> list[NativeSimulator]:
    """On one thread and on two."""
    other = Dram(size=COMPARISON_DRAM_BYTES)
    two = NativeSimulator(config, dram=other, cpu=cpu, threads=2, at_once=True)
    return [NativeSimulator(config, dram=dram, cpu=cpu, threads=1), two]


@pytest.fixture
def simulators(config: Config, cpu: str) -> Iterator[list[OracleSimulator | NativeSimulator]]:
    dram = Dram(size=COMPARISON_DRAM_BYTES)
    natives = [NumpySimulator(config, dram=dram)] if cpu == "numpy" else both_forms(config, dram, cpu)
    yield [OracleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES)), *natives]
    for native in natives:
        native.close()


def test_agreement(config: Config, cpu: str, simulators: list[OracleSimulator | NativeSimulator]) -> None:
    for seed in range(PROGRAMS):
        program = random_program(config, seed + PROGRAMS * CPUS.index(cpu), points=POINTS[seed % len(POINTS)])
        differences = compare(program, simulators)
        if differences:
            saved = shrink_and_save(program, simulators, cache_directory() / "failures")
            pytest.fail(f"{config.name}, seed {program.seed}: {differences}; made small and saved as {saved}")
