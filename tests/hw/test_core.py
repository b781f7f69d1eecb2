"""The whole core between others' AXI memory and AXI4-Lite master, operated by the driver itself."""

import pytest
from tilewright.config import load_config
from tilewright.hw.core import Core

CONFIGS = {"tiny": {}, "two rows, wide bus": {"rows": 2, "bus_bits": 128, "vector_lanes": 2}}


@pytest.mark.parametrize("name", CONFIGS)
def test_core(simulate, name):
    config = load_config("tiny").replace(**CONFIGS[name])
    simulate(Core(config), "cocotb_core", CONFIG=config.to_toml())
