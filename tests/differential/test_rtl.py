"""Random programs: the RTL does to every memory what the oracle and the native simulator do, however DRAM behaves.

TILEWRIGHT_PROGRAMS sets how many programs in all; a failing one is made small and saved beside the build cache. What
the programs reached is printed at the end, and a soak fails where they left out a bin of ``isa.coverage``.
"""

import os
from collections.abc import Callable

import pytest
from tilewright.isa.random_instructions import LARGEST_BOUND
from tilewright.simulator.campaign import CAMPAIGN, SLOW_BUILDS

PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
SHARD = 100
LONGEST_NESTS = max(16, PROGRAMS // 400)
LONG_PROGRAM = 100_000
SOAK = PROGRAMS >= 100_000
CORES = [name for name in CAMPAIGN if SOAK or name not in SLOW_BUILDS]
SHARDS = max(1, -(-PROGRAMS // (SHARD * len(CORES))))
soak_only = pytest.mark.skipif(not SOAK, reason="takes minutes: set TILEWRIGHT_PROGRAMS to 100000")


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", CORES)
def test_agreement(name: str, shard: int, agree: Callable[..., None]) -> None:
    first = 1_000_000 + shard * SHARD
    programs = -(-PROGRAMS // (SHARDS * len(CORES)))
    agree(CAMPAIGN[name], range(first, first + programs), shard=shard)


@soak_only
def test_longest_nests(agree: Callable[..., None]) -> None:
    """Bounds of 65,535, runs of as many cells among them."""
    agree(CAMPAIGN["tiny"], range(100, 100 + LONGEST_NESTS), shard=0, points=(LARGEST_BOUND,), size=8)


@soak_only
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CAMPAIGN)
def test_long_programs(name: str, agree: Callable[..., None]) -> None:
    agree(CAMPAIGN[name], [5], shard=0, points=(20,), size=LONG_PROGRAM)
