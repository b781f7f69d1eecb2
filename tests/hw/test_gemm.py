"""The matrix engine with memories that answer as late, and as little, as they may."""

import pytest
from tilewright.config import Config
from tilewright.hw.gemm import GemmEngine
from tilewright.hw.onchip import scratchpad_shapes
from tilewright.isa.table import Memory

SMALL = {"act_depth": 256, "wgt_depth": 64, "acc_depth": 32, "block_in": 4, "block_out": 4, "vector_lanes": 4}
CONFIGS = {
    "two rows": {"rows": 2},
    "more in than out": {"block_in": 16},
    "more out than in": {"block_out": 8},
    "longest array": {"block_in": 64},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_gemm(simulate, name):
    config = Config(**{**SMALL, **CONFIGS[name]})
    shapes = scratchpad_shapes(config)
    engine = GemmEngine(config, act=shapes[Memory.ACT], wgt=shapes[Memory.WGT], acc=shapes[Memory.ACC])
    simulate(engine, "cocotb_gemm", CONFIG=config.to_toml())
