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
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram

PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
RANDOM_CORES = PROGRAMS // 5000 if PROGRAMS >= 100_000 else 0
SHARDS = 4
PROGRAMS_A_SHARD = 15
MULTIPLIERS = 128

NARROW = Config(
    name="narrow", rows=1, block_in=4, block_out=16, act_depth=32, act_banks=1, wgt_depth=2, acc_depth=4, acc_banks=1,
    bias_depth=2, scale_depth=2, tables=1, bus_bits=64, address_bits=32, burst_beats=1, reads_outstanding=1,
    queue_depth=2, token_bits=1, vector_lanes=1, multiplier_bits=8,
)  # fmt: skip
WIDE = Config(
    name="wide", rows=2, block_in=16, block_out=4, act_depth=64, act_banks=1, wgt_depth=64, acc_depth=64, acc_banks=1,
    bias_depth=16, scale_depth=16, tables=4, bus_bits=512, address_bits=64, burst_beats=64, reads_outstanding=16,
    queue_depth=3, token_bits=6, vector_lanes=2, multiplier_bits=31,
)  # fmt: skip
EXTREMES = {
    "narrow, at the top of its addresses": (NARROW, (1 << 32) - COMPARISON_DRAM_BYTES),
    "wide, far up": (WIDE, 0xFEDC_BA98_0000_0000),
}


def random_core(seed: int) -> tuple[Config, int]:
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
    return config, rng.randrange(0, (1 << config.address_bits) - COMPARISON_DRAM_BYTES + 1, 4096)


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(name: str, agree: Callable[..., None]) -> None:
    config, base = EXTREMES[name]
    for shard in range(SHARDS):
        first = 2_000_000 + shard * PROGRAMS_A_SHARD
        agree(config, range(first, first + PROGRAMS_A_SHARD), shard=shard, base=base)


@pytest.mark.parametrize("seed", range(RANDOM_CORES))
def test_random(seed: int, agree: Callable[..., None]) -> None:
    config, base = random_core(seed)
    for shard in range(SHARDS):
        first = 3_000_000 + (seed * SHARDS + shard) * PROGRAMS_A_SHARD
        agree(config, range(first, first + PROGRAMS_A_SHARD), shard=shard, base=base)


def test_addresses_wider_than_the_core() -> None:
    core = CycleSimulator(NARROW, dram=Dram(size=4096, base=1 << 32))
    with pytest.raises(
        DeviceError, match=r"^program address must have at most 32 bits .address_bits., not 0x100000000$"
    ):
        core.run(Launch(core.dram.base, 1))
    core.close()
