"""Integer operators that come from TFLite, over random shapes: oracle, host and reference agree, whatever the core."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_graph
from tilewright.compiler.graph import Graph, Node, Value
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.reference import evaluate
from tilewright.compiler.requantise import Requantiser
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

POWERS = st.sampled_from([4, 8, 16])
CORES = st.builds(
    lambda rows, wide, tall, bus: load_config("tiny").replace(
        name="random", rows=rows, block_in=wide, block_out=tall, bus_bits=bus
    ),
    st.sampled_from([1, 2, 4]),
    POWERS,
    POWERS,
    st.sampled_from([64, 256]),
)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SHARED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def factors(random, count):
    return Requantiser.from_tflite(10.0 ** random.uniform(-4, 0.5, count))


@SHARED
@given(
    core=CORES,
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=PAIRS,
    strides=PAIRS,
    dilations=PAIRS,
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    images=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_depthwise(graph_with, agree, core, channels, size, kernel, strides, dilations, pads, images, seed):
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(r > s + pads[k] + pads[k + 2] for k, (r, s) in enumerate(zip(reach, size, strict=True))):
        return
    random = np.random.default_rng(seed)
    weight = random.integers(-127, 128, (channels, 1, *kernel)).astype(np.int8)
    bias = random.integers(-3000, 3000, channels).astype(np.int32)
    attributes = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "x_zero": int(random.integers(-128, 128)),
        "requantiser": factors(random, channels),
        "y_zero": int(random.integers(-128, 128)),
        "minimum": -100,
        "maximum": 120,
    }
    agree(graph_with("qdepthwise", [(images, channels, *size)], (weight, bias), attributes), core, seed=seed)


@pytest.mark.parametrize("name", ["vta-16", "tiny", "8x16", "wide-32"])
def test_a_depthwise_convolution_larger_than_memory(graph_with, name):
    """Tiles over rows, columns and groups of channels; the weights of a group stay."""
    random = np.random.default_rng(5)
    channels = 80 if name == "tiny" else 160
    weight = random.integers(-127, 128, (channels, 1, 5, 5)).astype(np.int8)
    attributes = {
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (2, 2, 2, 2),
        "x_zero": -9,
        "requantiser": factors(random, channels),
        "y_zero": 3,
        "minimum": -128,
        "maximum": 127,
    }
    graph = graph_with("qdepthwise", [(1, channels, 40, 33)], (weight, np.zeros(channels, np.int32)), attributes)
    config = load_config(name)
    program = compile_graph(graph, config)
    assert check_program(program) == []
    inputs = {"x0": random.integers(-128, 128, (1, channels, 40, 33)).astype(np.int8)}
    result = Session(program, NativeSimulator(config)).run(inputs)["y"]
    np.testing.assert_array_equal(result, evaluate(graph, inputs)["y"])


@SHARED
@given(
    core=CORES,
    shape=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12)),
    pads=st.tuples(*[st.integers(0, 4)] * 4),
    fill=st.integers(-128, 127),
)
def test_padding(graph_with, agree, core, shape, pads, fill):
    agree(graph_with("qpad", [shape], (), {"pads": pads, "fill": fill}), core)


@SHARED
@given(core=CORES, shape=st.tuples(*[st.integers(1, 9)] * 4), seed=st.integers(0, 99))
def test_sums(graph_with, agree, core, shape, seed):
    random = np.random.default_rng(seed)
    scales = random.uniform(0.01, 0.2, 3)
    twice = 2 * scales[:2].max()
    attributes = {
        "a_zero": int(random.integers(-128, 128)),
        "b_zero": int(random.integers(-128, 128)),
        "a_requantiser": Requantiser.from_tflite(scales[0] / twice, pre_shift=20),
        "b_requantiser": Requantiser.from_tflite(scales[1] / twice, pre_shift=20),
        "requantiser": Requantiser.from_tflite(twice / scales[2] / (1 << 20)),
        "y_zero": int(random.integers(-128, 128)),
        "minimum": -128,
        "maximum": 127,
    }
    agree(graph_with("qadd", [shape, shape], (), attributes), core, seed=seed)


@SHARED
@given(
    core=CORES,
    channels=st.integers(1, 20),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    strides=PAIRS,
    data=st.data(),
)
def test_averages(graph_with, agree, core, channels, size, strides, data):
    kernel = tuple(data.draw(st.integers(1, extent)) for extent in size)
    attributes = {
        "kernel_shape": kernel,
        "strides": strides,
        "x_zero": 0,
        "requantiser": Requantiser.from_average(kernel[0] * kernel[1]),
        "y_zero": 0,
        "minimum": -128,
        "maximum": 127,
    }
    agree(graph_with("qavgpool", [(1, channels, *size)], (), attributes), core)


@SHARED
@given(
    core=CORES,
    shape=st.one_of(st.tuples(st.integers(1, 3), st.integers(1, 30)), st.tuples(*[st.integers(1, 6)] * 3)),
    scale=st.floats(0.001, 0.5).map(lambda value: float(np.float32(value))),
    seed=st.integers(0, 99),
)
def test_softmax(graph_with, agree, core, shape, scale, seed):
    attributes = {"x_scale": scale, "y_scale": 1 / 256, "y_zero": -128}
    agree(graph_with("qsoftmax", [shape], (), attributes), core, seed=seed, on_core=False)


@given(count=st.integers(1, 1 << 19), total=st.data())
def test_an_average_is_rounded_half_away_from_zero(count, total):
    value = total.draw(st.integers(-128 * count, 127 * count))
    exact = (abs(value) + count // 2) // count
    assert Requantiser.from_average(count).apply(np.array([value]), axis=0)[0] == (exact if value >= 0 else -exact)


def test_rounding_to_integers_takes_halves_away_from_zero():
    values = np.array([0.5, -0.5, 1.5, -2.5, 0.49999997, 1e9, -1e9, 126.9], np.float32)
    node = Node("border", "round_to_int8", ("x",), ("y",), {"scale": 1.0, "zero_point": 1})
    x = Value("x", values.shape, values.dtype)
    graph = infer_shapes(Graph("model", {"x": x, "y": Value("y")}, (node,), ("x",), ("y",)))
    expected = np.array([2, 0, 3, -2, 1, 127, -128, 127], np.int8)
    np.testing.assert_array_equal(evaluate(graph, {"x": values})["y"], expected)
    config = load_config("tiny")
    results = Session(compile_graph(graph, config), OracleSimulator(config)).run({"x": values})
    np.testing.assert_array_equal(results["y"], expected)


def test_narrow_multipliers(graph_with):
    """Hardware with a narrower multiplier computes what the reference says of its own numbers."""
    core = load_config("tiny").replace(name="narrow", multiplier_bits=16)
    random = np.random.default_rng(1)
    weight = random.integers(-127, 128, (6, 1, 3, 3)).astype(np.int8)
    attributes = {
        "x_zero": 5,
        "requantiser": Requantiser.from_tflite(random.uniform(0.0005, 0.01, 6)),
        "y_zero": -3,
        "minimum": -128,
        "maximum": 127,
    }
    graph = graph_with("qdepthwise", [(1, 6, 9, 9)], (weight, np.zeros(6, np.int32)), attributes)
    inputs = {"x0": random.integers(-128, 128, (1, 6, 9, 9)).astype(np.int8)}
    program = compile_graph(graph, core)
    assert check_program(program) == []
    result = Session(program, OracleSimulator(core)).run(inputs)["y"].astype(int)
    assert np.abs(result - evaluate(graph, inputs)["y"]).max() <= 1
