"""A run in parts does what it does in one, whatever the parts."""

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import ProgramError
from tilewright.isa.checker import check
from tilewright.isa.instruction import finish, sync
from tilewright.isa.launch import Launch
from tilewright.isa.memories import memory_shape
from tilewright.isa.program import encode_instructions
from tilewright.isa.random_programs import random_program
from tilewright.isa.stepping import SteppedRun
from tilewright.isa.table import Engine, ErrorCode, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

LOAD, GEMM, VECTOR, STORE = Engine
SEEDS = range(20)


class Machine:
    """An oracle with a random program's memories."""

    def __init__(self, program):
        self.oracle = OracleSimulator(program.config, dram=Dram(size=1 << 20))
        sizes = program.segment_sizes
        self.segments = tuple((self.oracle.allocate(size), size) for size in sizes)
        for (address, _), data in zip(self.segments, program.segments, strict=True):
            self.oracle.write(address, data)
        for memory, cells in program.memories.items():
            for row, copy in enumerate(cells):
                self.oracle.poke(memory, copy, row)

    def run(self, code):
        address = self.oracle.allocate(code.size)
        self.oracle.write(address, code)
        outcome = self.oracle.run(Launch(address, len(code), self.segments))
        assert outcome.error is ErrorCode.NONE

    def contents(self):
        rows = [(memory, row) for memory in Memory for row in range(memory_shape(self.oracle.config, memory).rows)]
        return [self.oracle.peek(*each) for each in rows] + [self.oracle.read(*segment) for segment in self.segments]


def same(one, other):
    return all(map(np.array_equal, one.contents(), other.contents()))


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_make_up_the_whole(tiny, seed):
    program = random_program(tiny, seed, points=40)
    raw = encode_instructions(program.instructions)
    run = SteppedRun(raw, tiny)
    assert run.order == tuple(range(24)) and len(run) == 24
    whole, parts = Machine(program), Machine(program)
    whole.run(raw)
    cuts = sorted(np.random.default_rng(seed).integers(0, 25, 3).tolist())
    for first, end in zip([0, *cuts], [*cuts, 24], strict=True):
        code, members = run.part(first, end)
        assert members == tuple(range(first, end)) and len(code) == end - first + 1
        if program.strict:
            assert check(code, tiny, program.segment_sizes) == []
        parts.run(code)
    assert same(whole, parts)


def test_the_whole_is_the_program_itself(tiny):
    """With tokens that are taken and no others."""
    program = random_program(tiny, 4)
    raw = encode_instructions(program.instructions)
    np.testing.assert_array_equal(SteppedRun(raw, tiny).part(0, 24)[0], raw)


def test_only_tokens_inside_are_left(tiny):
    raw = encode_instructions(
        [
            sync(LOAD, signal=[GEMM, VECTOR]),
            sync(GEMM, wait=[LOAD], signal=[VECTOR]),
            sync(VECTOR, wait=[LOAD, GEMM]),
            finish(),
        ]
    )
    run = SteppedRun(raw, tiny)
    first = encode_instructions([sync(LOAD, signal=[GEMM]), sync(GEMM, wait=[LOAD]), finish()])
    second = encode_instructions([sync(GEMM, signal=[VECTOR]), sync(VECTOR, wait=[GEMM]), finish()])
    np.testing.assert_array_equal(run.part(0, 2)[0], first)
    np.testing.assert_array_equal(run.part(1, 3)[0], second)


def test_an_order_that_is_not_the_one_written(tiny):
    raw = encode_instructions([sync(GEMM, wait=[LOAD]), sync(LOAD, signal=[GEMM]), sync(STORE), finish()])
    run = SteppedRun(raw, tiny)
    assert run.order.index(1) < run.order.index(0) and run.after(0) == run.order.index(0) + 1
    for end in range(4):
        assert check(run.part(0, end)[0], tiny, []) == []


def test_a_deadlock_has_no_steps():
    with pytest.raises(ProgramError, match="deadlock"):
        SteppedRun(encode_instructions([sync(GEMM, wait=[LOAD]), finish()]), load_config("tiny"))
