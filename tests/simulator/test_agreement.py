"""The comparison itself: it must see every kind of disagreement."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.random_programs import RandomProgram, random_program
from tilewright.isa.table import ErrorCode, Memory, Opcode
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, shrink_and_save
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

CONFIG = load_config("tiny").replace(name="tiny-2", rows=2)


class Faulty(OracleSimulator):
    """Does something more, or else, at the end of a run."""

    name = "faulty"

    def __init__(self, spoil: Callable[["Faulty", Launch], Outcome | None]) -> None:
        super().__init__(CONFIG, dram=Dram(size=COMPARISON_DRAM_BYTES))
        self.spoil = spoil

    def run(self, launch: Launch) -> Outcome:
        outcome = super().run(launch)
        return self.spoil(self, launch) or outcome


@pytest.fixture
def oracle() -> OracleSimulator:
    return OracleSimulator(CONFIG, dram=Dram(size=COMPARISON_DRAM_BYTES))


def change_cell(simulator: Faulty, launch: Launch, memory: Memory, row: int) -> None:
    cells = simulator.peek(memory, row)
    cells[-1, -1] ^= 1
    simulator.poke(memory, cells, row)


def change_dram(simulator: Faulty, launch: Launch, offset: int) -> None:
    simulator.dram.view(launch.segments[0][0] + offset, 1)[0] ^= 1


def test_same_simulator_agrees(oracle: OracleSimulator) -> None:
    for seed in range(3):
        assert compare(random_program(CONFIG, seed), [oracle, Faulty(lambda simulator, launch: None)]) == []


@pytest.mark.parametrize("memory", Memory)
def test_sees_one_bit_of_any_memory(oracle: OracleSimulator, memory: Memory) -> None:
    row = 1 if memory in (Memory.ACT, Memory.ACC) else 0
    faulty = Faulty(lambda simulator, launch: change_cell(simulator, launch, memory, row))
    (difference,) = compare(random_program(CONFIG, 5), [oracle, faulty])
    assert difference.startswith(f"{memory.name} row {row} [")
    assert difference.endswith("(1 bytes differ)")


def test_sees_dram_inside_and_outside_segments(oracle: OracleSimulator) -> None:
    program = random_program(CONFIG, 5)
    inside = compare(program, [oracle, Faulty(lambda simulator, launch: change_dram(simulator, launch, 0))])
    assert [line.startswith("DRAM [") for line in inside] == [True]
    outside = compare(program, [oracle, Faulty(lambda simulator, launch: change_dram(simulator, launch, -1))])
    assert any("outside all segments" in line for line in outside)


def test_sees_another_ending(oracle: OracleSimulator) -> None:
    faulty = Faulty(lambda simulator, launch: Outcome(ErrorCode.WATCHDOG, 3))
    differences = compare(random_program(CONFIG, 5), [oracle, faulty], may_fail=True)
    assert differences == ["faulty: ended with WATCHDOG at 3, not as oracle"]


def test_failing_program_is_made_small(oracle: OracleSimulator, tmp_path: Path) -> None:
    """A simulator that gets ACC wrong whenever there was a GEMM: one GEMM stays."""
    program = next(p for p in (random_program(CONFIG, seed) for seed in range(20)) if _gemms(p) > 1)

    def spoil(simulator: Faulty, launch: Launch) -> None:
        text = simulator.read(launch.program, 64 * launch.count).reshape(-1, 64)
        if np.any(text[:, 0] & 15 == Opcode.GEMM):
            change_cell(simulator, launch, Memory.ACC, 0)

    saved = RandomProgram.load(shrink_and_save(program, [oracle, Faulty(spoil)], tmp_path))
    assert [i.opcode for i in saved.instructions] == [Opcode.GEMM, Opcode.FINISH]


def _gemms(program: RandomProgram) -> int:
    return sum(i.opcode is Opcode.GEMM for i in program.instructions)
