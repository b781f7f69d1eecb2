"""Hostile programs on the RTL: the oracle's error, no byte outside the segments, and the next program runs right."""

from collections.abc import Iterator

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.hostile_instructions import hostile_instruction, hostile_tokens
from tilewright.isa.instruction import Instruction, finish, load, store
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.table import Engine, ErrorCode, Memory, Opcode
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

CONFIG = load_config("tiny")
DRAM_BYTES = 1 << 16
TEXT_BYTES = 1 << 12
WATCHDOG = 3000
BUS_ERRORS = {ErrorCode.BUS_READ, ErrorCode.BUS_WRITE}
Pair = tuple[OracleSimulator, CycleSimulator]


@pytest.fixture(params=[None, 7], ids=["steady", "stalls"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    cycle = CycleSimulator(CONFIG, dram=Dram(size=DRAM_BYTES), stalls=request.param, max_cycles=200_000)
    yield OracleSimulator(CONFIG, dram=Dram(size=DRAM_BYTES)), cycle
    cycle.close()


def run_both(
    pair: Pair, program: list[Instruction] | bytes, segments: tuple[tuple[int, int], ...] = ()
) -> list[Outcome]:
    """Outcomes of oracle and RTL; the RTL has written nothing outside the segments."""
    text = program if isinstance(program, bytes) else b"".join(i.encode() for i in program)
    base = pair[0].dram.base
    for simulator in pair:
        simulator.dram.bytes[:] = 0xA5
        simulator.write(base, text)
    launch = Launch(program=base, count=len(text) // 64, segments=segments, watchdog=WATCHDOG)
    outcomes = [simulator.run(launch) for simulator in pair]
    fenced = np.ones(DRAM_BYTES, dtype=bool)
    for start, limit in segments:
        fenced[max(start - base, 0) : max(start + limit - base, 0)] = False
    fenced[: len(text)] = False
    assert (pair[1].dram.bytes[fenced] == 0xA5).all()
    return outcomes


def check_still_works(pair: Pair) -> None:
    """The program after an error copies 64 cells through ACT."""
    base = pair[0].dram.base
    copy = [
        load(memory=Memory.ACT, segment=0, offset=0, bounds=[64], mem=(8, [1]), signal=[Engine.STORE]),
        store(memory=Memory.ACT, segment=1, offset=0, bounds=[64], mem=(8, [1]), wait=[Engine.LOAD]),
        finish(),
    ]
    size = 64 * CONFIG.granule
    outcomes = run_both(pair, copy, ((base + TEXT_BYTES, size), (base + 2 * TEXT_BYTES, size)))
    assert [outcome.error for outcome in outcomes] == [ErrorCode.NONE] * 2
    np.testing.assert_array_equal(pair[0].dram.bytes, pair[1].dram.bytes)


def test_random_fields(pair: Pair) -> None:
    rng = np.random.default_rng(3)
    base = pair[0].dram.base
    ends = set()
    for _ in range(400):
        inside = [(base + TEXT_BYTES + 2048 * n, int(rng.integers(500, 1024))) for n in range(6)]
        beyond = [(base + DRAM_BYTES - 64, 4096), (base - 64 * int(rng.integers(40)), 4096)]
        text = hostile_instruction(rng) + finish().encode()
        expected, actual = run_both(pair, text, tuple(inside + beyond))
        ends.add(actual.error)
        # A later run's error may be found before an earlier run's answer is back from the bus.
        late = expected.error in BUS_ERRORS and actual.error in {ErrorCode.SEGMENT_LIMIT, ErrorCode.ALIGNMENT}
        assert late or (actual.error, actual.index) == (expected.error, expected.index), text.hex()
    assert ends == set(ErrorCode) - {ErrorCode.PROGRAM_END}
    check_still_works(pair)


def test_random_tokens(pair: Pair) -> None:
    rng = np.random.default_rng(4)
    ends = set()
    for _ in range(200):
        expected, actual = run_both(pair, [*hostile_tokens(rng), finish()])
        assert (actual.error, actual.index) == (expected.error, expected.index)
        ends.add(actual.error)
    assert ends == {ErrorCode.NONE, ErrorCode.WATCHDOG}
    check_still_works(pair)


def test_no_finish(pair: Pair) -> None:
    outcomes = run_both(pair, [Instruction(Opcode.SYNC, {})] * 20)
    assert [(o.error, o.index) for o in outcomes] == [(ErrorCode.PROGRAM_END, 20)] * 2
    check_still_works(pair)
