"""Random programs: the native simulator does to every memory what the oracle does."""

from collections.abc import Iterator

import pytest
from tilewright.config import Config, load_config
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.build import cache_directory
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIGS = {
    **{name: load_config(name) for name in ("vta-16", "tiny", "8x16", "wide-32")},
    "tiny-2-rows": load_config("tiny").replace(name="tiny-2-rows", rows=2),
    "16x8": Config(name="16x8", rows=4, block_in=16, block_out=8, acc_depth=256, vector_lanes=4, multiplier_bits=16),
    "64x4": Config(name="64x4", block_in=64, block_out=4, act_depth=1024, acc_depth=64, vector_lanes=4, bus_bits=512),
}
PROGRAMS = 90
POINTS = (40, 160, 1200)


CASES = [(name, False) for name in CONFIGS] + [(name, True) for name in ("tiny-2-rows", "64x4")]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{'portable' if case[1] else 'cpu'}")
def case(request: pytest.FixtureRequest) -> tuple[str, bool]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def config(case: tuple[str, bool]) -> Config:
    return CONFIGS[case[0]]


@pytest.fixture
def portable(case: tuple[str, bool]) -> bool:
    return case[1]


@pytest.fixture
def simulators(config: Config, portable: bool) -> Iterator[list[OracleSimulator | NativeSimulator]]:
    oracle = OracleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES))
    native = NativeSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES), portable=portable)
    yield [oracle, native]
    native.close()


def test_agreement(config: Config, portable: bool, simulators: list[OracleSimulator | NativeSimulator]) -> None:
    for seed in range(PROGRAMS):
        program = random_program(config, seed + PROGRAMS * portable, points=POINTS[seed % len(POINTS)])
        differences = compare(program, simulators)
        if differences:
            saved = shrink_and_save(program, simulators, cache_directory() / "failures")
            pytest.fail(f"{config.name}, seed {program.seed}: {differences}; made small and saved as {saved}")
