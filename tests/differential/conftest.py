"""Random programs on the oracle, the native simulator and the RTL."""

import pytest
from tilewright.cache import cache_directory
from tilewright.errors import DeviceError
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import INSTRUCTION_BYTES
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator
from tilewright.simulator.timing import TimingSimulator

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


def explain(program, simulators, timing):
    """What differs, or an empty string; a failing program is made small and saved beside the build cache."""
    folder = cache_directory() / "failures"
    try:
        differences = compare(program, simulators, timing=timing)
        if not differences:
            return ""
        saved = shrink_and_save(program, simulators, folder, timing=timing)
    except DeviceError as error:
        saved = folder / f"{program.config.name}-{program.seed}"
        program.save(saved)
        return f"{program.config.name}, seed {program.seed}: {error}; saved as {saved}"
    return f"{program.config.name}, seed {program.seed}: {differences}; made small and saved as {saved}"


@pytest.fixture
def agree(reached):
    """``agree(core, seeds, shard=n)`` fails the test at the first program of `seeds` on which they differ.

    `core` is a Core, `shard` chooses how DRAM behaves; `points` and `size` are for the random programs.
    """
    made = []

    def run(core, seeds, *, shard, points=POINTS, size=24):
        def dram():
            room = COMPARISON_DRAM_BYTES + INSTRUCTION_BYTES * size // 4096 * 4096
            return Dram(size=room, base=min(core.base, (1 << core.config.address_bits) - room))

        # a core that fetches four bytes at a time, one burst of one word after another, takes 700 cycles an instruction
        options = {"max_cycles": 50_000_000 + 5_000 * size, **memory_of(shard, core.config.bus_bytes)}
        simulators = [
            OracleSimulator(core.config, dram=dram()),
            NativeSimulator(core.config, dram=dram()),
            CycleSimulator(core.config, dram=dram(), **options),
        ]
        made.extend(simulators)
        timing = TimingSimulator(core.config, dram=dram(), latency=options["latency"])
        for seed in seeds:
            program = random_program(core.config, seed, points=points[seed % len(points)], size=size)
            if difference := explain(program, simulators, timing):
                pytest.fail(difference)
            reached.add(program)

    yield run
    for simulator in made:
        simulator.close()
