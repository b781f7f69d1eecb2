"""Activations that stay in ACT: which, where, with what around them; and what a compiled network then moves."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_model
from tilewright.compiler.schedule.layout import Blocked
from tilewright.compiler.schedule.resident import Candidate, Reading, bank_edge, margins, plan_residents
from tilewright.compiler.window import Window
from tilewright.config import load_config
from tilewright.isa.checker import check_program
from tilewright.isa.program import Run
from tilewright.isa.races import program_races
from tilewright.isa.table import Opcode

CONFIG = load_config("vta-16")
SAME = Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), (8, 8))
HALVED = Window((3, 3), (2, 2), (1, 1), (0, 0, 1, 1), (4, 4))


def image(shape):
    return Blocked(shape, 1, 0, CONFIG)


def test_margins_serve_every_reader():
    frame = margins((1, 16, 8, 8), [Reading(SAME, -128), Reading(HALVED, -128), Reading()])
    assert (frame.top, frame.left, frame.height, frame.width, frame.fill) == (1, 1, 10, 10, -128)
    assert margins((1, 16, 8, 8), [Reading()]).height == 8


def test_readers_that_disagree_get_no_frame():
    assert margins((1, 16, 8, 8), [Reading(SAME, -128), Reading(SAME, 3)]) is None
    assert margins((1, 16, 8, 8), [Reading(SAME, -128), Reading(flat=True)]) is None
    unpadded = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0), (8, 8))
    assert margins((1, 16, 8, 8), [Reading(SAME, -128), Reading(unpadded, 3)]) is not None


def test_bank_edge_is_where_the_matrix_engine_ends():
    frame = margins((1, 64, 8, 8), [Reading(SAME, 0)])
    assert bank_edge(image((1, 64, 8, 8)), frame, [Reading(SAME, 0, split=(2, 0))]) == 2 * 10 * 10
    assert bank_edge(image((1, 16, 8, 8)), frame, [Reading(SAME, 0, split=(0, 5))]) == (1 + 5 - 1) * 10
    assert bank_edge(image((1, 16, 8, 8)), frame, [Reading(SAME, 0)]) is None


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 60), st.integers(0, 7), st.integers(0, 3))


@given(st.lists(st.tuples(SIZES, st.none() | st.integers(0, 500)), max_size=10), st.integers(0, 4096))
def test_residents_that_live_together_lie_apart(entries, reserved):
    candidates = {}
    for number, ((blocks, height, width, first, span), edge) in enumerate(entries):
        shape = (1, blocks * CONFIG.channels, height, width)
        candidates[str(number)] = Candidate(image(shape), margins(shape, [Reading()]), first, first + span, edge)
    streaming = [[n for n, c in candidates.items() if c.first <= layer <= c.last] for layer in range(12)]
    residents, limits = plan_residents(CONFIG, candidates, streaming, reserved)
    bank = CONFIG.act_depth // CONFIG.act_banks
    for name, place in residents.items():
        entry = candidates[name]
        assert place.base >= reserved and place.base + entry.size <= CONFIG.act_depth
        assert entry.edge is None or (place.base + entry.edge) % bank == 0
        assert all(limits[layer] <= place.base for layer in range(entry.first, entry.last + 1))
    for a, b in itertools.combinations(residents, 2):
        first, second = residents[a].base, residents[b].base
        apart = first + candidates[a].size <= second or second + candidates[b].size <= first
        assert apart or not candidates[a].meets(candidates[b])
    for layer, names in enumerate(streaming):
        missing = any(name not in residents for name in names)
        assert limits[layer] >= (reserved + (CONFIG.act_depth - reserved) // 2 if missing else reserved)


def _residual(model):
    x = model.input((1, 20, 12, 12))
    a = model.conv(x, (24, 20, 3, 3), pads=[1, 1, 1, 1], relu=True, out=(0.05, -128))
    b = model.conv(a, (24, 1, 3, 3), pads=[1, 1, 1, 1], group=24, out=(0.05, 3))
    c = model.apply("Add", a, b, out=(0.06, 1))
    return model.finish(model.apply("GlobalAveragePool", c, out=(0.03, 2)))


@pytest.mark.parametrize("name", ["vta-16", "8x16", "wide-32"])
def test_only_input_and_result_touch_dram(qdq, name):
    """Of the activations; and what stays is ordered as well as what moves."""
    config = load_config(name)
    program = compile_model(_residual(qdq(seed=4)), config)
    check_program(program)
    runs = [step for step in program.steps if isinstance(step, Run)]
    instructions = [instruction for run in runs for instruction in program.decoded(run)]
    assert program_races(program) == []
    stored = sum(i.nest.points for i in instructions if i.opcode is Opcode.STORE)
    assert stored * config.granule == config.channels * -(-24 // config.channels)


def test_rows_of_a_core_keep_nothing(qdq):
    """Each row has its own part of an image, and does not see its neighbour's."""
    config = load_config("vta-16").replace(name="two-rows", rows=2)
    program = compile_model(_residual(qdq(seed=4)), config)
    (run,) = [step for step in program.steps if isinstance(step, Run)]
    stores = [i for i in program.decoded(run) if i.opcode is Opcode.STORE]
    assert len(stores) >= 4


def test_a_kept_activation_may_be_an_output_too(qdq, compiled):
    """It stays, and goes to DRAM besides."""
    model = qdq(seed=6)
    x = model.input((1, 8, 6, 6))
    a = model.conv(x, (8, 8, 3, 3), pads=[1, 1, 1, 1], out=(0.05, 0))
    b = model.conv(a, (8, 8, 3, 3), pads=[1, 1, 1, 1], out=(0.05, 0))
    case = compiled(model.finish(a, b), load_config("vta-16"))
    inputs = case.random_inputs()
    for answer, expected in zip(case.oracle(inputs), case.reference(inputs), strict=True):
        np.testing.assert_array_equal(answer, expected)
