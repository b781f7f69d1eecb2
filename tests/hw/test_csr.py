"""Control and status registers behind AXI4-Lite."""

import pytest
from tilewright.config import Config
from tilewright.hw.csr import ControlRegisters


@pytest.mark.parametrize("address_bits", [32, 40, 64])
def test_registers(simulate, address_bits):
    config = Config(address_bits=address_bits)
    simulate(ControlRegisters(config), "cocotb_csr", CONFIG=config.to_toml())
