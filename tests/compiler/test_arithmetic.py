"""Sums, products, tables, means, padded averages and joined channels: over random shapes, and from ONNX."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Node
from tilewright.compiler.inspection import inspect_graph
from tilewright.compiler.ops.pool_counted import counted_average, counts_of
from tilewright.compiler.ops.window import window_of
from tilewright.compiler.requantise import Requantiser
from tilewright.config import load_config

POWERS = st.sampled_from([4, 8, 16])
CORES = st.builds(
    lambda rows, wide, tall: load_config("tiny").replace(name="random", rows=rows, block_in=wide, block_out=tall),
    st.sampled_from([1, 2, 4]),
    POWERS,
    POWERS,
)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SHARED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZEROS = st.integers(-128, 127)
LIMITS = {"minimum": -120, "maximum": 125}


def requantiser(factor, double, **how):
    make = Requantiser.from_tflite if double else lambda value, **more: Requantiser.from_factor(value, bits=32, **more)
    return make(factor, **how)


def smaller(shape, spread, batch):
    """The second term's shape: a pixel of each image or of one, where it is spread."""
    return (shape[0] if batch else 1, shape[1], 1, 1) if spread else shape


@SHARED
@given(
    core=CORES,
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    spread=st.booleans(),
    batch=st.booleans(),
    zeros=st.tuples(ZEROS, ZEROS, ZEROS),
    double=st.booleans(),
)
def test_products(graph_with, agree, core, shape, spread, batch, zeros, double):
    names = ("a_zero", "b_zero", "y_zero")
    attributes = {**dict(zip(names, zeros, strict=True)), "requantiser": requantiser(0.0071, double), **LIMITS}
    agree(graph_with("qmul", [shape, smaller(shape, spread, batch)], (), attributes), core)


@SHARED
@given(
    core=CORES,
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    batch=st.booleans(),
    zeros=st.tuples(ZEROS, ZEROS, ZEROS),
    signs=st.tuples(st.sampled_from([1, -1]), st.sampled_from([1, -1])),
    double=st.booleans(),
)
def test_sums_with_a_pixel_and_differences(graph_with, agree, core, shape, batch, zeros, signs, double):
    attributes = {
        **dict(zip(("a_zero", "b_zero", "y_zero"), zeros, strict=True)),
        "a_requantiser": requantiser(signs[0] * 0.5, double, pre_shift=20),
        "b_requantiser": requantiser(signs[1] * 0.31, double, pre_shift=20),
        "requantiser": requantiser(1.3 / (1 << 20), double),
        **LIMITS,
    }
    agree(graph_with("qadd", [shape, smaller(shape, True, batch)], (), attributes), core)


@SHARED
@given(
    core=CORES,
    shape=st.one_of(st.tuples(st.integers(1, 3), st.integers(1, 50)), st.tuples(*[st.integers(1, 9)] * 4)),
    seed=st.integers(0, 99),
)
def test_tables(graph_with, agree, core, shape, seed):
    table = np.random.default_rng(seed).integers(-128, 128, 256).astype(np.int8)
    agree(graph_with("qtable", [shape], (table,), {}), core)


@SHARED
@given(
    core=CORES,
    channels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    last=st.integers(1, 30),
    images=st.integers(1, 2),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    rescaled=st.booleans(),
)
def test_joined_channels(graph_with, agree, core, channels, last, images, size, rescaled):
    counts = [count * core.channels for count in channels] + [last]
    attributes = {"y_zero": 4, **LIMITS}
    for place in range(len(counts)):
        factor = requantiser(0.4 + place / 3, False) if rescaled else None
        attributes |= {f"x{place}_zero": 10 * place - 5, f"x{place}_requantiser": factor}
    agree(graph_with("qconcat", [(images, count, *size) for count in counts], (), attributes), core)


@SHARED
@given(
    core=CORES,
    channels=st.integers(1, 20),
    size=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    kernel=PAIRS,
    strides=PAIRS,
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    inside=st.booleans(),
    double=st.booleans(),
    zero=ZEROS,
)
def test_padded_averages(graph_with, agree, core, channels, size, kernel, strides, pads, inside, double, zero):
    if any(pad >= kernel[place % 2] for place, pad in enumerate(pads)):
        return
    node = Node("layer", "AveragePool", ("x",), ("y",), {"strides": strides, "pads": pads, "ceil_mode": 1})
    if any(k > s + pads[d] + pads[2 + d] for d, (k, s) in enumerate(zip(kernel, size, strict=True))):
        return
    window = window_of(node, (1, channels, *size), kernel)
    counts = counts_of(window, size, (0, 0, 0, 0) if inside else pads)
    name, attributes = counted_average(window, counts, lambda count: requantiser(0.8 / count, double))
    agree(graph_with(name, [(1, channels, *size)], (), {**attributes, "x_zero": zero, "y_zero": -7, **LIMITS}), core)


def test_a_padded_average_larger_than_memory(graph_with, agree):
    core = load_config("vta-16").replace(name="small", act_depth=512, rows=2)
    node = Node("layer", "AveragePool", ("x",), ("y",), {"pads": (1, 1, 1, 1)})
    window = window_of(node, (1, 50, 37, 41), (3, 3))
    name, attributes = counted_average(window, counts_of(window, (37, 41)), lambda n: requantiser(1 / n, False))
    agree(graph_with(name, [(1, 50, 37, 41)], (), {**attributes, "x_zero": 9, "y_zero": 3, **LIMITS}), core)


def lowered(qdq, compiled, build, *, steps=1, config="vta-16", dtype=np.int8):
    """Compile ``build(model)``, compare with reference and ONNX Runtime; what runs where, in order."""
    model = qdq(seed=1, dtype=dtype)
    result = compiled(model.finish(build(model)), load_config(config))
    inputs = result.random_inputs()
    ours = result.oracle(inputs)
    for got, expected in zip(ours, result.reference(inputs), strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(ours, result.onnxruntime(inputs), strict=True):
        assert np.abs(got - expected).max() <= steps * 0.1001
    return [layer.operator for layer in result.program.layers if layer.target == "accelerator"]


CONSTANTS = {"scalar": (), "row": (11, 1, 1), "channels": (1, 11, 1, 1), "pixels": (1, 11, 5, 6)}


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("shape", CONSTANTS)
@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
def test_constant_terms(qdq, compiled, operator, quantised, shape, dtype):
    """Of one element by table, of one a channel as a depthwise convolution, of others as a tensor in memory."""

    def build(model):
        x = model.input((2, 11, 5, 6), 0.06, -9)
        real = model.random.uniform(-3, 3, CONSTANTS[shape]).astype(np.float32)
        term = model.constant(real)
        if quantised:
            names = [np.rint(real / 0.025).astype(np.int8) + np.int8(0), np.float32(0.025), np.int8(0)]
            term = model.node("DequantizeLinear", [model.constant(array) for array in names])
        return model.quantise(model.node(operator, [model.dequantise(x), term]), 0.1, 7)

    expected = {"scalar": ["table"], "row": ["depthwise"], "channels": ["depthwise"]}
    whole = [operator.lower().replace("sub", "add")] if quantised else []
    assert lowered(qdq, compiled, build, dtype=dtype) == expected.get(shape, whole)


def test_a_constant_less_a_tensor(qdq, compiled):
    def build(model):
        offsets = model.constant(model.random.uniform(-3, 3, (1, 7, 1, 1)).astype(np.float32))
        return model.quantise(model.node("Sub", [offsets, model.dequantise(model.input((1, 7, 4, 4)))]), 0.1, 0)

    assert lowered(qdq, compiled, build) == ["depthwise"]


@pytest.mark.parametrize("config", ["vta-16", "8x16", "tiny"])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
def test_a_pixel_for_all(qdq, compiled, operator, first, config):
    def build(model):
        image, pixel = model.input((2, 21, 6, 5), 0.05, 3), model.input((2, 21, 1, 1), 0.02, -40)
        pair = (pixel, image) if first else (image, pixel)
        return model.apply(operator, *pair, out=(0.1, 4))

    assert lowered(qdq, compiled, build, config=config) == [operator.lower().replace("sub", "add")]


@pytest.mark.parametrize("operator", ["Sub", "Mul"])
def test_two_tensors(qdq, compiled, operator):
    def build(model):
        return model.apply(operator, model.input((2, 30)), model.input((2, 30), 0.03, -20), out=(0.1, 4))

    assert lowered(qdq, compiled, build) == [operator.lower().replace("sub", "add")]


@pytest.mark.parametrize(
    "operator, attributes",
    [("Sigmoid", {}), ("Tanh", {}), ("LeakyRelu", {"alpha": 0.2}), ("HardSwish", {}), ("Elu", {}), ("Sqrt", {})],
)
def test_functions_of_one_element(qdq, compiled, operator, attributes):
    def build(model):
        model.opset = 14
        return model.apply(operator, model.input((1, 6, 5, 5)), out=(0.1, -20), **attributes)

    assert lowered(qdq, compiled, build) == ["table"]


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [2], [-1], [1], [1, 2, 3]])
def test_means(qdq, compiled, axes, keep):
    def build(model):
        return model.apply("ReduceMean", model.input((2, 19, 6, 5)), out=(0.1, 4), axes=axes, keepdims=keep)

    assert lowered(qdq, compiled, build) == ["conv" if 1 in axes else "avgpool"]


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]])
def test_average_pools(qdq, compiled, pads, ceil, include):
    def build(model):
        how = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": pads, "ceil_mode": ceil, "count_include_pad": include}
        model.opset = 19
        return model.apply("AveragePool", model.input((1, 20, 8, 7)), out=(0.1, 4), **how)

    assert lowered(qdq, compiled, build)[0].startswith("avgpool")


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("channels", [(16, 32, 5), (5, 16)])
def test_concatenations(qdq, compiled, channels, same):
    """In whole blocks on the accelerator; else the host puts them side by side."""

    def build(model):
        xs = [model.input((2, c, 3, 4), 0.1 if same else 0.02 * place + 0.03, 4) for place, c in enumerate(channels)]
        return model.apply("Concat", *xs, out=(0.1, 4), axis=1)

    assert lowered(qdq, compiled, build) == (["concat"] if channels[0] == 16 else [])


def test_padding_goes_into_the_convolution(qdq, compiled):
    def build(model):
        x = model.input((1, 5, 6, 6), 0.05, 3)
        pads = model.constant(np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64))
        padded = model.quantise(model.node("Pad", [model.dequantise(x), pads]), 0.05, 3)
        return model.conv(padded, (4, 5, 3, 3), out=(0.1, 0))

    assert lowered(qdq, compiled, build) == ["conv"]


def test_batch_normalisation(qdq, compiled):
    def build(model):
        parameters = [model.constant(model.random.uniform(0.5, 2, 9).astype(np.float32)) for _ in range(4)]
        node = model.node("BatchNormalization", [model.dequantise(model.input((1, 9, 4, 4))), *parameters])
        return model.quantise(node, 0.1, 0)

    assert lowered(qdq, compiled, build) == ["depthwise"]


def test_what_the_accelerator_refuses_runs_on_the_host(qdq):
    """With the reason; weights with a scale for each input channel are an example."""
    model = qdq(seed=2)
    x, bias = model.input((1, 4, 6, 6)), model.constant(np.zeros(5, np.float32))
    weight = model.node(
        "DequantizeLinear",
        [model.constant(a) for a in (np.ones((5, 4, 1, 1), np.int8), np.full(4, 0.1, "f4"), np.zeros(4, np.int8))],
        axis=1,
    )
    y = model.quantise(model.node("Conv", [model.dequantise(x), weight, bias]), 0.1, 0)
    (plan,) = (p for p in inspect_graph(import_model(model.finish(y)), load_config("tiny")) if p.operator == "Conv")
    assert plan.target == "host" and plan.reason.startswith("its weights must be quantised as a whole or along axis 0")


def test_computed_limits_run_on_the_host(qdq, compiled):
    def build(model):
        limit = model.node("ReduceMax", [model.dequantise(model.input((2, 3)))], keepdims=0)
        x = model.conv(model.input((1, 3, 4, 4)), (3, 3, 1, 1), out=(0.1, 0))
        return model.quantise(model.node("Clip", [model.dequantise(x), "", limit]), 0.1, 0)

    assert lowered(qdq, compiled, build) == ["conv"]


def test_weights_in_blocks_run_on_the_host(qdq, compiled):
    def build(model):
        model.opset = 21
        data = model.random.integers(-127, 128, (12, 5)).astype(np.int8)
        scales = model.random.uniform(0.002, 0.01, (3, 5)).astype(np.float32)
        weight = model.node("DequantizeLinear", [model.constant(data), model.constant(scales)], axis=0, block_size=4)
        product = model.node("MatMul", [model.dequantise(model.input((2, 12))), weight])
        return model.quantise(product, 0.1, 0)

    assert lowered(qdq, compiled, build) == []


def test_sixteen_bits_run_on_the_host(qdq):
    model = qdq(opset=21, dtype=np.int16)
    y = model.apply("Relu", model.input((1, 3, 4, 4)))
    plans = inspect_graph(import_model(model.finish(y)), load_config("tiny"))
    assert [p.reason for p in plans if p.operator == "Relu"] == ["its input must be quantised to 8 bits, not to int16"]
