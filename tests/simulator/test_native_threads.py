"""The native simulator on two threads: results, ends and interruptions are those of one."""

from collections.abc import Callable

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import DeviceError
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, vector
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.races import find_races
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.native.threads import THREADS_VARIABLE, usable_threads
from tilewright.toolchain import has_compiler

VTA = load_config("vta-16")
SEGMENTS = (1 << 16, 1 << 16)
TEXT = 1 << 18
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs a C compiler")
Progress = Callable[[int, int], object]


def pipeline(rounds: int, *, rows: int = 32) -> list[Instruction]:
    """Tiles through all four engines, in two halves of each memory by turns."""
    program = [load(memory=Memory.WGT, segment=0, offset=0, bounds=[1], mem=(0, [1]))]
    for n in range(rounds):
        half, again = n % 2, n >= 2
        act, out, acc = half * rows, 512 + half * rows, half * rows
        offset = n % 8 * rows * 16
        program += [
            load(memory=Memory.ACT, segment=0, offset=offset, bounds=[rows], mem=(act, [1]),
                 wait=[Engine.GEMM] if again else [], signal=[Engine.GEMM]),
            gemm(bounds=[rows], act=(act, [1]), wgt=(0, [0]), acc=(acc, [1]),
                 wait=[Engine.LOAD, *([Engine.VECTOR] if again else [])], signal=[Engine.LOAD, Engine.VECTOR]),
            vector(function=Function.SUM, bounds=[rows], a=(Memory.ACC, acc, [1]), dst=(Memory.ACT, out, [1]),
                   wait=[Engine.GEMM, *([Engine.STORE] if again else [])], signal=[Engine.GEMM, Engine.STORE]),
            store(memory=Memory.ACT, segment=1, offset=offset, bounds=[rows], mem=(out, [1]),
                  wait=[Engine.VECTOR], signal=[Engine.VECTOR]),
        ]  # fmt: skip
    return program


def device(threads: int, progress: Progress | None = None) -> NativeSimulator:
    """With the same contents each time."""
    simulator = NativeSimulator(VTA, dram=Dram(size=1 << 21), threads=threads, at_once=True, progress=progress)
    simulator.dram.bytes[: sum(SEGMENTS)] = np.random.default_rng(0).integers(0, 256, sum(SEGMENTS), np.uint8)
    return simulator


def run(simulator: NativeSimulator, program: list[Instruction], *, limit: int = SEGMENTS[1]) -> Outcome:
    base = simulator.dram.base
    simulator.write(base + TEXT, b"".join(instruction.encode() for instruction in program))
    segments = ((base, SEGMENTS[0]), (base + SEGMENTS[0], limit))
    return simulator.run(Launch(base + TEXT, len(program), segments, race_free=True))


def assert_alike(one: NativeSimulator, two: NativeSimulator) -> None:
    np.testing.assert_array_equal(one.dram.bytes, two.dram.bytes)
    for memory in Memory:
        np.testing.assert_array_equal(one.peek(memory), two.peek(memory))
    assert one.unfinished() == two.unfinished()


@needs_compiler
def test_same_results_and_counters() -> None:
    program = [*pipeline(600), finish()]
    assert not find_races(program[:100], VTA)
    one, two = device(1), device(2)
    expected = run(one, program)
    assert expected == Outcome(counters={"instructions": len(program) - 1})
    for _ in range(5):
        assert run(two, program) == expected
    assert_alike(one, two)


@needs_compiler
@pytest.mark.parametrize("kind", ["limit", "deadlock", "illegal", "no end"])
def test_programs_with_errors_run_on_one_thread(kind: str) -> None:
    """And so end exactly as there, in the midst of a run too."""
    program = pipeline(300)
    late = {
        "limit": store(memory=Memory.ACT, segment=1, offset=SEGMENTS[1] - 16, bounds=[2], mem=(0, [1])),
        "deadlock": gemm(bounds=[1], act=(0, [0]), wgt=(0, [0]), acc=(0, [0]), wait=[Engine.STORE]),
        "illegal": program[0].replace(bound3=0),
    }
    program += [*([late[kind], *pipeline(5), finish()] if kind in late else [])]
    one, two = device(1), device(2)
    expected = run(one, program)
    assert expected.error is not ErrorCode.NONE
    assert run(two, program) == expected
    assert_alike(one, two)


@needs_compiler
def test_interruption_leaves_a_simulator_that_runs_on() -> None:
    """Ctrl-C comes between two stretches of a run, when no thread is at work."""
    interrupts = [True]

    def progress(retired: int, total: int) -> None:
        assert retired > 0
        if interrupts and interrupts.pop():
            raise KeyboardInterrupt

    nests = [gemm(bounds=[200, 60000], act=(0, [0, 0]), wgt=(0, [0, 0]), acc=(0, [0, 0])) for _ in range(30)]
    program = [*pipeline(20), *nests, finish()]
    one, two = device(1), device(2, progress)
    with pytest.raises(KeyboardInterrupt):
        run(two, program)
    done = two.counters["instructions"]
    assert 0 < done < len(program) - 1
    assert sum(index < len(program) - 1 for index in two.unfinished().values()) > 0
    short = [*pipeline(50), finish()]
    assert run(two, short) == run(one, short)


@needs_compiler
def test_two_simulators_at_a_time_and_one_that_is_closed_early() -> None:
    first, second = device(2), device(2)
    program = [*pipeline(100), finish()]
    assert run(first, program) == run(second, program)
    first.close()
    assert run(second, program).error is ErrorCode.NONE
    second.close()


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    assert usable_threads() == 1
    assert usable_threads(2) == 2
    monkeypatch.delenv(THREADS_VARIABLE)
    assert usable_threads() in (1, 2)
    for wrong in ("3", "many"):
        monkeypatch.setenv(THREADS_VARIABLE, wrong)
        with pytest.raises(DeviceError, match=rf"\(TILEWRIGHT_THREADS\) must be 1 or 2, not '{wrong}'"):
            usable_threads()
