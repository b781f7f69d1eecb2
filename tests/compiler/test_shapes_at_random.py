"""Properties over odd shapes: the oracle gives what the integer reference gives, whatever the core's sizes."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import import_model
from tilewright.config import load_config
from tilewright.isa.checker import check_program
from tilewright.isa.dependence import find_races
from tilewright.isa.program import Run

POWERS = st.sampled_from([4, 8, 16])
CORES = st.builds(
    lambda rows, wide, tall, token_bits, queue, bus: load_config("tiny").replace(
        name="random", rows=rows, block_in=wide, block_out=tall, token_bits=token_bits, queue_depth=queue, bus_bits=bus
    ),
    st.sampled_from([1, 2, 4]),
    POWERS,
    POWERS,
    st.sampled_from([1, 2, 6]),
    st.integers(2, 8),
    st.sampled_from([64, 128, 512]),
)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SHARED = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def agree(compiled, model, core):
    result = compiled(model, core)
    assert check_program(result.program) == []
    sizes = [segment.size for segment in result.program.segments]
    for step in result.program.steps:
        if isinstance(step, Run):
            assert find_races(result.program.decoded(step), core, sizes) == []
    inputs = result.random_inputs()
    for got, expected in zip(result.oracle(inputs), result.reference(inputs), strict=True):
        np.testing.assert_array_equal(got, expected)


@SHARED
@given(
    core=CORES,
    channels=st.integers(1, 40),
    outputs=st.integers(1, 40),
    size=st.tuples(st.integers(3, 24), st.integers(3, 24)),
    kernel=PAIRS,
    strides=PAIRS,
    dilations=PAIRS,
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    seed=st.integers(0, 99),
)
def test_convolutions(qdq, compiled, core, channels, outputs, size, kernel, strides, dilations, pads, seed):
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(r > s + pads[k] + pads[k + 2] for k, (r, s) in enumerate(zip(reach, size, strict=True))):
        return
    model = qdq(seed=seed)
    x = model.input((1, channels, *size), 0.05, seed - 50)
    y = model.conv(x, (outputs, channels, *kernel), strides=strides, dilations=dilations, pads=pads)
    agree(compiled, model.finish(y), core)


@SHARED
@given(
    core=CORES,
    operator=st.sampled_from(["MaxPool", "AveragePool"]),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(3, 20), st.integers(3, 20)),
    kernel=PAIRS,
    strides=PAIRS,
    pads=st.tuples(*[st.integers(0, 1)] * 4),
)
def test_pools(qdq, compiled, core, operator, channels, size, kernel, strides, pads):
    if any(pads[k] >= kernel[k % 2] for k in range(4)):
        return
    model = qdq(seed=channels)
    x = model.input((1, channels, *size), 0.05, 20)
    counted = {"count_include_pad": 1} if operator == "AveragePool" else {}
    y = model.apply(operator, x, kernel_shape=kernel, strides=strides, pads=pads, out=(0.04, -7), **counted)
    agree(compiled, model.finish(y), core)


@SHARED
@given(core=CORES, shape=st.tuples(*[st.integers(1, 12)] * 4), seed=st.integers(0, 99))
def test_sums(qdq, compiled, core, shape, seed):
    model = qdq(seed=seed)
    a, b = model.input(shape, 0.02 + seed / 500, seed - 30), model.input(shape, 0.07, 5)
    agree(compiled, model.finish(model.apply("Add", a, b), model.apply("Relu", a)), core)


def test_import_is_repeatable(qdq):
    model = qdq()
    proto = model.finish(model.conv(model.input((1, 3, 5, 5)), (4, 3, 3, 3)))
    assert list(import_model(proto).values) == list(import_model(proto).values)
