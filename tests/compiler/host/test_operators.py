"""Operators on the host give what NumPy and ONNX Runtime give, over shapes."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tilewright.compiler import te
from tilewright.compiler.te import layout, nn

SIZES = st.integers(1, 20)
FEW = settings(max_examples=12, deadline=None)


def random(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return (rng.standard_normal(shape) * 3).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def onnx_runtime(operator, inputs, output_type, **attributes):
    """ONNX Runtime's answer for one operator."""
    names = [f"i{n}" for n in range(len(inputs))]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["o"], **attributes)],
        "one",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in zip(names, inputs, strict=True)
        ],
        [helper.make_tensor_value_info("o", output_type, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


@FEW
@given(shape=st.lists(SIZES, min_size=1, max_size=3), spread=st.sampled_from([0.1, 3.0, 60.0]))
def test_softmax(run, shape, spread):
    x = te.placeholder(shape, "float32", "x")
    data = random(shape, "float32") * np.float32(spread)
    result = run(nn.softmax(x), {x: data})
    np.testing.assert_allclose(
        result, onnx_runtime("Softmax", [data], TensorProto.FLOAT, axis=-1), rtol=2e-6, atol=1e-37
    )
    np.testing.assert_allclose(result.sum(axis=-1), 1, rtol=1e-5)


def test_softmax_of_a_long_row_uses_the_workspace(run):
    x = te.placeholder((2, 9001), "float32", "x")
    data = random((2, 9001), "float32")
    expected = np.exp(data.astype(np.float64) - data.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(nn.softmax(x), {x: data}), expected, rtol=2e-5)


@pytest.mark.parametrize(("dtype", "proto"), [("int8", TensorProto.INT8), ("uint8", TensorProto.UINT8)])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantize_is_onnx_runtimes(run, dtype, proto, per_channel):
    shape = (2, 5, 3, 7)
    zero = 7
    scale = np.linspace(0.02, 0.5, 5).astype(np.float32) if per_channel else np.array(0.05, np.float32)
    data = random(shape, "float32") * 4
    data.flat[:8] = [0.125, -0.375, 2.5e5, -2.5e5, np.inf, -np.inf, 0.025, -0.0]
    x = te.placeholder(shape, "float32", "x")
    expected = onnx_runtime("QuantizeLinear", [data, scale, np.full(scale.shape, zero, dtype)], proto, axis=1)
    np.testing.assert_array_equal(run(nn.quantize(x, scale, zero, dtype, axis=1), {x: data}), expected)


def test_quantize_rounds_halves_to_even(run):
    data = (np.arange(-300, 300) / 2).astype(np.float32)
    x = te.placeholder(data.shape, "float32", "x")
    expected = np.clip(np.rint(data), -128, 127).astype(np.int8)
    np.testing.assert_array_equal(run(nn.quantize(x, 1.0, 0, "int8"), {x: data}), expected)


@FEW
@given(shape=st.lists(SIZES, min_size=2, max_size=4), dtype=st.sampled_from(["int8", "uint8", "int32"]))
def test_dequantize_is_onnx_runtimes(run, shape, dtype):
    data, scale = random(shape, dtype), np.linspace(0.01, 0.9, shape[1]).astype(np.float32)
    zero = 0 if dtype == "int32" else 3
    x = te.placeholder(shape, dtype, "x")
    inputs = [data, scale, np.full(scale.shape, zero, dtype)]
    expected = onnx_runtime("DequantizeLinear", inputs, TensorProto.FLOAT, axis=1)
    np.testing.assert_array_equal(run(nn.dequantize(x, scale, zero, axis=1), {x: data}), expected)


@FEW
@given(
    shape=st.tuples(SIZES, SIZES, SIZES), order=st.permutations([0, 1, 2]), dtype=st.sampled_from(["int8", "float32"])
)
def test_transpose_and_reshape(run, shape, order, dtype):
    data = random(shape, dtype)
    x = te.placeholder(shape, dtype, "x")
    np.testing.assert_array_equal(run(layout.transpose(x, order), {x: data}), data.transpose(order))
    flat = layout.reshape(layout.transpose(x, order), (shape[order[0]] * shape[order[1]], shape[order[2]]))
    np.testing.assert_array_equal(run(flat, {x: data}), data.transpose(order).reshape(flat.shape))
    np.testing.assert_array_equal(run(layout.reshape(x, (data.size,)), {x: data}), data.reshape(-1))


@FEW
@given(
    channels=st.integers(1, 40),
    block=st.sampled_from([4, 8, 16, 32]),
    height=st.integers(1, 9),
    width=SIZES,
    fill=st.integers(-128, 127),
)
def test_pack_and_unpack(run, channels, block, height, width, fill):
    data = random((2, channels, height, width), "int8")
    blocks = -(-channels // block)
    expected = np.full((2, blocks * block, height, width), fill, np.int8)
    expected[:, :channels] = data
    expected = expected.reshape(2, blocks, block, height, width).transpose(0, 1, 3, 4, 2)
    x = te.placeholder(data.shape, "int8", "x")
    packed = run(layout.pack(x, block, fill), {x: data})
    np.testing.assert_array_equal(packed, expected)
    y = te.placeholder(packed.shape, "int8", "y")
    np.testing.assert_array_equal(run(layout.unpack(y, channels), {y: packed}), data)


@FEW
@given(data=st.data(), groups=st.sampled_from([1, 2]), zero=st.sampled_from([0, -5]))
def test_convolution_is_the_meaning(run, meaning, data, groups, zero):
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    pads = data.draw(st.tuples(*[st.integers(0, 2)] * 4))
    size = data.draw(st.tuples(st.integers(4, 12), st.integers(4, 20)))
    strides = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    x = te.placeholder((1, 2 * groups, *size), "int8", "x")
    w = te.placeholder((3 * groups, 2, *kernel), "int8", "w")
    y = nn.conv2d(x, w, strides=strides, pads=pads, groups=groups, x_zero_point=zero)
    feeds = {x: random(x.shape, "int8"), w: random(w.shape, "int8", 1)}
    np.testing.assert_array_equal(run(y, feeds), meaning(y, feeds))


def test_meaning_of_a_convolution_is_onnx_runtimes(meaning):
    data, weight = random((2, 4, 9, 11), "float32"), random((6, 2, 3, 2), "float32", 1)
    x, w = te.placeholder(data.shape, "float32", "x"), te.placeholder(weight.shape, "float32", "w")
    how = {"strides": (2, 1), "pads": (1, 0, 2, 1), "dilations": (2, 1)}
    y = nn.conv2d(x, w, groups=2, **how)
    lists = {key: list(value) for key, value in how.items()}
    expected = onnx_runtime("Conv", [data, weight], TensorProto.FLOAT, group=2, **lists)
    np.testing.assert_allclose(meaning(y, {x: data, w: weight}), expected, atol=2e-5)


@FEW
@given(n=st.integers(1, 3), inputs=st.integers(1, 70), outputs=SIZES)
def test_dense(run, n, inputs, outputs):
    x, w = te.placeholder((n, inputs), "int8", "x"), te.placeholder((outputs, inputs), "int8", "w")
    a, b = random(x.shape, "int8"), random(w.shape, "int8", 1)
    expected = (a.astype(np.int32) - 9) @ b.astype(np.int32).T
    np.testing.assert_array_equal(run(nn.dense(x, w, x_zero_point=9), {x: a, w: b}), expected)


def test_poolings_are_onnx_runtimes(run):
    data = random((1, 5, 9, 8), "float32")
    x = te.placeholder(data.shape, "float32", "x")
    how = {"kernel_shape": [3, 2], "strides": [2, 2]}
    largest = onnx_runtime("MaxPool", [data], TensorProto.FLOAT, pads=[1, 0, 1, 1], **how)
    np.testing.assert_array_equal(run(nn.max_pool2d(x, (3, 2), strides=(2, 2), pads=(1, 0, 1, 1)), {x: data}), largest)
    mean = onnx_runtime("AveragePool", [data], TensorProto.FLOAT, **how)
    np.testing.assert_allclose(run(nn.average_pool2d(x, (3, 2), strides=(2, 2)), {x: data}), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("source", ["int8", "uint8", "int32", "float32", "bool"])
def test_cast(run, source, dtype):
    data = (np.arange(37) % 2 == 0) if source == "bool" else (np.arange(37) * 3).astype(source)
    x = te.placeholder(data.shape, source, "x")
    np.testing.assert_array_equal(run(layout.cast(x, dtype), {x: data}), data.astype(dtype))


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_add_and_relu(run, dtype):
    a, b = random((3, 19), dtype), random((3, 19), dtype, 1)
    x, y = te.placeholder(a.shape, dtype, "x"), te.placeholder(b.shape, dtype, "y")
    np.testing.assert_array_equal(run(nn.relu(nn.add(x, y)), {x: a, y: b}), np.maximum(a + b, 0))


@pytest.mark.parametrize("count", [1, 3, 16, 4001])
def test_doubles_become_halves_with_one_rounding(run, count):
    """Numbers just beside the middle between two halves, too large, too small and not finite."""
    rng = np.random.default_rng(count)
    halves = rng.integers(0, 1 << 15, count).astype(np.uint16).view(np.float16).astype(np.float64)
    with np.errstate(all="ignore"):
        doubles = halves * (1 + 2**-11) * (1 + rng.integers(-1, 2, count) * 2.0**-45)
        doubles[: min(count, 6)] = [np.inf, -np.inf, np.nan, 65520, 65519.999999999, 2.0**-25][:count]
        expected = doubles.astype(np.float16)
    x = te.placeholder((count,), "float64")
    found = run(te.compute((count,), lambda i: x[i].astype("float16")), {x: doubles})
    np.testing.assert_array_equal(found, expected)


def test_sums_of_halves_are_rounded_once(run, meaning):
    x, k = te.placeholder((5, 300), "float16"), te.reduce_axis(300)
    feeds = {x: random((5, 300), "float16")}
    total = te.compute((5,), lambda i: te.sum(x[i, k], k))
    assert total.dtype == "float16"
    exact = feeds[x].astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(run(total, feeds), exact, rtol=2**-10)
    np.testing.assert_array_equal(run(total, feeds), meaning(total, feeds))
