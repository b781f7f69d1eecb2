"""The watchdog blames the oldest instruction that has not retired, however short its patience."""

from collections.abc import Iterator

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.instruction import Instruction, finish
from tilewright.isa.launch import Launch
from tilewright.isa.table import ENGINES, Engine, ErrorCode, Opcode
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram

DRAM_BYTES = 1 << 16


@pytest.fixture(params=[1, 30], ids=["near", "far"])
def core(request: pytest.FixtureRequest) -> Iterator[CycleSimulator]:
    core = CycleSimulator(
        load_config("tiny"), dram=Dram(size=DRAM_BYTES), latency=request.param, trace=True, max_cycles=100_000
    )
    yield core
    core.close()


def blocked_program(rng: np.random.Generator) -> list[Instruction]:
    """SYNCs, one of which waits for a token that nobody gives."""
    program = [Instruction(Opcode.SYNC, {"engine": int(rng.integers(len(ENGINES)))}) for _ in range(rng.integers(0, 8))]
    blocked = Instruction(Opcode.SYNC, {"engine": Engine.GEMM, "wait": 1 << Engine.VECTOR})
    program.insert(int(rng.integers(len(program) + 1)), blocked)
    return [*program, finish()]


def test_index(core: CycleSimulator) -> None:
    rng = np.random.default_rng(5)
    base = core.dram.base
    blamed = set()
    for run in range(300):
        program = blocked_program(rng)
        core.write(base, b"".join(instruction.encode() for instruction in program))
        outcome = core.run(Launch(base, len(program), watchdog=1 + run % 60))
        assert outcome.error is ErrorCode.WATCHDOG
        events = core.events()
        retired = set(events["index"][events["retired"] == 1].tolist())
        assert outcome.index == min(set(range(len(program))) - retired), (run, program)
        blamed.add(outcome.index)
    assert len(blamed) > 3
