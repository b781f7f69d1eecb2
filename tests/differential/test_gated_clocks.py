"""Leaving idle parts unclocked changes no cycle, no counter, no bit."""

from typing import Any

import pytest
from tilewright.config import load_config
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram


@pytest.mark.parametrize("stalls", [None, 7])
def test_gated_is_all_clocks(stalls: int | None) -> None:
    config = load_config("tiny")
    pair: list[Any] = [
        CycleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES), all_clocks=all_clocks, stalls=stalls, trace=True)
        for all_clocks in (True, False)
    ]
    outcomes: list[list[Any]] = [[], []]
    for simulator, kept in zip(pair, outcomes, strict=True):
        run = simulator.run
        simulator.run = lambda launch, run=run, kept=kept: kept.append(run(launch)) or kept[-1]
    for seed in range(60):
        assert not compare(random_program(config, seed + 7_000), pair)
        every, gated = (simulator.events() for simulator in pair)
        assert every.tobytes() == gated.tobytes()
    assert outcomes[0] == outcomes[1]
    assert all(outcome.counters["cycles"] > 100 for outcome in outcomes[0])
    for simulator in pair:
        simulator.close()
