"""The quick cycle simulator is the RTL: same cycles, same counters, same events, same bits."""

import os
from typing import Any

import pytest
from tilewright.config import Config, load_config
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.campaign import CAMPAIGN
from tilewright.simulator.cycle import CycleSimulator, FastCycleSimulator
from tilewright.simulator.dram import Dram

PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS", "120"))
TINY = load_config("tiny")
CONFIGS = {
    "tiny": TINY,
    "rows, more in than out, half the lanes": TINY.replace(rows=2, block_in=8, vector_lanes=2, bus_bits=128),
    "two rows, half the lanes, widest bus": CAMPAIGN["wide"].config,
    "more out than in": TINY.replace(block_out=16, vector_lanes=8, act_banks=1, acc_banks=1),
}
CORES = CONFIGS if PROGRAMS >= 100_000 else ["two rows, half the lanes, widest bus"]  # two builds for each


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("memory", [{}, {"latency": 17, "stalls": 5}], ids=["steady", "stalls"])
def test_fast_is_the_rtl(name: str, memory: dict[str, Any]) -> None:
    config: Config = CONFIGS[name]
    pair: list[Any] = [
        kind(config, dram=Dram(size=COMPARISON_DRAM_BYTES), trace=True, **memory)
        for kind in (CycleSimulator, FastCycleSimulator)
    ]
    outcomes: list[list[Outcome]] = [[], []]
    for simulator, kept in zip(pair, outcomes, strict=True):

        def run(launch: Launch, run: Any = simulator.run, kept: list[Outcome] = kept) -> Outcome:
            kept.append(run(launch))
            return kept[-1]

        simulator.run = run
    for seed in range(PROGRAMS // len(CONFIGS)):
        assert not compare(random_program(config, seed + 9_000), pair)
        reference, fast = (simulator.events() for simulator in pair)
        assert reference.tobytes() == fast.tobytes()
    assert outcomes[0] == outcomes[1]
    assert all(outcome.counters["cycles"] > 100 for outcome in outcomes[0])
    for simulator in pair:
        simulator.close()
