"""Random programs: the RTL does to every memory what the oracle and the native simulator do, however DRAM behaves.

TILEWRIGHT_PROGRAMS sets how many programs in all; a failing one is made small and saved beside the build cache.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from tilewright.config import load_config
from tilewright.errors import DeviceError
from tilewright.isa.random_programs import RandomProgram, random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.build import cache_directory
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIGS = {
    **{name: load_config(name) for name in ("vta-16", "tiny", "8x16", "wide-32")},
    "16x8-2-rows": load_config("tiny").replace(
        name="16x8-2-rows", rows=2, block_in=16, block_out=8, multiplier_bits=16, reads_outstanding=2
    ),
}
PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS", "2000"))
SHARD = 100
SHARDS = max(1, -(-PROGRAMS // (SHARD * len(CONFIGS))))
POINTS = (40, 160, 160, 400)


def memory_of(shard: int, bus_bytes: int) -> dict[str, Any]:
    """How DRAM behaves in a shard: steady, or with random pauses, near or far, wide or narrow."""
    kinds: tuple[dict[str, Any], ...] = (
        {"latency": 40},
        {"latency": 1, "stalls": shard},
        {"latency": 23, "stalls": shard},
        {"latency": 160, "stalls": shard, "bandwidth": bus_bytes / 3},
    )
    return kinds[shard % len(kinds)]


@pytest.fixture
def simulators(config_name: str, shard: int) -> Iterator[list[Any]]:
    config = CONFIGS[config_name]
    options = memory_of(shard, config.bus_bytes)
    made = [
        OracleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES)),
        NativeSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES)),
        CycleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES), max_cycles=5_000_000, **options),
    ]
    yield made
    for simulator in made:
        simulator.close()


def explain(program: RandomProgram, simulators: list[Any]) -> str:
    """What differs, or an empty string; a failing program is saved."""
    folder = cache_directory() / "failures"
    try:
        differences = compare(program, simulators)
        if not differences:
            return ""
        saved = shrink_and_save(program, simulators, folder)
    except DeviceError as error:
        saved = folder / f"{program.config.name}-{program.seed}"
        program.save(saved)
        return f"{program.config.name}, seed {program.seed}: {error}; saved as {saved}"
    return f"{program.config.name}, seed {program.seed}: {differences}; made small and saved as {saved}"


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("config_name", CONFIGS)
def test_agreement(config_name: str, shard: int, simulators: list[Any]) -> None:
    config = CONFIGS[config_name]
    first = 1_000_000 + shard * SHARD
    programs = -(-PROGRAMS // (SHARDS * len(CONFIGS)))
    for seed in range(first, first + programs):
        difference = explain(random_program(config, seed, points=POINTS[seed % len(POINTS)]), simulators)
        if difference:
            pytest.fail(difference)
