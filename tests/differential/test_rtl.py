"""Random programs: the RTL does to every memory what the oracle and the native simulator do, however DRAM behaves.

TILEWRIGHT_PROGRAMS sets how many programs in all; a failing one is made small and saved beside the build cache.
"""

import os
from collections.abc import Callable

import pytest
from tilewright.config import load_config

CONFIGS = {
    **{name: load_config(name) for name in ("vta-16", "tiny", "8x16", "wide-32")},
    "16x8-2-rows": load_config("tiny").replace(
        name="16x8-2-rows", rows=2, block_in=16, block_out=8, multiplier_bits=16, reads_outstanding=2
    ),
}
PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
SHARD = 100
SHARDS = max(1, -(-PROGRAMS // (SHARD * len(CONFIGS))))


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("config_name", CONFIGS)
def test_agreement(config_name: str, shard: int, agree: Callable[..., None]) -> None:
    first = 1_000_000 + shard * SHARD
    programs = -(-PROGRAMS // (SHARDS * len(CONFIGS)))
    agree(CONFIGS[config_name], range(first, first + programs), shard=shard)
