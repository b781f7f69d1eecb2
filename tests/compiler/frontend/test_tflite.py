"""TFLite files: what becomes of each operator, what is refused, and what damage does."""

from __future__ import annotations

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model, import_model
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.simple import run
from tilewright.errors import TilewrightError

RANDOM = np.random.default_rng(7)
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


def weights(shape):
    return RANDOM.integers(-127, 128, shape).astype(np.int8)


def image(*shape):
    return RANDOM.integers(-128, 128, shape).astype(np.int8)


def answer(path, **inputs):
    """The reference's result, once the compiled program has the same."""
    graph = import_model(path)
    expected = evaluate(graph, inputs)
    config = load_config("tiny")
    results = run(compile_model(path, config), inputs, device="oracle")
    for name in graph.outputs:
        np.testing.assert_array_equal(results[name], expected[name])
    return expected[graph.outputs[0]]


def convolution(maker, tmp_path, *, kind="CONV_2D", groups=1, channels=6, outputs=4, scale=0.002, axis=None, **more):
    make = maker()
    x = make.input((1, 7, 5, channels), zero=-3)
    shape, own = (outputs, 3, 2, channels // groups), 0
    if kind == "DEPTHWISE_CONV_2D":
        shape, own = (1, 3, 2, outputs), 3
    data = weights(shape)
    scales = list(np.linspace(scale, 3 * scale, outputs))
    w = make.constant(data, scale=scales, axis=own if axis is None else axis, name="weights")
    bias = RANDOM.integers(-500, 500, outputs).astype(np.int32)
    b = make.constant(bias, scale=[s * 0.1 for s in scales], name="bias")
    options = {"StrideH": 2, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1, "Padding": 0, **more}
    if kind == "DEPTHWISE_CONV_2D":
        options["DepthMultiplier"] = outputs // channels
    y = make.add(kind, [x, w, b], (1, 4, 5, outputs), scale=0.2, zero=5, **options)
    return make.write(tmp_path / "model.tflite", y), data, bias, np.float32(scales)


def by_hand(x, data, bias, scales, groups, depthwise=False):
    """Windows of 3 × 2 with strides (2, 1) and SAME padding, in real numbers."""
    padded = np.pad(x.astype(np.int64) + 3, ((0, 0), (1, 1), (0, 1), (0, 0)))
    result = np.zeros((1, 4, 5, len(bias)))
    each = len(bias) // groups
    for o in range(len(bias)):
        group = o // each
        inputs = x.shape[3] // groups
        taps = data[0, :, :, o][..., None] if depthwise else data[o]
        for i in range(4):
            for j in range(5):
                seen = padded[0, 2 * i : 2 * i + 3, j : j + 2, group * inputs : (group + 1) * inputs]
                result[0, i, j, o] = (seen * taps).sum() + bias[o]
    return np.clip(result * scales * 0.1 / 0.2 + 5, -128, 127)


@pytest.mark.parametrize(
    "kind, groups, channels, outputs",
    [
        ("CONV_2D", 1, 6, 4),
        ("CONV_2D", 2, 6, 4),
        ("DEPTHWISE_CONV_2D", 6, 6, 6),
        ("DEPTHWISE_CONV_2D", 3, 3, 6),
        ("DEPTHWISE_CONV_2D", 1, 1, 8),
    ],
)
def test_convolutions(maker, tmp_path, kind, groups, channels, outputs):
    path, *parts = convolution(maker, tmp_path, kind=kind, groups=groups, channels=channels, outputs=outputs)
    x = image(1, 7, 5, channels)
    result = answer(path, t0=x)
    expected = by_hand(x, *parts, groups, depthwise=kind != "CONV_2D")
    assert result.shape == expected.shape and np.abs(result - expected).max() <= 0.51


@pytest.mark.parametrize("name, low, high", [("relu", 5, 127), ("relu6", 5, 35), ("relu_n1_to_1", 0, 10)])
def test_fused_activations(maker, tmp_path, name, low, high):
    path, *_ = convolution(maker, tmp_path, scale=0.02, FusedActivationFunction=ACTIVATIONS[name])
    result = answer(path, t0=image(1, 7, 5, 6))
    assert (result.min(), result.max()) == (low, high)


@pytest.mark.parametrize("keep", [False, True])
def test_fully_connected(maker, tmp_path, keep):
    """An image with its channels last, flattened by the layer itself."""
    make = maker()
    x = make.input((2, 3, 2, 5), zero=4)
    data = weights((7, 30))
    w = make.constant(data, scale=0.01, name="weights")
    shape = (2, 1, 1, 7) if keep else (2, 7)
    y = make.add("FULLY_CONNECTED", [x, w, -1], shape, scale=0.3, zero=-2, KeepNumDims=keep)
    given = image(2, 3, 2, 5)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    expected = (given.reshape(2, 30).astype(np.int64) - 4) @ data.T.astype(np.int64) * (0.1 * 0.01 / 0.3) - 2
    assert np.abs(result.reshape(2, 7) - np.clip(expected, -128, 127)).max() <= 0.51


def test_sums_with_a_constant(maker, tmp_path):
    make = maker()
    x, constant = make.input((1, 4, 3, 5), zero=1), image(1, 1, 3, 5)
    c = make.constant(constant, scale=0.05, zero=-7)
    y = make.add("ADD", [x, c], (1, 4, 3, 5), scale=0.12, zero=3)
    given = image(1, 4, 3, 5)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    expected = ((given - 1.0) * 0.1 + (constant + 7.0) * 0.05) / 0.12 + 3
    assert np.abs(result - np.clip(expected, -128, 127)).max() <= 0.51


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("shapes", [((2, 4, 3, 5),) * 2, ((2, 4, 3, 5), (1, 1, 1, 5)), ((2, 1, 1, 5), (2, 4, 3, 5))])
def test_sums_differences_and_products(maker, tmp_path, kind, shapes):
    make = maker()
    x, z = make.input(shapes[0], zero=1), make.input(shapes[1], scale=0.05, zero=-30)
    y = make.add(kind, [x, z], (2, 4, 3, 5), scale=0.2, zero=3, FusedActivationFunction=ACTIVATIONS["relu"])
    given = [image(*shape) for shape in shapes]
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given[0], t1=given[1])
    a, b = (given[0] - 1.0) * 0.1, (given[1] + 30.0) * 0.05
    expected = {"ADD": a + b, "SUB": a - b, "MUL": a * b}[kind] / 0.2 + 3
    assert np.abs(result - np.clip(expected, 3, 127)).max() <= 0.51


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axis", [1, 2])
def test_means_over_one_dimension(maker, tmp_path, axis, keep):
    make = maker()
    x, axes = make.input((2, 6, 5, 3), zero=4), make.constant(np.array([axis], np.int32))
    kept = [1 if d == axis else size for d, size in enumerate((2, 6, 5, 3)) if keep or d != axis]
    y = make.add("MEAN", [x, axes], tuple(kept), scale=0.04, zero=-10, KeepDims=keep)
    given = image(2, 6, 5, 3)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    expected = (given.mean(axis, keepdims=keep) - 4) * 0.1 / 0.04 - 10
    assert np.abs(result - np.clip(expected, -128, 127)).max() <= 0.51


def test_pools_means_pads_and_limits(maker, tmp_path):
    make = maker()
    x = make.input((1, 6, 6, 3))
    paddings = make.constant(np.array([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32))
    padded = make.add("PAD", [x, paddings], (1, 7, 9, 3))
    pooled = make.add(
        "MAX_POOL_2D", [padded], (1, 3, 4, 3), FilterHeight=3, FilterWidth=3, StrideH=2, StrideW=2, Padding=1
    )
    limited = make.add("RELU", [pooled], (1, 3, 4, 3), scale=0.05, zero=-128)
    average = make.add(
        "AVERAGE_POOL_2D", [limited], (1, 2, 2, 3), scale=0.05, zero=-128, FilterHeight=2, FilterWidth=2,
        StrideH=1, StrideW=2, Padding=1,
    )  # fmt: skip
    axes = make.constant(np.array([1, 2], np.int32))
    y = make.add("MEAN", [average, axes], (1, 3), scale=0.04, zero=-100)
    given = image(1, 6, 6, 3)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    frame = np.pad(given.astype(float), ((0, 0), (1, 0), (2, 1), (0, 0)))
    most = np.array([[frame[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1)) for j in range(4)] for i in range(3)])
    steps = np.clip(np.rint(np.maximum(most, 0) * 2) - 128, -128, 127)
    windows = np.array([[steps[i : i + 2, 2 * j : 2 * j + 2].mean((0, 1)) for j in range(2)] for i in range(2)])
    expected = (windows.mean((0, 1)) + 128) * 0.05 / 0.04 - 100
    assert np.abs(result - np.clip(expected, -128, 127)).max() <= 1.2


def test_averages_leave_padding_out(maker, tmp_path):
    make = maker()
    x = make.input((2, 5, 6, 3), zero=7)
    y = make.add(
        "AVERAGE_POOL_2D", [x], (2, 3, 6, 3), zero=7, FilterHeight=3, FilterWidth=4, StrideH=2, StrideW=1, Padding=0
    )
    given = image(2, 5, 6, 3)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    for row, column in [(0, 0), (1, 3), (2, 5)]:
        seen = given[:, max(2 * row - 1, 0) : 2 * row + 2, max(column - 1, 0) : column + 3].astype(float)
        expected = seen.mean((1, 2))
        rounded = np.sign(expected) * np.floor(np.abs(expected) + 0.5)
        np.testing.assert_array_equal(result[:, row, column], rounded)


def test_padding_becomes_part_of_a_convolution(maker, tmp_path):
    make = maker()
    x = make.input((1, 6, 6, 3), zero=9)
    paddings = make.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = make.add("PAD", [x, paddings], (1, 8, 8, 3), zero=9)
    w = make.constant(weights((4, 3, 3, 3)), scale=0.01)
    y = make.add(
        "CONV_2D", [padded, w], (1, 6, 6, 4), scale=0.3, StrideH=1, StrideW=1, Padding=1, DilationHFactor=1,
        DilationWFactor=1,
    )  # fmt: skip
    path = make.write(tmp_path / "model.tflite", y)
    answer(path, t0=image(1, 6, 6, 3))
    assert "pad" not in {layer.operator for layer in compile_model(path, load_config("tiny")).layers}


def test_float_borders(maker, tmp_path):
    make = maker()
    x = make.input((1, 4), "float32", scale=None)
    inside = make.add("QUANTIZE", [x], (1, 4), scale=0.5, zero=1)
    soft = make.add("SOFTMAX", [inside], (1, 4), scale=1 / 256, zero=-128, Beta=1.0)
    y = make.add("DEQUANTIZE", [soft], (1, 4), "float32", scale=None)
    given = np.array([[0.25, -0.25, 0.75, 100]], np.float32)
    result = answer(make.write(tmp_path / "model.tflite", y), t0=given)
    assert result[0, 3] == np.float32(255 / 256) and result.dtype == np.float32


def test_real_numbers(maker, tmp_path):
    """A float model as it stands, on the host."""
    make, real = maker(), {"dtype": "float32", "scale": None}
    x = make.input((1, 5, 4, 3), **real)
    filters, bias = RANDOM.normal(size=(1, 3, 3, 6)).astype(np.float32), np.float32([1, 2, 3, 4, 5, 6])
    parameters = [make.constant(filters), make.constant(bias)]
    steps = {"StrideH": 1, "StrideW": 1, "Padding": 0}
    inner = make.add(
        "DEPTHWISE_CONV_2D", [x, *parameters], (1, 5, 4, 6), **real, **steps, DilationHFactor=1, DilationWFactor=1,
        DepthMultiplier=2, FusedActivationFunction=ACTIVATIONS["relu6"],
    )  # fmt: skip
    y = make.add("AVERAGE_POOL_2D", [inner], (1, 5, 4, 6), **real, **steps, FilterHeight=2, FilterWidth=2)
    path = make.write(tmp_path / "model.tflite", y)
    given = RANDOM.normal(size=(1, 5, 4, 3)).astype(np.float32)
    result = run(compile_model(path, load_config("tiny")), {"t0": given}, device="native")[f"t{y}"]
    padded = np.pad(given[0], ((1, 1), (1, 1), (0, 0))).astype(np.float64)
    linear = np.zeros((5, 4, 6))
    for i, j, channel in np.ndindex(linear.shape):
        linear[i, j, channel] = (padded[i : i + 3, j : j + 3, channel // 2] * filters[0, ..., channel]).sum()
    limited = np.clip(linear + bias, 0, 6)
    expected = [[limited[i : i + 2, j : j + 2].mean((0, 1)) for j in range(4)] for i in range(5)]
    np.testing.assert_allclose(result[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("which", ["deprecated_code", "new_code"])
def test_either_operator_code(maker, tmp_path, which):
    make = maker(**{which: False})
    x = make.input((1, 3))
    path = make.write(tmp_path / "model.tflite", make.add("ADD", [x, make.constant(image(1, 3), scale=0.1)], (1, 3)))
    answer(path, t0=image(1, 3))


def refusal(path):
    with pytest.raises(TilewrightError) as caught:
        import_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind, axis", [("CONV_2D", 3), ("DEPTHWISE_CONV_2D", 0)])
def test_scales_along_the_wrong_axis(maker, tmp_path, kind, axis):
    path, *_ = convolution(maker, tmp_path, kind=kind, channels=4, outputs=4, axis=axis)
    message = refusal(path)
    assert "'weights'" in message and f"along dimension {axis}" in message


def test_bias_scales_along_the_wrong_axis(maker, tmp_path):
    make = maker()
    x, w = make.input((1, 3)), make.constant(weights((2, 3)), scale=[0.1, 0.2])
    b = make.constant(np.zeros(2, np.int32), scale=[0.01, 0.02], axis=3, name="bias")
    assert "'bias'" in refusal(make.write(tmp_path / "m.tflite", make.add("FULLY_CONNECTED", [x, w, b], (1, 2))))


def test_hybrid_weights(maker, tmp_path):
    make = maker()
    x, w = make.input((1, 3), "float32", scale=None), make.constant(weights((2, 3)), scale=0.1, name="weights")
    y = make.add("FULLY_CONNECTED", [x, w, -1], (1, 2), "float32", scale=None)
    message = refusal(make.write(tmp_path / "model.tflite", y))
    assert "'weights'" in message and "hybrid" in message


def test_what_is_not_supported_is_named(maker, tmp_path):
    make = maker()
    x = make.input((1, 3))
    message = refusal(make.write(tmp_path / "a.tflite", make.add("HARD_SWISH", [x], (1, 3), name="inner")))
    assert "HARD_SWISH" in message and "'inner'" in message and "CONV_2D" in message
    make = maker()
    y = make.add("ADD", [make.input((1, 3), "int16"), make.input((1, 3), "int16")], (1, 3), "int16")
    assert "int16" in refusal(make.write(tmp_path / "b.tflite", y))


def test_a_stated_shape_that_is_wrong(maker, tmp_path):
    make = maker()
    x = make.input((1, 4, 4, 2))
    y = make.add(
        "MAX_POOL_2D", [x], (1, 4, 4, 2), FilterHeight=2, FilterWidth=2, StrideH=2, StrideW=2, Padding=1, name="y"
    )
    assert "'y/first'" in refusal(make.write(tmp_path / "model.tflite", y))


@pytest.mark.parametrize("shape", [(1, 0), (1 << 20, 1 << 20), (-1, 3)])
def test_absurd_shapes(maker, tmp_path, shape):
    make = maker()
    x = make.input(shape)
    assert "sensible shape" in refusal(make.write(tmp_path / "m.tflite", make.add("RELU", [x], shape)))


def test_files_that_are_none(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("hello, world")
    assert "TFL3" in refusal(tmp_path / "text.tflite")
    with pytest.raises(TilewrightError, match="single or double"):
        import_model(tmp_path / "text.tflite", dense_rounding="triple")


def compiles_or_refuses(path):
    try:
        compile_model(path, load_config("tiny"))
    except TilewrightError as error:
        assert str(error) and "\n" not in str(error)


def test_truncated(maker, tmp_path):
    path, *_ = convolution(maker, tmp_path)
    raw = path.read_bytes()
    for end in range(0, len(raw), 13):
        path.write_bytes(raw[:end])
        compiles_or_refuses(path)


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes(maker, tmp_path, seed):
    path, *_ = convolution(maker, tmp_path, kind="DEPTHWISE_CONV_2D", outputs=6)
    raw, random = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(60):
        damaged = bytearray(raw)
        for place in random.integers(0, len(raw), random.integers(1, 4)):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        compiles_or_refuses(path)
