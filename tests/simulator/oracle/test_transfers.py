"""LOAD and STORE."""

from typing import Any

import numpy as np
import pytest
from tilewright.isa.instruction import finish, load, store
from tilewright.isa.memories import memory_shape
from tilewright.isa.table import ErrorCode, Memory

SEGMENT_BYTES = 1 << 14


@pytest.mark.parametrize("memory", Memory)
def test_load_steps_through_dram_and_memory(bench: Any, memory: Memory) -> None:
    shape = memory_shape(bench.config, memory)
    before = [bench.core.peek(memory, row) for row in range(shape.rows)]
    pitch = 4 * shape.cell_bytes
    offset = 64
    # Two runs of three cells; the second lies before the first in DRAM; on chip the last cell wraps around.
    base = shape.depth - 5
    bench.ok(
        load(
            memory=memory, segment=0, offset=offset + pitch, bounds=[2, 3], dram_strides=[-pitch],
            mem=(base, [1, 2]), row_mask=0b10 | (bench.config.rows == 1),
        )
    )  # fmt: skip
    expected = before[-1].copy()
    for i in range(2):
        for j in range(3):
            start = offset + pitch - i * pitch + j * shape.cell_bytes
            expected[(base + i + 2 * j) % shape.depth] = bench.segment[start : start + shape.cell_bytes]
    assert np.array_equal(bench.core.peek(memory, shape.rows - 1), expected)
    if shape.rows > 1:
        assert np.array_equal(bench.core.peek(memory, 0), before[0])


def test_load_keeps_the_last_of_cells_that_meet(bench: Any) -> None:
    size = bench.config.granule
    bench.ok(load(memory=Memory.ACT, segment=0, offset=0, bounds=[4, 2], dram_strides=[2 * size], mem=(3, [0, 0])))
    assert np.array_equal(bench.core.peek(Memory.ACT)[3], bench.segment[7 * size : 8 * size])


@pytest.mark.parametrize("memory", [Memory.ACT, Memory.ACC])
def test_store_writes_its_runs_and_nothing_else(bench: Any, memory: Memory) -> None:
    shape = memory_shape(bench.config, memory)
    expected = bench.core.dram.bytes.copy()
    size = shape.cell_bytes
    cells = bench.core.peek(memory, bench.config.rows - 1)
    start = bench.base - bench.core.dram.base
    program = store(
        memory=memory, segment=0, offset=64, bounds=[3, 2], dram_strides=[3 * size], mem=(1, [5, -1]),
        row=2 * bench.config.rows - 1 if bench.config.rows > 1 else 3,
    )  # fmt: skip
    bench.core.write(bench.base + SEGMENT_BYTES, program.encode() + finish().encode())
    expected[start + SEGMENT_BYTES : start + SEGMENT_BYTES + 128] = np.frombuffer(
        program.encode() + finish().encode(), np.uint8
    )
    for i in range(3):
        for j in range(2):
            at = start + 64 + 3 * size * i + size * j
            expected[at : at + size] = cells[(1 + 5 * i - j) % shape.depth]
    bench.ok(program)
    assert np.array_equal(bench.core.dram.bytes, expected)


@pytest.mark.parametrize("memory", [Memory.ACT, Memory.ACC, Memory.WGT])
def test_offsets_wrap_at_four_gigabytes(bench: Any, memory: Memory) -> None:
    size = memory_shape(bench.config, memory).cell_bytes
    low = load(memory=memory, segment=0, offset=64, bounds=[2, 1], dram_strides=[-64], mem=(0, [0, 0]))
    around = load(memory=memory, segment=0, offset=0xC000_0000, bounds=[1, 1], dram_strides=[0], mem=(1, [0, 0]))
    bench.ok(low, load(memory=memory, segment=0, offset=128, bounds=[1], mem=(1, [0])))
    assert np.array_equal(bench.core.peek(memory)[0], bench.segment[:size])
    assert bench.run(around, finish()).error is ErrorCode.SEGMENT_LIMIT
    assert np.array_equal(bench.core.peek(memory)[1], bench.segment[128 : 128 + size])
    start = load(memory=memory, segment=0, offset=64, bounds=[3, 1], dram_strides=[1 << 30], mem=(0, [0, 0]))
    assert bench.run(start, finish()).error is ErrorCode.SEGMENT_LIMIT
