"""Odd shapes are ordinary: the native simulator gives what the NumPy reference gives, whatever the core's sizes.

CASES says how many shapes each kind of operator is tried with on each core; every test counts those that were compared.
"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from tilewright.compiler.assemble import HostTarget, assemble
from tilewright.compiler.compile import import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.errors import TilewrightError
from tilewright.isa.checker import check_program
from tilewright.isa.races import program_races
from tilewright.simulator.native import NativeSimulator

CORES = {core.name: core for core in map(load_config, ("vta-16", "tiny", "wide-32", "8x16"))}
CORES |= {
    f"random-{number}": load_config("tiny").replace(
        name=f"random-{number}",
        rows=rows,
        act_depth=4096,
        wgt_depth=1024,
        block_in=wide,
        block_out=tall,
        token_bits=bits,
        queue_depth=queue,
        bus_bits=bus,
    )
    for number, (rows, wide, tall, bits, queue, bus) in enumerate(
        [(4, 4, 16, 1, 3, 512), (2, 16, 4, 2, 2, 64), (1, 8, 8, 6, 8, 128), (2, 4, 8, 1, 5, 256)]
    )
}
CASES = {"conv": 20, "grouped": 12, "depthwise": 12, "dense": 10, "pool": 14, "sum": 8, "large": 4}
SIZES = st.integers(1, 24)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDINGS = st.one_of(
    st.builds(lambda *pads: {"pads": pads}, *[st.integers(0, 7)] * 4),
    st.sampled_from([{"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}, {}]),
)
KERNELS = st.one_of(PAIRS, st.tuples(st.integers(1, 15), st.integers(1, 15)), st.tuples(st.integers(1, 15), st.just(1)))


@pytest.fixture(scope="module", params=CORES)
def simulator(request):
    made = NativeSimulator(CORES[request.param])
    yield made
    made.close()


def test_enough_shapes():
    assert sum(CASES.values()) * len(CORES) >= 500


def agree(simulator, model, operators):
    """Compile, prove, run and compare; the operators named must be on the accelerator."""
    core = simulator.config
    graph = run_passes(import_model(model), passes_for(core))
    try:
        program = assemble(graph, core, HostTarget())
    except TilewrightError as error:
        assert "must fit" in str(error)  # one dilated window of the largest is more than a small core's memory
        reject()
    assert {layer.operator for layer in program.layers if layer.target == "accelerator"} >= operators
    assert check_program(program) == []
    assert program_races(program) == []
    random = np.random.default_rng(1)
    inputs = {t.name: random.uniform(-7, 7, t.shape).astype(t.dtype) for t in program.inputs}
    results, expected = Session(program, simulator).run(inputs), evaluate(graph, inputs)
    for name in graph.outputs:
        np.testing.assert_array_equal(results[name], expected[name])


def compared(kind, strategy, check):
    """Run `check` on as many cases as CASES says, not counting those that it rejects."""
    counted = Counter()

    @settings(
        max_examples=CASES[kind],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(strategy)
    def each(case):
        check(case)
        counted[kind] += 1

    each()
    assert counted[kind] >= CASES[kind]


@st.composite
def windows(draw, *, largest=24):
    """(image, kernel, attributes) of a window that fits its image and padding."""
    kernel, padding = draw(KERNELS), draw(PADDINGS)
    dilations, strides = draw(PAIRS), draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    pads = padding.get("pads", (0, 0, 0, 0))
    sizes = []
    for d in range(2):
        reach = (kernel[d] - 1) * dilations[d] + 1
        least = 1 if "SAME" in padding.get("auto_pad", "") else max(reach - pads[d] - pads[d + 2], 1)
        sizes.append(draw(st.integers(least, max(least, largest))))
    return tuple(sizes), kernel, {"strides": strides, "dilations": dilations, **padding}


@st.composite
def convolutions(draw, groups):
    """(seed, batch, channels, outputs, groups, window)"""
    count = draw(groups)
    each = st.integers(1, 40 // count)
    return (
        draw(st.integers(0, 99)),
        draw(st.integers(1, 3)),
        draw(each) * count,
        draw(each) * count,
        count,
        draw(windows()),
    )


def convolve(qdq, simulator, case, operators):
    seed, batch, channels, outputs, groups, (size, kernel, attributes) = case
    model = qdq(seed=seed, dtype=np.uint8 if seed % 3 == 0 else np.int8)
    x = model.input((batch, channels, *size), 0.05, seed - 50)
    y = model.conv(
        x,
        (outputs, channels // groups, *kernel),
        group=groups,
        relu=seed % 2 == 0,
        per_channel=seed % 5 > 0,
        **attributes,
    )
    agree(simulator, model.finish(y), operators)


def test_convolutions(qdq, simulator):
    compared("conv", convolutions(st.just(1)), lambda case: convolve(qdq, simulator, case, {"conv"}))


def test_grouped_convolutions(qdq, simulator):
    compared("grouped", convolutions(st.integers(2, 6)), lambda case: convolve(qdq, simulator, case, set()))


def test_depthwise_convolutions(qdq, simulator):
    """With multipliers from 1 to 3."""

    def check(case):
        seed, batch, channels, multiplier, window = case
        whole = (seed, batch, channels, channels * multiplier, channels, window)
        convolve(qdq, simulator, whole, {"depthwise"} if multiplier == 1 < channels else set())

    cases = st.tuples(st.integers(0, 99), st.integers(1, 3), st.integers(1, 40), st.integers(1, 3), windows())
    compared("depthwise", cases, check)


def test_dense(qdq, simulator):
    def check(case):
        seed, rows, inputs, outputs, transposed = case
        model = qdq(seed=seed)
        x = model.input((rows, inputs), 0.05, seed - 50)
        y = model.gemm(x, (outputs, inputs) if transposed else (inputs, outputs), trans_b=int(transposed))
        agree(simulator, model.finish(y), {"dense"})

    cases = st.tuples(st.integers(0, 99), st.integers(1, 5), st.integers(1, 300), st.integers(1, 70), st.booleans())
    compared("dense", cases, check)


def test_pools(qdq, simulator):
    def check(case):
        operator, batch, channels, size, kernel, strides, pads = case
        pads = tuple(min(pad, kernel[d % 2] - 1) for d, pad in enumerate(pads))
        size = tuple(max(size[d], kernel[d] - pads[d] - pads[d + 2], 1) for d in range(2))
        model = qdq(seed=channels)
        x = model.input((batch, channels, *size), 0.05, 20)
        counted = {"count_include_pad": 1} if operator == "AveragePool" else {}
        y = model.apply(operator, x, kernel_shape=kernel, strides=strides, pads=pads, out=(0.04, -7), **counted)
        agree(simulator, model.finish(y), {"maxpool" if operator == "MaxPool" else "avgpool"})

    kernels = st.tuples(st.integers(1, 7), st.integers(1, 7))
    pads = st.tuples(*[st.integers(0, 3)] * 4)
    operators = st.sampled_from(["MaxPool", "AveragePool"])
    compared(
        "pool",
        st.tuples(operators, st.integers(1, 3), st.integers(1, 40), st.tuples(SIZES, SIZES), kernels, PAIRS, pads),
        check,
    )


def test_sums(qdq, simulator):
    def check(case):
        shape, seed = case
        model = qdq(seed=seed)
        a, b = model.input(shape, 0.02 + seed / 500, seed - 30), model.input(shape, 0.07, 5)
        agree(simulator, model.finish(model.apply("Add", a, b), model.apply("Relu", a)), {"add"})

    compared("sum", st.tuples(st.tuples(*[st.integers(1, 12)] * 4), st.integers(0, 99)), check)


def test_larger_than_on_chip_memory(qdq, simulator):
    """A convolution, a sum and a pool of images that ACT does not hold."""
    core = simulator.config
    held = core.rows * core.act_depth * core.granule

    def check(case):
        seed, channels, width, kernel, stride = case
        height = held // (width * channels) + 3
        model = qdq(seed=seed)
        x = model.input((1, channels, height, width), 0.05, 3)
        y = model.conv(x, (9, channels, *kernel), strides=stride, pads=[kernel[0] // 2, 0, kernel[0] // 2, 0])
        z = model.apply("MaxPool", model.apply("Add", x, x), kernel_shape=[2, 2], strides=[2, 2])
        agree(simulator, model.finish(y, z), {"conv", "add", "maxpool"})

    channels = st.integers(core.channels, 3 * core.channels)
    cases = st.tuples(
        st.integers(0, 99), channels, st.integers(8, 33), st.tuples(st.integers(1, 5), st.integers(1, 3)), PAIRS
    )
    compared("large", cases, check)


def test_import_is_repeatable(qdq):
    model = qdq()
    proto = model.finish(model.conv(model.input((1, 3, 5, 5)), (4, 3, 3, 3)))
    assert list(import_model(proto).values) == list(import_model(proto).values)
