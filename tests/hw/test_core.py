"""The whole core between others' AXI memory and AXI4-Lite master, operated by the driver itself."""

from tilewright.config import load_config
from tilewright.hw.core import Core


def test_core(simulate):
    config = load_config("tiny")
    simulate(Core(config), "cocotb_core", CONFIG=config.to_toml())
