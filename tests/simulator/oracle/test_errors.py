"""How programs end: error codes, indices, tokens, queues and deadlocks."""

from typing import Any

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import DeviceError
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, sync, vector
from tilewright.isa.launch import Launch
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

LOAD = load(memory=Memory.ACT, segment=0, offset=0, bounds=[1], mem=(0, [0]))
STORE = store(memory=Memory.ACT, segment=0, offset=0, bounds=[1], mem=(0, [0]))
GEMM = gemm(bounds=[1], act=(0, [0]), wgt=(0, [0]), acc=(0, [0]))
ZERO = vector(function=Function.ZERO, bounds=[1], dst=(Memory.ACT, 0, [0]))


@pytest.fixture
def tiny(new_bench: Any) -> Any:
    return new_bench(load_config("tiny"))


def ends(bench: Any, *program: Instruction | bytes) -> tuple[ErrorCode, int]:
    outcome = bench.run(*program)
    return outcome.error, outcome.index


ILLEGAL = {
    "opcode 0": bytes(64),
    "opcode 7": b"\x07" + bytes(63),
    "reserved bit of FINISH": b"\x11" + bytes(63),
    "reserved bit of LOAD": LOAD.encode()[:-1] + b"\x80",
    "bound 0 of LOAD": LOAD.replace(bound2=0),
    "bound 0 of GEMM": GEMM.replace(bound5=0),
    "bound 0 of VECTOR": ZERO.replace(bound0=0),
    "LOAD of memory 6": LOAD.replace(memory=6),
    "STORE of WGT": STORE.replace(memory=Memory.WGT),
    "function 5": ZERO.replace(function=5),
    "reduce 6": ZERO.replace(reduce=6),
    "MAC on ACC (a)": ZERO.replace(function=Function.MAC, a_memory=1),
    "MAC on ACC (b)": ZERO.replace(function=Function.MAC, b_memory=1),
    "table to ACC": ZERO.replace(table_enable=1, dst_memory=1),
    "own bit in wait": GEMM.replace(wait=1 << Engine.GEMM),
    "own bit in signal": sync(Engine.STORE, signal=[Engine.STORE]),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal_instructions(tiny: Any, case: str) -> None:
    assert ends(tiny, LOAD, ILLEGAL[case], finish()) == (ErrorCode.ILLEGAL_INSTRUCTION, 1)


def test_what_is_not_read_may_be_anything(tiny: Any) -> None:
    assert ends(tiny, ZERO.replace(a_memory=1, b_memory=1), finish(), bytes(64)) == (ErrorCode.NONE, 0)
    assert ends(tiny, LOAD.replace(row_mask=0xFF), finish()) == (ErrorCode.NONE, 0)


def test_the_end_of_a_segment(tiny: Any) -> None:
    last = len(tiny.segment) - 8
    for transfer in (LOAD, STORE):
        fits = transfer.replace(offset=last, bound3=2)
        assert ends(tiny, fits, finish()) == (ErrorCode.NONE, 0)
        assert ends(tiny, fits, fits.replace(bound3=3), finish()) == (ErrorCode.SEGMENT_LIMIT, 1)
        assert ends(tiny, transfer.replace(segment=1), finish()) == (ErrorCode.SEGMENT_LIMIT, 0)
        assert ends(tiny, transfer.replace(offset=(1 << 32) - 4, bound3=2), finish()) == (ErrorCode.SEGMENT_LIMIT, 0)


def test_a_run_over_the_limit_writes_no_byte_of_it(tiny: Any) -> None:
    before = tiny.core.dram.bytes.copy()
    over = STORE.replace(offset=len(tiny.segment) - 8, bound3=64)
    assert ends(tiny, over, finish()) == (ErrorCode.SEGMENT_LIMIT, 0)
    code = 2 * 64
    written = np.flatnonzero(tiny.core.dram.bytes != before)
    assert len(written) and np.ptp(written) < code


def test_alignment_goes_by_the_smaller_of_bus_and_cell(new_bench: Any) -> None:
    tiny, wide = new_bench(load_config("tiny")), new_bench(load_config("wide-32"))
    for bench, unit in ((tiny, 4), (wide, 32)):
        good = LOAD.replace(offset=unit)
        assert ends(bench, good, finish()) == (ErrorCode.NONE, 0)
        assert ends(bench, good, good.replace(offset=unit + unit // 2), finish()) == (ErrorCode.ALIGNMENT, 1)
        assert ends(bench, good.replace(bound0=2, dram_stride0=unit // 2), finish()) == (ErrorCode.ALIGNMENT, 0)
        far = good.replace(offset=(1 << 31) + unit // 2)
        assert ends(bench, far, finish()) == (ErrorCode.ALIGNMENT, 0)
        table = LOAD.replace(memory=Memory.TABLE, offset=3)
        assert ends(bench, table, finish()) == (ErrorCode.NONE, 0)


def test_the_program_must_end(tiny: Any) -> None:
    assert ends(tiny, LOAD, GEMM, STORE) == (ErrorCode.PROGRAM_END, 3)


def test_memory_that_does_not_exist() -> None:
    dram = Dram(size=4096)
    core = OracleSimulator(load_config("tiny"), dram=dram)
    core.write(dram.base, LOAD.encode() + STORE.encode())
    outside = ((dram.base + 4096, 64),)
    for first, code in ((0, ErrorCode.BUS_READ), (1, ErrorCode.BUS_WRITE)):
        outcome = core.run(Launch(dram.base + 64 * first, 1, outside))
        assert (outcome.error, outcome.index) == (code, 0)
    dram.bytes[-64:] = np.frombuffer(GEMM.encode(), np.uint8)
    outcome = core.run(Launch(dram.base + 4096 - 64, 2))
    assert (outcome.error, outcome.index) == (ErrorCode.BUS_READ, 1)


def test_tokens_order_engines(tiny: Any) -> None:
    """A store that stands before its load in the program, but waits for it."""
    size = tiny.config.granule
    first = tiny.segment[:size].copy()
    tiny.ok(
        STORE.replace(offset=640, wait=1 << Engine.LOAD),
        sync(Engine.VECTOR, wait=[Engine.GEMM], signal=[Engine.LOAD]),
        LOAD.replace(wait=1 << Engine.VECTOR, signal=1 << Engine.STORE),
        sync(Engine.GEMM, signal=[Engine.VECTOR]),
    )
    assert np.array_equal(tiny.segment[640 : 640 + size], first)


def test_a_deadlock_names_the_oldest_instruction_that_has_not_retired(tiny: Any) -> None:
    stuck = STORE.replace(wait=1 << Engine.LOAD)
    assert ends(tiny, GEMM, stuck, LOAD, finish()) == (ErrorCode.WATCHDOG, 1)
    cycle = (sync(Engine.LOAD, wait=[Engine.GEMM]), sync(Engine.GEMM, wait=[Engine.LOAD], signal=[Engine.LOAD]))
    assert ends(tiny, LOAD, *cycle, finish()) == (ErrorCode.WATCHDOG, 1)


def test_a_full_queue_holds_fetching_back(tiny: Any) -> None:
    depth = tiny.config.queue_depth
    waiting = [sync(Engine.STORE, wait=[Engine.LOAD])] * depth
    giver = [sync(Engine.LOAD, signal=[Engine.STORE])] * (depth + 1)
    assert ends(tiny, *waiting, *giver, finish()) == (ErrorCode.NONE, 0)
    assert ends(tiny, *waiting, waiting[0], waiting[0], *giver, finish()) == (ErrorCode.WATCHDOG, 0)
    assert ends(tiny, *waiting, bytes(64)) == (ErrorCode.ILLEGAL_INSTRUCTION, depth)


def test_a_full_counter_holds_the_giver_back(tiny: Any) -> None:
    most = (1 << tiny.config.token_bits) - 1
    give = sync(Engine.LOAD, signal=[Engine.GEMM])
    assert ends(tiny, *[give] * most, finish()) == (ErrorCode.NONE, 0)
    assert ends(tiny, *[give] * (most + 1), finish()) == (ErrorCode.WATCHDOG, most)
    assert ends(tiny, *[give] * (most + 1), sync(Engine.GEMM, wait=[Engine.LOAD]), finish()) == (ErrorCode.NONE, 0)


def test_tokens_left_over_are_gone_at_the_next_start(tiny: Any) -> None:
    tiny.ok(sync(Engine.LOAD, signal=[Engine.GEMM]))
    assert ends(tiny, sync(Engine.GEMM, wait=[Engine.LOAD]), finish()) == (ErrorCode.WATCHDOG, 0)
    tiny.ok(GEMM)


def test_poke_refuses_what_does_not_fit() -> None:
    core = OracleSimulator(load_config("tiny"))
    with pytest.raises(DeviceError, match=r"^BIAS must be poked with uint8 \(32, 16\), not int8 \(1,\)$"):
        core.poke(Memory.BIAS, np.zeros(1, np.int8))
    with pytest.raises(DeviceError, match=r"^row of ACT must be below 1, not 1$"):
        core.peek(Memory.ACT, 1)
    with pytest.raises(DeviceError, match="outside"):
        core.write(0, b"x")
