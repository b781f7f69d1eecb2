"""VECTOR: cases worked out by hand, plain loops over Python integers, and both ways of running it."""

from typing import Any

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.instruction import vector
from tilewright.isa.table import Function, Memory

ACT, ACC = Memory.ACT, Memory.ACC


@pytest.fixture
def tiny(new_bench: Any) -> Any:
    """4 × 4: granules and vectors of 4 channels."""
    return new_bench(load_config("tiny"))


def put(bench: Any, memory: Memory, cell: int, values: list[int]) -> None:
    dtype = np.int8 if memory in (ACT, Memory.TABLE) else np.dtype("<i4")
    cells = bench.core.peek(memory)
    cells.reshape(-1).view(dtype)[cell * len(values) : (cell + 1) * len(values)] = values
    bench.core.poke(memory, cells)


def put_scale(bench: Any, cell: int, *, multiplier: int, left: int = 0, right: int = 0, mode: int = 0) -> None:
    cells = bench.core.peek(Memory.SCALE)
    entry = np.array([multiplier], "<i4").tobytes() + bytes([left, right, mode, 0xEE])
    cells[cell] = np.frombuffer(entry * bench.config.block_out, np.uint8)
    bench.core.poke(Memory.SCALE, cells)


def act(bench: Any, cell: int) -> list[int]:
    return bench.act().reshape(-1, bench.config.granule)[cell].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "function, expected",
    [
        (Function.SUM, [6, -120, 0, 249]),
        (Function.MAX, [3, -20, 2, 125]),
        (Function.MIN, [1, -60, -1, 25]),
        (Function.ZERO, [0, 0, 0, 0]),
        (
            Function.MAC,
            [4 + 10 + 18, 40 + 160 + 360, 1 + 0 + 2, 50 + 297 + 625],
        ),
    ],
)
def test_functions(tiny: Any, function: Function, expected: list[int]) -> None:
    for cell, values in enumerate(([0, -21, -2, 24], [1, -41, -2, 98], [2, -61, 1, 124])):
        put(tiny, ACT, 10 + cell, values)
    for cell, values in enumerate(([7, 1, 2, 5], [8, -1, 3, 6], [9, -3, 4, 8])):
        put(tiny, ACT, 20 + 2 * cell, values)
    tiny.ok(
        vector(
            function=function, bounds=[3], reduce=1, a=(ACT, 10, [1]), b=(ACT, 20, [2]), dst=(ACC, 7, [3]),
            a_zero=-1, b_zero=3,
        )
    )  # fmt: skip
    assert tiny.acc()[7 + 2 * 3].tolist() == expected


def test_sums_wrap_and_extremes_compare_wrapped_values(tiny: Any) -> None:
    put(tiny, ACC, 0, [(1 << 31) - 1, -(1 << 31), 5, -7])
    put(tiny, ACC, 1, [1, -1, 6, -8])
    for function, expected in (
        (Function.SUM, [-(1 << 31) + 2, -(1 << 31) + 1, 13, -13]),
        (Function.MAX, [2, 0, 7, -6]),
    ):
        bounds, a = [2], (ACC, 0, [1])
        tiny.ok(vector(function=function, bounds=bounds, reduce=1, a=a, dst=(ACC, 9, [0]), a_zero=-1))
        assert tiny.acc()[9].tolist() == expected


def test_a_whole_layer_end(tiny: Any) -> None:
    """Bias, scale, residual, zero point, clamp and table, in this order, channel cells stepping with the nest."""
    put(tiny, ACC, 0, [100, -100, 1000, 7])
    put(tiny, ACC, 1, [1, 2, 3, 4])
    put(tiny, Memory.BIAS, 5, [1, -1, 0, 0])
    put(tiny, Memory.BIAS, 7, [10, 10, 10, 10])
    put_scale(tiny, 3, multiplier=1 << 30)
    put_scale(tiny, 5, multiplier=1 << 30, left=3, right=1)
    put(tiny, ACT, 40, [2, 2, 2, 2])
    put(tiny, ACT, 41, [-2, -20, -3, 100])
    table = (np.arange(256) ^ 0x55).astype(np.uint8).view(np.int8)
    put(tiny, Memory.TABLE, 0, table.tolist())
    instruction = vector(
        function=Function.SUM, bounds=[2], a=(ACC, 0, [1]), b=(ACT, 40, [1]), dst=(ACT, 50, [2]), residual=True,
        bias=5, scale=3, channel_strides=[2], zero_point=-5, minimum=-50, maximum=60, b_zero=99,
    )  # fmt: skip
    tiny.ok(instruction)
    # 101 / 2 = 50.5 → 51;  −101 / 2 → −50;  500;  3.5 → 4;  then + 2 − 5
    first = [48, -50, 60, 1]
    # (11, 12, 13, 14) · 8 / 2 = 44 … 56, halved: 22 … 28; then + residual − 5
    second = [15, -1, 18, 60]
    assert act(tiny, 50) == first
    assert act(tiny, 52) == second
    tiny.ok(instruction.replace(table_enable=1, table=tiny.config.tables * 3 % 8))
    assert act(tiny, 50) == [int(table[z + 128]) for z in first]


def test_a_shared_scale_stays(tiny: Any) -> None:
    put(tiny, ACC, 0, [8, 8, 8, 8])
    put_scale(tiny, 3, multiplier=1 << 30)
    put_scale(tiny, 4, multiplier=1 << 29)
    step = {"function": Function.SUM, "bounds": [2], "a": (ACC, 0, [0]), "dst": (ACC, 20, [1]), "scale": 3}
    tiny.ok(vector(**step, channel_strides=[1]))  # type: ignore[arg-type]
    assert tiny.acc()[20:22].tolist() == [[4] * 4, [2] * 4]
    tiny.ok(vector(**step, channel_strides=[1], scale_shared=True))  # type: ignore[arg-type]
    assert tiny.acc()[20:22].tolist() == [[4] * 4, [4] * 4]


def test_a_maximum_below_the_minimum_wins(tiny: Any) -> None:
    tiny.ok(vector(function=Function.ZERO, bounds=[1], dst=(ACT, 9, [0]), minimum=10, maximum=-10))
    assert act(tiny, 9) == [-10] * 4


def test_a_result_sees_the_one_before_it(tiny: Any) -> None:
    """Fibonacci: result n is the sum of the two before it, each read where it was just written."""
    put(tiny, ACC, 0, [0, 1, -1, 10])
    put(tiny, ACC, 1, [1, 1, -1, 10])
    tiny.ok(
        vector(function=Function.SUM, bounds=[20], a=(ACC, 0, [1]), b=(ACC, 1, [1]), dst=(ACC, 2, [1]), residual=True)
    )
    assert tiny.acc()[21].tolist() == [10946, 17711, -17711, 177110]


def test_rows_outside_the_mask_and_bytes_beside_the_destination_stay(bench: Any) -> None:
    rows, wide = bench.config.rows, bench.config.block_out // bench.config.granule
    before = [bench.act(row).reshape(-1, bench.config.granule) for row in range(rows)]
    # The odd address loses its low bits where a vector is wider than a granule.
    instruction = vector(
        function=Function.ZERO, bounds=[2], dst=(ACT, bench.config.act_depth - wide + wide // 2, [wide]),
        zero_point=3, row_mask=0xFE | (rows == 1),
    )  # fmt: skip
    bench.ok(instruction)
    for row in range(rows):
        expected = before[row].copy()
        if row or rows == 1:
            expected[-wide:] = 3
            expected[:wide] = 3
        assert np.array_equal(bench.act(row).reshape(expected.shape), expected)


def test_both_vector_paths_agree_on_random_nests(bench: Any, new_bench: Any) -> None:
    plain, quick = new_bench(bench.config, 1), new_bench(bench.config)
    random = np.random.default_rng(11)

    def operand(act_only: bool = False) -> tuple[Memory, int, list[int]]:
        memory = Memory.ACT if act_only else Memory(random.integers(2))
        return memory, int(random.integers(24)), random.integers(-3, 4, 4).tolist()

    for _ in range(60):
        function = Function(random.integers(5))
        mac = function is Function.MAC
        dst = operand()
        instruction = vector(
            function=function, bounds=random.integers(1, 5, 4).tolist(), reduce=int(random.integers(5)),
            a=operand(mac), b=operand(mac), dst=dst, residual=bool(random.integers(2)),
            bias=int(random.integers(64)), scale=int(random.integers(64)) if random.integers(2) else None,
            channel_strides=random.integers(-2, 3, 4).tolist(), scale_shared=bool(random.integers(2)),
            table=1 if dst[0] is Memory.ACT and random.integers(2) else None, row_mask=int(random.integers(256)),
            a_zero=3, b_zero=-128, zero_point=-9, minimum=-100, maximum=90,
        )  # fmt: skip
        plain.ok(instruction)
        quick.ok(instruction)
        assert plain.everything() == quick.everything(), instruction
