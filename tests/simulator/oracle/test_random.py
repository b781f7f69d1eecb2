"""Random programs: the plainest reading of the manual and the quick one end with the same memories."""

from typing import Any

import pytest
from tilewright.config import PRESETS, load_config
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator


@pytest.mark.parametrize("name", PRESETS)
def test_how_much_is_computed_together_does_not_matter(name: str) -> None:
    config = load_config(name)

    def core(**options: Any) -> OracleSimulator:
        return OracleSimulator(config, dram=Dram(size=COMPARISON_DRAM_BYTES), **options)

    simulators = [core(together=1), core(together=7), core()]
    for seed in range(12):
        program = random_program(config, seed)
        assert compare(program, simulators) == []
