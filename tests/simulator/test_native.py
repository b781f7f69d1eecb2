"""The native simulator by itself: small cases with known answers, whole matrix products, errors."""

from collections.abc import Iterator

import numpy as np
import pytest
from tilewright import toolchain
from tilewright.config import Config, load_config
from tilewright.errors import DeviceError
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, sync, vector
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator, open_native
from tilewright.simulator.native.compile import CPU_VARIABLE, CPUS

TINY = load_config("tiny")
SEGMENT_BYTES = 4096


@pytest.fixture(params=list(CPUS))
def device(request: pytest.FixtureRequest) -> Iterator[NativeSimulator]:
    simulator = NativeSimulator(TINY, dram=Dram(size=1 << 16), cpu=request.param)
    yield simulator
    simulator.close()


def run(device: NativeSimulator, *program: Instruction | bytes, count: int | None = None) -> Outcome:
    """Run a program at the start of DRAM with two segments behind it."""
    text = b"".join(part.encode() if isinstance(part, Instruction) else part for part in program)
    base = device.dram.base
    device.write(base, text)
    segments = ((base + 0x4000, SEGMENT_BYTES), (base + 0x8000, 100))
    return device.run(Launch(program=base, count=len(program) if count is None else count, segments=segments))


def set_words(device: NativeSimulator, memory: Memory, words: np.ndarray) -> None:
    raw = device.peek(memory)
    raw.reshape(-1)[: words.nbytes] = words.view(np.uint8).reshape(-1)
    device.poke(memory, raw)


def acc(device: NativeSimulator) -> np.ndarray:
    return device.peek(Memory.ACC).view(np.int32)


def test_product_of_one_tile(device: NativeSimulator) -> None:
    set_words(device, Memory.ACT, np.array([1, -2, 127, -128], np.int8))
    set_words(device, Memory.WGT, np.array([[1, 1, 1, 1], [-128] * 4, [0, 0, 0, -128], [5, 6, 7, 8]], np.int8))
    one = gemm(bounds=[1], act=(0, [0]), wgt=(0, [0]), acc=(3, [0]))
    assert run(device, one, finish()) == Outcome(counters={"instructions": 1})
    assert acc(device)[3].tolist() == [-2, 256, 16384, 5 - 12 + 889 - 1024]
    run(device, one.replace(accumulate=1, bound5=3), finish())
    assert acc(device)[3].tolist() == [-8, 1024, 65536, 4 * -142]


def test_load_store_round_trip(device: NativeSimulator) -> None:
    data = np.arange(64, dtype=np.uint8)
    device.write(device.dram.base + 0x4000, data)
    outcome = run(
        device,
        load(
            memory=Memory.ACT,
            segment=0,
            offset=0,
            bounds=[2, 4],
            dram_strides=[32],
            mem=(10, [100, 2]),
            signal=[Engine.STORE],
        ),
        store(memory=Memory.ACT, segment=0, offset=1024, bounds=[4], mem=(110, [2]), wait=[Engine.LOAD]),
        finish(),
    )
    assert outcome.error is ErrorCode.NONE
    assert (device.peek(Memory.ACT)[[10, 12, 14, 16]].reshape(-1) == data[:16]).all()
    assert (device.read(device.dram.base + 0x4000 + 1024, 16) == data[32:48]).all()


def test_requantise_to_act(device: NativeSimulator) -> None:
    set_words(device, Memory.ACC, np.array([1000, -1000, 3, -2147483648], np.int32))
    set_words(device, Memory.BIAS, np.array([24, -24, 0, 0], np.int32))
    set_words(device, Memory.SCALE, np.array([[1 << 30, 0x0300]] * 4, np.int32))
    relu = vector(
        function=Function.SUM, bounds=[1], a=(Memory.ACC, 0, [0]), dst=(Memory.ACT, 7, [0]), bias=0, scale=0,
        zero_point=-5, minimum=-100, maximum=50,
    )  # fmt: skip
    run(device, relu, finish())
    assert device.peek(Memory.ACT)[7].view(np.int8).tolist() == [50, -69, -5, -100]
    run(device, relu.replace(maximum=127, dst_memory=1), finish())
    assert acc(device)[7].tolist() == [64, -64, 0, -134217728]


def test_token_order_is_kept(device: NativeSimulator) -> None:
    """The store is fetched first and must wait for the vector engine."""
    fill = vector(function=Function.ZERO, bounds=[1], dst=(Memory.ACT, 0, [0]), zero_point=9, signal=[Engine.STORE])
    out = store(memory=Memory.ACT, segment=0, offset=0, bounds=[1], mem=(0, [0]), wait=[Engine.VECTOR])
    assert run(device, out, fill, finish()).error is ErrorCode.NONE
    assert device.read(device.dram.base + 0x4000, 4).tolist() == [9] * 4


ONE_CELL = load(memory=Memory.ACT, segment=0, offset=0, bounds=[1], mem=(0, [0]))
ERRORS = {
    "opcode 0": ([ONE_CELL, bytes(64), finish()], ErrorCode.ILLEGAL_INSTRUCTION, 1),
    "reserved": ([bytes([1]) + bytes(62) + b"\x80"], ErrorCode.ILLEGAL_INSTRUCTION, 0),
    "bound 0": ([ONE_CELL.replace(bound0=0), finish()], ErrorCode.ILLEGAL_INSTRUCTION, 0),
    "memory": ([ONE_CELL.replace(memory=6), finish()], ErrorCode.ILLEGAL_INSTRUCTION, 0),
    "own bit": ([ONE_CELL.replace(wait=1), finish()], ErrorCode.ILLEGAL_INSTRUCTION, 0),
    "limit": ([ONE_CELL.replace(segment=1, offset=100), finish()], ErrorCode.SEGMENT_LIMIT, 0),
    "closed": ([ONE_CELL, ONE_CELL.replace(segment=7), finish()], ErrorCode.SEGMENT_LIMIT, 1),
    "alignment": ([ONE_CELL.replace(offset=2), finish()], ErrorCode.ALIGNMENT, 0),
    "deadlock": ([ONE_CELL, ONE_CELL.replace(wait=2), ONE_CELL, finish()], ErrorCode.WATCHDOG, 1),
    "no finish": ([ONE_CELL], ErrorCode.PROGRAM_END, 1),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(device: NativeSimulator, name: str) -> None:
    program, error, index = ERRORS[name]
    outcome = run(device, *program)
    assert (outcome.error, outcome.index) == (error, index)
    assert run(device, ONE_CELL, finish()).error is ErrorCode.NONE


def test_full_counter_and_full_queue_deadlock(device: NativeSimulator) -> None:
    gives = sync(Engine.LOAD, signal=[Engine.GEMM])
    takes = sync(Engine.GEMM, wait=[Engine.LOAD])
    most = 2**TINY.token_bits - 1
    assert run(device, *[gives] * most, finish()).error is ErrorCode.NONE
    full = run(device, *[gives] * (most + 2), finish())
    assert (full.error, full.index) == (ErrorCode.WATCHDOG, most)
    assert (
        run(device, *[takes] * TINY.queue_depth, gives, *[gives] * TINY.queue_depth, finish()).error is ErrorCode.NONE
    )
    blocked = run(device, *[takes] * (TINY.queue_depth + 1), *[gives] * (TINY.queue_depth + 1), finish())
    assert (blocked.error, blocked.index) == (ErrorCode.WATCHDOG, 0)


def test_segment_beyond_dram_is_a_bus_error(device: NativeSimulator) -> None:
    base = device.dram.base
    write = store(memory=Memory.ACT, segment=0, offset=0, bounds=[64], mem=(0, [0]))
    for start in (base + (1 << 16) - 64, base + (1 << 16), base - 128, 0, 2**64 - 64):
        for instruction, error in ((ONE_CELL.replace(bound3=64), ErrorCode.BUS_READ), (write, ErrorCode.BUS_WRITE)):
            device.write(base, instruction.encode() + finish().encode())
            outcome = device.run(Launch(program=base, count=2, segments=((start, 1 << 31),)))
            assert (outcome.error, outcome.index) == (error, 0)
    assert device.run(Launch(program=base + (1 << 16) - 64, count=2)).error is ErrorCode.ILLEGAL_INSTRUCTION
    assert device.run(Launch(program=base + (1 << 16), count=2)) == Outcome(
        error=ErrorCode.BUS_READ, counters={"instructions": 0}
    )
    assert device.run(Launch(program=0, count=2)).error is ErrorCode.BUS_READ


def test_peek_and_poke_say_what_is_wrong(device: NativeSimulator) -> None:
    with pytest.raises(DeviceError, match=r"row of ACT must be below 1, not 1"):
        device.peek(Memory.ACT, 1)
    with pytest.raises(DeviceError, match=r"WGT must be poked with uint8 of shape \(256, 16\), not int8 \(2, 2\)"):
        device.poke(Memory.WGT, np.zeros((2, 2), np.int8))
    device.close()
    device.close()
    with pytest.raises(DeviceError, match="must be open"):
        device.peek(Memory.ACT)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "COMPILERS", ("no-such-compiler",))
    with pytest.raises(DeviceError, match=r"the native simulator must have no-such-compiler on PATH.*install gcc"):
        NativeSimulator(Config())


def test_the_environment_chooses_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_VARIABLE, "abacus")
    with pytest.raises(
        DeviceError, match=r"CPU of the native simulator \(TILEWRIGHT_CPU\) must be one of .*not 'abacus'"
    ):
        NativeSimulator(TINY)


def test_without_a_compiler_numpy_does_the_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(toolchain, "COMPILERS", ("no-such-compiler",))
    simulator = open_native(TINY, dram=Dram(size=1 << 16))
    assert simulator.name == "native"
    assert [record.getMessage() for record in caplog.records if "no C compiler" in record.getMessage()]
    base = simulator.dram.base
    simulator.write(base, finish().encode())
    assert simulator.run(Launch(program=base, count=1)).error is ErrorCode.NONE
