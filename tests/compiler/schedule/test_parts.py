"""Loops, regions, the memory plan, layouts and the program builder."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.compiler.schedule.builder import ProgramBuilder
from tilewright.compiler.schedule.layout import blocked_shape, pack
from tilewright.compiler.schedule.loops import Loop, fit
from tilewright.compiler.schedule.memory_plan import Lifetime, plan_memory
from tilewright.compiler.schedule.residency import Region
from tilewright.config import load_config
from tilewright.isa.checker import check
from tilewright.isa.races import find_races
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Opcode

LOOPS = st.lists(
    st.builds(
        Loop, st.integers(1, 4), st.tuples(st.integers(-8, 8), st.sampled_from([0, 1, 2, 4, 12])), st.just(False)
    ),
    min_size=1,
    max_size=6,
)


def visited(loops, base=(0, 0)):
    for indices in itertools.product(*(range(loop.bound) for loop in loops)):
        steps = [[index * stride for stride in loop.strides] for index, loop in zip(indices, loops, strict=True)]
        yield tuple(start + sum(step[k] for step in steps) for k, start in enumerate(base))


@given(LOOPS, st.integers(1, 5))
def test_fitted_nests_visit_the_same_points_in_order(loops, dims):
    pieces = list(fit(loops, dims))
    assert all(len(piece.loops) <= dims for piece in pieces)
    assert [point for piece in pieces for point in visited(piece.loops, piece.bases)] == list(visited(loops))


def test_first_tells_whether_outer_reductions_have_begun():
    loops = [Loop(2, (9,), True), Loop(3, (1,)), Loop(2, (5,), True), Loop(2, (7,))]
    assert [piece.first for piece in fit(loops, 2)] == [True] * 3 + [False] * 3


def test_region_keeps_what_was_used_last():
    region = Region(0, 100, 1)
    assert region.place("a", 40) == (0, False)
    assert region.place("b", 40) == (40, False)
    assert region.place("a", 40) == (0, True)
    assert region.place("c", 40) == (40, False)
    assert region.place("b", 40, pinned={"a", "c"}) is None
    assert region.place("b", 101) is None


def test_region_steps():
    region = Region(64, 64, 16)
    places = [region.place(key, 10)[0] for key in "abcde"]
    assert places == [64, 80, 96, 112, 64]


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 9), st.integers(0, 4)), max_size=12))
def test_tensors_that_live_together_lie_apart(entries):
    tensors = [Lifetime(str(k), size, first, first + span) for k, (size, first, span) in enumerate(entries)]
    offsets, total = plan_memory(tensors)
    for a, b in itertools.combinations(tensors, 2):
        together = a.first <= b.last and b.first <= a.last
        apart = offsets[a.name] + a.nbytes <= offsets[b.name] or offsets[b.name] + b.nbytes <= offsets[a.name]
        assert apart or not together
    assert all(offsets[t.name] % 64 == 0 and offsets[t.name] + t.nbytes <= total for t in tensors)


def test_blocks():
    array = np.arange(2 * 5 * 3 * 2, dtype=np.int8).reshape(2, 5, 3, 2)
    packed = pack(array, 4)
    assert packed.shape == blocked_shape(array.shape, 4) == (2, 2, 3, 2, 4)
    assert packed[1, 1, 2, 1].tolist() == [array[1, 4, 2, 1], 0, 0, 0]
    assert blocked_shape((3, 10), 4) == (3, 3, 1, 1, 4)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("token_bits", [1, 6])
def test_builder_orders_any_program(seed, token_bits):
    """Random instructions, with their own tokens taken off, are ordered without races or deadlock."""
    config = load_config("tiny").replace(token_bits=token_bits)
    program = random_program(config, seed, loose=0.0)
    sizes = list(program.segment_sizes)
    builder = ProgramBuilder(config, sizes)
    for instruction in program.instructions:
        if instruction.opcode not in (Opcode.FINISH, Opcode.SYNC):
            builder.emit(instruction)
    ordered = builder.finish()
    assert find_races(ordered, config) == []
    assert [finding for finding in check(ordered, config, sizes) if "oken" in str(finding)] == []
