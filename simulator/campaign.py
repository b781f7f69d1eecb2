"""The cores on which simulators are compared at large: shapes, buses and memories from one end to the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..config import Config, load_config
from .agreement import COMPARISON_DRAM_BYTES

__all__ = ["CAMPAIGN", "SLOW_BUILDS", "Core"]


@dataclass(frozen=True)
class Core:
    """A configuration, and the address at which its DRAM begins."""

    config: Config
    base: int = 0x1000_0000


_TWO_ROWS = load_config("tiny").replace(
    name="16x8-2-rows", rows=2, block_in=16, block_out=8, multiplier_bits=16, reads_outstanding=2
)
_NARROW = Config(
    name="narrow", rows=1, block_in=4, block_out=16, act_depth=32, act_banks=1, wgt_depth=2, acc_depth=4, acc_banks=1,
    bias_depth=2, scale_depth=2, tables=1, bus_bits=64, address_bits=32, burst_beats=1, reads_outstanding=1,
    queue_depth=2, token_bits=1, vector_lanes=1, multiplier_bits=8,
)  # fmt: skip
_WIDE = Config(
    name="wide", rows=2, block_in=16, block_out=4, act_depth=64, act_banks=1, wgt_depth=64, acc_depth=64, acc_banks=1,
    bias_depth=16, scale_depth=16, tables=4, bus_bits=512, address_bits=64, burst_beats=64, reads_outstanding=16,
    queue_depth=3, token_bits=6, vector_lanes=2, multiplier_bits=31,
)  # fmt: skip
_LARGEST = Config(
    name="largest", rows=4, block_in=4, block_out=4, act_depth=1 << 16, act_banks=16, wgt_depth=1 << 16,
    acc_depth=1 << 16, acc_banks=16, bias_depth=1 << 12, scale_depth=1 << 12, tables=8, bus_bits=128, queue_depth=64,
    token_bits=8, vector_lanes=2,
)  # fmt: skip

CAMPAIGN: Mapping[str, Core] = MappingProxyType(
    {
        **{name: Core(load_config(name)) for name in ("vta-16", "tiny", "8x16", "wide-32")},
        "16x8-2-rows": Core(_TWO_ROWS),
        "narrow": Core(_NARROW, (1 << 32) - COMPARISON_DRAM_BYTES),
        "wide": Core(_WIDE, 0xFEDC_BA98_0000_0000),
        "largest": Core(_LARGEST),
    }
)

SLOW_BUILDS = ("wide-32", "largest")
"""Cores whose Verilog takes more than a minute to build: for long campaigns."""
