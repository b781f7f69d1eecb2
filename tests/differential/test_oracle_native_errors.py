"""Hostile programs: oracle and native simulator end alike, and nothing outside the segments is written."""

from collections.abc import Iterator

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.hostile_instructions import hostile_instruction, hostile_tokens
from tilewright.isa.instruction import finish
from tilewright.isa.launch import Launch
from tilewright.isa.memories import memory_shape
from tilewright.isa.random_data import random_cells
from tilewright.isa.table import ErrorCode, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIG = load_config("tiny").replace(name="tiny-tight", rows=2, queue_depth=2, token_bits=1)
DRAM_BYTES = 1 << 16
TEXT_BYTES = 1 << 12
Pair = tuple[OracleSimulator, NativeSimulator]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    native = NativeSimulator(CONFIG, dram=Dram(size=DRAM_BYTES), threads=request.param, at_once=True)
    oracle = OracleSimulator(CONFIG, dram=Dram(size=DRAM_BYTES))
    for memory in Memory:
        cells = random_cells(np.random.default_rng(memory), CONFIG, memory, memory_shape(CONFIG, memory).depth)
        for row in range(memory_shape(CONFIG, memory).rows):
            oracle.poke(memory, cells.reshape(-1, memory_shape(CONFIG, memory).cell_bytes), row)
            native.poke(memory, oracle.peek(memory, row), row)
    yield oracle, native
    native.close()


def agree(pair: Pair, text: bytes, segments: tuple[tuple[int, int], ...] = ()) -> ErrorCode:
    """Run on both; the common error code."""
    for simulator in pair:
        simulator.dram.bytes[:] = 0xA5
        simulator.write(simulator.dram.base, text)
    base = pair[0].dram.base
    launch = Launch(program=base, count=len(text) // 64, segments=segments, race_free=True)
    expected, actual = (simulator.run(launch) for simulator in pair)
    assert (actual.error, actual.index) == (expected.error, expected.index)
    np.testing.assert_array_equal(pair[1].dram.bytes, pair[0].dram.bytes)
    for memory in Memory:
        for row in range(memory_shape(CONFIG, memory).rows):
            np.testing.assert_array_equal(pair[1].peek(memory, row), pair[0].peek(memory, row))
    writable = np.zeros(DRAM_BYTES, dtype=bool)
    for start, limit in segments:
        writable[max(start - base, 0) : max(start + limit - base, 0)] = True
    writable[: len(text)] = True
    assert (pair[1].dram.bytes[~writable] == 0xA5).all()
    return actual.error


def test_random_tokens(pair: Pair) -> None:
    rng = np.random.default_rng(1)
    ends = {agree(pair, b"".join(i.encode() for i in (*hostile_tokens(rng), finish()))) for _ in range(600)}
    assert ends == {ErrorCode.NONE, ErrorCode.WATCHDOG}


def test_random_fields(pair: Pair) -> None:
    rng = np.random.default_rng(2)
    base = pair[0].dram.base
    ends = set()
    for _ in range(900):
        inside = [(base + TEXT_BYTES + 2048 * n, int(rng.integers(500, 1024))) for n in range(6)]
        beyond = [(base + DRAM_BYTES - 64, 4096), (base - 64 * int(rng.integers(40)), 4096)]
        ends.add(agree(pair, hostile_instruction(rng) + finish().encode(), tuple(inside + beyond)))
    assert ends == set(ErrorCode) - {ErrorCode.PROGRAM_END}
