"""Random programs on the oracle, the native simulator and the RTL."""

import pytest
from tilewright.errors import DeviceError
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.build import cache_directory
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

POINTS = (40, 160, 160, 400)


def memory_of(shard, bus_bytes):
    """How DRAM behaves in a shard: steady, or with random pauses, near or far, wide or narrow."""
    kinds = (
        {"latency": 40},
        {"latency": 1, "stalls": shard},
        {"latency": 23, "stalls": shard},
        {"latency": 160, "stalls": shard, "bandwidth": bus_bytes / 3},
    )
    return kinds[shard % len(kinds)]


def explain(program, simulators):
    """What differs, or an empty string; a failing program is made small and saved beside the build cache."""
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


@pytest.fixture
def agree():
    """``agree(config, seeds, shard=n)`` fails the test at the first program of `seeds` on which they differ.

    `shard` chooses how DRAM behaves, and `base` where it begins.
    """
    made = []

    def run(config, seeds, *, shard, base=0x1000_0000):
        simulators = [
            make(config, dram=Dram(size=COMPARISON_DRAM_BYTES, base=base), **options)
            for make, options in (
                (OracleSimulator, {}),
                (NativeSimulator, {}),
                (CycleSimulator, {"max_cycles": 5_000_000, **memory_of(shard, config.bus_bytes)}),
            )
        ]
        made.extend(simulators)
        for seed in seeds:
            difference = explain(random_program(config, seed, points=POINTS[seed % len(POINTS)]), simulators)
            if difference:
                pytest.fail(difference)

    yield run
    for simulator in made:
        simulator.close()
