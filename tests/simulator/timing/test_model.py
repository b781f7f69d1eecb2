"""The timing model by itself: small cases with known answers, errors, and what it is as a device."""

import numpy as np
import pytest
from tilewright import toolchain
from tilewright.config import load_config
from tilewright.errors import DeviceError, ProgramError
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, sync, vector
from tilewright.isa.launch import Launch
from tilewright.isa.program import Program, Run, Segment, encode_instructions
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.timing import TimingModel, TimingSimulator, time_program

VTA = load_config("vta-16")
LATENCY = 40
FETCH = 47  # from the start to the first instruction in its queue, with 8 bus words an instruction


@pytest.fixture(scope="module")
def model() -> TimingModel:
    return TimingModel(VTA)


def product(points: int, **tokens: list[Engine]) -> Instruction:
    return gemm(bounds=[points], act=(0, [1]), wgt=(0, [0]), acc=(0, [0]), **tokens)


def test_a_product_takes_a_cycle_a_point(model: TimingModel) -> None:
    one, many = (model.time([product(n), finish()], trace=True) for n in (1, 1000))
    assert many.cycles - one.cycles == 999
    assert many.started is not None and many.retired is not None
    assert many.started[0] > FETCH and many.retired[0] - many.started[0] > 1000
    assert many.counters["gemm_bank"] == 0 and many.counters["cycles"] == many.cycles


def test_nests_follow_one_another_without_a_gap(model: TimingModel) -> None:
    alone = model.time([product(500), finish()]).cycles
    assert model.time([product(500)] * 4 + [finish()]).cycles == alone + 3 * 500


def test_tokens_put_instructions_in_order(model: TimingModel) -> None:
    requantised = vector(
        function=Function.SUM, bounds=[100], a=(Memory.ACC, 0, [1]), dst=(Memory.ACT, 0, [1]), wait=[Engine.GEMM]
    )
    timing = model.time([product(300, signal=[Engine.VECTOR]), requantised, finish()], trace=True)
    assert timing.retired is not None and timing.started is not None
    assert timing.started[1] == timing.retired[0] + 1
    assert timing.counters["vector_token"] > 250


def test_latency_is_seen_by_each_wait_for_dram() -> None:
    read = load(memory=Memory.ACT, segment=0, offset=0, bounds=[4], mem=(0, [1]), signal=[Engine.STORE])
    written = store(memory=Memory.ACT, segment=0, offset=0, bounds=[4], mem=(0, [1]), wait=[Engine.LOAD])
    near, far = (TimingModel(VTA, latency=n).time([read, written, finish()]).cycles for n in (LATENCY, LATENCY + 100))
    assert far - near == 300


def test_bursts_end_at_a_page(model: TimingModel) -> None:
    read = load(memory=Memory.WGT, segment=0, offset=0, bounds=[1], mem=(0, [1]))
    aligned, across = (model.time([read, finish()], segments=[(base, 1 << 20)]) for base in (0, 4096 - 64))
    assert aligned.counters["bytes_read"] == across.counters["bytes_read"]
    assert across.cycles >= aligned.cycles


@pytest.mark.parametrize(
    ("program", "error", "index"),
    [
        ([sync(Engine.GEMM), sync(Engine.GEMM, wait=[Engine.LOAD]), finish()], ErrorCode.WATCHDOG, 1),
        ([sync(Engine.GEMM)], ErrorCode.PROGRAM_END, 1),
        (
            [load(memory=Memory.ACT, segment=1, offset=0, bounds=[5], mem=(0, [1])), finish()],
            ErrorCode.SEGMENT_LIMIT,
            0,
        ),
        ([load(memory=Memory.ACT, segment=0, offset=4, bounds=[1], mem=(0, [1])), finish()], ErrorCode.ALIGNMENT, 0),
        ([product(1).replace(bound5=0), finish()], ErrorCode.ILLEGAL_INSTRUCTION, 0),
    ],
)
def test_programs_that_do_not_end(model: TimingModel, program: list[Instruction], error: ErrorCode, index: int) -> None:
    timing = model.time(program, segments=[(0, 1024), (1024, 64)])
    assert (timing.error, timing.index) == (error, index)


def test_wrong_arguments(model: TimingModel) -> None:
    with pytest.raises(ProgramError, match=r"^a program's address must be a multiple of 64, not 0x20$"):
        model.time([finish()], address=32)
    with pytest.raises(ProgramError, match=r"^a program must have at most 8 segments, not 9$"):
        model.time([finish()], segments=[(0, 0)] * 9)
    with pytest.raises(DeviceError, match=r"^latency must be from 1 to 4294967295 cycles, not 0$"):
        TimingModel(VTA, latency=0)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "COMPILERS", ("no-such-compiler",))
    with pytest.raises(DeviceError, match="the timing simulator must have no-such-compiler on PATH"):
        TimingModel(VTA)


def test_runs_do_not_depend_on_earlier_ones(model: TimingModel) -> None:
    programs = [random_program(VTA, seed).instructions for seed in range(6)]
    first = [model.time(program).counters for program in programs]
    assert [model.time(program).counters for program in reversed(programs)] == first[::-1]


def test_the_device_moves_no_data() -> None:
    device = TimingSimulator(VTA, dram=Dram(size=1 << 16), trace=True)
    assert device.name == "timing"
    code = encode_instructions([product(10), finish()])
    address = device.allocate(code.size)
    device.write(address, code)
    outcome = device.run(Launch(address, 2))
    assert outcome.error is ErrorCode.NONE and outcome.counters == device.counters
    events = device.events()
    assert events["index"].tolist() == [0, 0] and events["retired"].tolist() == [0, 1]
    assert events["engine"].tolist() == [Engine.GEMM] * 2
    with pytest.raises(DeviceError, match=r"^device timing moves no data, so it has no outputs: take native or cycle"):
        device.read(address, 1)
    device.close()


def test_programs_are_placed_as_a_session_places_them(model: TimingModel) -> None:
    read = load(memory=Memory.ACT, segment=1, offset=0, bounds=[40], mem=(0, [1]))
    code = encode_instructions([product(3), finish(), read, finish()])
    segments = (Segment(name="a", size=100, role="constants"), Segment(name="b", size=1000, role="activations"))
    program = Program(
        config=VTA, instructions=code, segments=segments, steps=(Run(first=0, count=2), Run(first=2, count=2))
    )
    first, second = time_program(program, model=model)
    assert (first.run, second.run) == program.steps
    base = Dram().base
    expected = model.time(code[2:], address=base + 1152 + 128, segments=[(base, 100), (base + 128, 1000)])
    assert second.timing.cycles == expected.cycles
    bad = Program(config=VTA, instructions=code[2:], segments=segments[:1], steps=(Run(first=0, count=2),))
    with pytest.raises(
        DeviceError, match=r"^the program must run without error, but stops with SEGMENT_LIMIT at instr"
    ):
        time_program(bad)
    assert np.array_equal(program.instructions, code)


def test_one_library_serves_every_configuration() -> None:
    configs = [load_config(name) for name in ("tiny", "vta-16", "8x16", "wide-32")]
    pairs = [(TimingModel(config), TimingModel(config, shared=True)) for config in configs]
    for seed in range(25):
        for config, (own, shared) in zip(configs, pairs, strict=True):
            program = random_program(config, seed)
            expected, found = (model.time(program.instructions, trace=True) for model in (own, shared))
            assert found.counters == expected.counters and found.cycles == expected.cycles > 0
            assert np.array_equal(found.started, expected.started) and np.array_equal(found.retired, expected.retired)
