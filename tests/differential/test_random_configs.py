"""Configurations that nobody chose: random programs on cores at the edges of what a configuration may be.

Each core takes a build of its own, so the random ones run only in a soak (TILEWRIGHT_PROGRAMS from 100,000 on).
"""

import os
import random
from collections.abc import Callable

import pytest
from tilewright.config import Config
from tilewright.errors import DeviceError
from tilewright.isa.launch import Launch
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES
from tilewright.simulator.campaign import CAMPAIGN, Core
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram

PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
RANDOM_CORES = PROGRAMS // 5000 if PROGRAMS >= 100_000 else 0
SHARDS = 4
PROGRAMS_A_SHARD = 15
MULTIPLIERS = 128


def random_core(seed: int) -> Core:
    """A small legal configuration, and where its DRAM begins."""
    rng = random.Random(seed)

    def power(low: int, high: int) -> int:
        return 1 << rng.randint(low, high)

    block_in, block_out = power(2, 4), power(2, 4)
    act_banks, acc_banks = power(0, 3), power(0, 3)
    bus_bits = power(6, 9)
    least_act = max(16, 2 * act_banks * max(block_in, block_out) // min(block_in, block_out))
    config = Config(
        name=f"random-{seed}",
        rows=min(power(0, 2), max(MULTIPLIERS // (block_in * block_out), 1)),
        block_in=block_in,
        block_out=block_out,
        act_depth=least_act * power(0, 4),
        act_banks=act_banks,
        wgt_depth=power(1, 7),
        acc_depth=max(4, 2 * acc_banks) * power(0, 4),
        acc_banks=acc_banks,
        bias_depth=power(1, 5),
        scale_depth=power(1, 5),
        tables=power(0, 3),
        bus_bits=bus_bits,
        address_bits=rng.choice([32, 33, 40, 48, 63, 64]),
        burst_beats=power(0, 6),
        reads_outstanding=rng.randint(1, 16),
        queue_depth=rng.randint(2, 8),
        token_bits=rng.randint(1, 6),
        vector_lanes=power(0, block_out.bit_length() - 1),
        multiplier_bits=rng.randint(8, 32),
    )
    return Core(config, rng.randrange(0, (1 << config.address_bits) - COMPARISON_DRAM_BYTES + 1, 4096))


@pytest.mark.parametrize("seed", range(RANDOM_CORES))
def test_random(seed: int, agree: Callable[..., None]) -> None:
    core = random_core(seed)
    for shard in range(SHARDS):
        first = 3_000_000 + (seed * SHARDS + shard) * PROGRAMS_A_SHARD
        agree(core, range(first, first + PROGRAMS_A_SHARD), shard=shard)


def test_addresses_wider_than_the_core() -> None:
    core = CycleSimulator(CAMPAIGN["narrow"].config, dram=Dram(size=4096, base=1 << 32))
    with pytest.raises(
        DeviceError, match=r"^program address must have at most 32 bits .address_bits., not 0x100000000$"
    ):
        core.run(Launch(core.dram.base, 1))
    core.close()
