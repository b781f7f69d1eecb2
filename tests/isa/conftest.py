"""Configurations that differ in everything that matters to the instruction set."""

import pytest
from tilewright.config import PRESETS, Config, load_config

_EXTREMES = {
    "smallest": Config(
        name="smallest", rows=8, block_in=64, block_out=4, act_depth=64, act_banks=2, wgt_depth=2, acc_depth=4,
        acc_banks=1, bias_depth=2, scale_depth=2, tables=1, bus_bits=512, vector_lanes=4, burst_beats=8, token_bits=1,
        queue_depth=2,
    ),
    "largest": Config(
        name="largest", rows=2, block_in=4, block_out=64, act_depth=65536, wgt_depth=4096, acc_depth=65536,
        bias_depth=4096, scale_depth=4096, tables=8, multiplier_bits=8,
    ),
}  # fmt: skip


@pytest.fixture(params=[*PRESETS, *_EXTREMES])
def config(request):
    return _EXTREMES.get(request.param) or load_config(request.param)


@pytest.fixture
def tiny():
    return load_config("tiny")
