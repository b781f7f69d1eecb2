"""GEMM, against plain loops over Python integers."""

from typing import Any

import numpy as np
import pytest
from tilewright.isa.instruction import Instruction, gemm
from tilewright.isa.table import Memory
from tilewright.simulator.oracle import OracleSimulator


def wrapped(value: int) -> int:
    return (int(value) + (1 << 31)) % (1 << 32) - (1 << 31)


def reference_gemm(bench: Any, instruction: Instruction) -> list[np.ndarray]:
    config, bounds = bench.config, instruction.nest.bounds
    wgt = bench.core.peek(Memory.WGT).view(np.int8).reshape(-1, config.block_out, config.block_in)
    per_block = config.block_in // config.granule
    results = []
    for row in range(config.rows):
        act, acc = bench.act(row), bench.acc(row)
        for index in np.ndindex(*bounds):
            a, w, c = (
                instruction[f"{name}_base"] + sum(instruction[f"{name}_stride{d}"] * i for d, i in enumerate(index))
                for name in ("act", "wgt", "acc")
            )
            first = a % config.act_depth // per_block * per_block * config.granule
            x = [int(v) for v in act[first : first + config.block_in]]
            zero = all(index[d] == 0 for d in range(6) if instruction["overwrite_mask"] >> d & 1)
            for o in range(config.block_out):
                s = sum(xk * int(wk) for xk, wk in zip(x, wgt[w % config.wgt_depth][o], strict=True))
                old = 0 if zero and not instruction["accumulate"] else int(acc[c % config.acc_depth, o])
                acc[c % config.acc_depth, o] = wrapped(old + s)
        results.append(acc)
    return results


GEMMS = {
    "overwrite at the reduction's start": {"overwrite": [1, 2], "acc": (3, [1, 0, 0])},
    "always overwrite": {"acc": (0, [1, 0, 1])},
    "accumulate": {"accumulate": True, "acc": (65535, [-3, 1, 1])},
    "accumulate beats the mask": {"accumulate": True, "overwrite": [0], "acc": (0, [1, 1, 1])},
    "overwritten in the middle": {"overwrite": [2], "acc": (7, [0, 0, 0])},
    "overwrite on the outer loop": {"overwrite": [0], "acc": (7, [0, 2, 1])},
}


@pytest.mark.parametrize("case", GEMMS)
@pytest.mark.parametrize("together", [1, 5, 1 << 14])
def test_gemm(bench: Any, new_bench: Any, case: str, together: int) -> None:
    bench = new_bench(bench.config, together)
    instruction = gemm(bounds=[3, 2, 4], act=(5, [1, -2, 3]), wgt=(65530, [4, 9, 1]), **GEMMS[case])  # type: ignore[arg-type]
    expected = reference_gemm(bench, instruction)
    act = bench.act()
    bench.ok(instruction)
    for row, acc in enumerate(expected):
        assert np.array_equal(bench.acc(row), acc)
    assert np.array_equal(bench.act(), act)


def test_the_memories_outlive_a_run(bench: Any) -> None:
    bench.ok(gemm(bounds=[1], act=(0, [0]), wgt=(0, [0]), acc=(9, [0])))
    first = bench.acc()[9]
    bench.ok(gemm(bounds=[1], act=(0, [0]), wgt=(0, [0]), acc=(9, [0]), accumulate=True))
    assert np.array_equal(bench.acc()[9], 2 * first)
    fresh = OracleSimulator(bench.config)
    assert not any(fresh.peek(memory).any() for memory in Memory)
