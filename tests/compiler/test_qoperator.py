"""Operators that work on integers in the model: one step from ONNX Runtime at most, on the accelerator where it can."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.compile import compile_model, import_model
from tilewright.compiler.compile_host import compile_for_host
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.driver.simple import run
from tilewright.errors import UnsupportedOperator
from tilewright.isa.checker import check_program
from tilewright.simulator.oracle import OracleSimulator

MICROSOFT = "com.microsoft"


class OneOperator:
    """A model of one operator whose 8-bit inputs x0 … and result y are the model's."""

    def __init__(self, dtype, seed=0):
        self.dtype = np.dtype(dtype)
        self.random = np.random.default_rng(seed)
        self.shapes = []
        self.constants = []
        self.nodes = []

    def zero(self, value):
        """`value` for int8, in the model's dtype."""
        return self.constant(np.array(value + (128 if self.dtype == np.uint8 else 0), self.dtype))

    def constant(self, data):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data), name))
        return name

    def x(self, shape, scale=0.05, zero=3):
        self.shapes.append(shape)
        return [f"x{len(self.shapes) - 1}", self.constant(np.float32(scale)), self.zero(zero)]

    def weight(self, shape, *, axis=None, dtype=None, scale=0.02):
        """Integers of full range, with zero points: one for all, or one a slice along `axis`."""
        kind = np.dtype(dtype or self.dtype)
        info, size = np.iinfo(kind), () if axis is None else (shape[axis],)
        data = self.random.integers(info.min, info.max, shape, endpoint=True).astype(kind)
        zeros = self.random.integers(info.min, info.max, size, endpoint=True).astype(kind)
        scales = (scale * self.random.uniform(0.5, 1, size)).astype(np.float32)
        return [self.constant(data), self.constant(scales), self.constant(zeros)]

    def finish(self, operator, inputs, *, domain="", kind=None, shape=None, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, ["y"], "node", domain=domain, **attributes))
        code = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = [helper.make_tensor_value_info(f"x{place}", code, shape) for place, shape in enumerate(self.shapes)]
        result = helper.make_tensor_value_info("y", kind or code, shape)
        graph = helper.make_graph(self.nodes, "one", ends, [result], self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def samples(self):
        info = np.iinfo(self.dtype)
        return {
            f"x{place}": self.random.integers(info.min, info.max, shape, endpoint=True).astype(self.dtype)
            for place, shape in enumerate(self.shapes)
        }


def onnxruntime_answer(model, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)[0]


def check(made, model, *, on_core=True, host=True):
    """On the accelerator (or not), and on the host alone."""
    inputs, config = made.samples(), load_config("tiny")
    expected = onnxruntime_answer(model, inputs).astype(float)
    program = compile_model(model, config)
    assert check_program(program) == []
    assert any(layer.target == "accelerator" for layer in program.layers) == on_core
    answers = [Session(program, OracleSimulator(config)).run(inputs)["y"]]
    if host:
        answers.append(run(compile_for_host(model), inputs)["y"])
    for answer in answers:
        assert len(np.unique(answer)) > 2
        assert np.abs(answer.astype(float) - expected).max() <= 1
    return program


BOTH = pytest.mark.parametrize("dtype", [np.int8, np.uint8])
RESULT = (0.4, -6)


def result_of(made, scale=RESULT[0], zero=RESULT[1]):
    return [made.constant(np.float32(scale)), made.zero(zero)]


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("weights", [np.int8, np.uint8])
@pytest.mark.parametrize("groups, outputs", [(1, 6), (8, 8), (2, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions(groups, outputs, weights, axis, bias):
    made = OneOperator(np.uint8)
    weight = made.weight((outputs, 8 // groups, 3, 3), axis=axis, dtype=weights)
    inputs = [*made.x((2, 8, 7, 6)), *weight, *result_of(made, 1.6 if groups == 1 else 0.5)]
    if bias:
        inputs.append(made.constant(made.random.integers(-2000, 2000, outputs).astype(np.int32)))
    program = check(made, made.finish("QLinearConv", inputs, group=groups, pads=[1, 0, 1, 2], strides=[2, 1]))
    assert all(layer.target == "accelerator" for layer in program.layers if layer.macs)


@BOTH
@pytest.mark.parametrize("axis", [None, 1])
def test_matrix_products(dtype, axis):
    made = OneOperator(dtype)
    weight = made.weight((30, 9), axis=axis)
    check(made, made.finish("QLinearMatMul", [*made.x((4, 30)), *weight, *result_of(made)]))


@BOTH
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("trans, axis", [(0, None), (1, None), (0, 1), (1, 0)])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_gemm(dtype, trans, axis, alpha, bias):
    made = OneOperator(dtype)
    weight = made.weight((9, 30) if trans else (30, 9), axis=axis)
    offsets = made.constant(made.random.integers(-2000, 2000, 9).astype(np.int32)) if bias else ""
    inputs = [*made.x((4, 30)), *weight, offsets, *result_of(made)]
    check(made, made.finish("QGemm", inputs, domain=MICROSOFT, transB=trans, alpha=alpha))


def test_gemm_with_a_real_result():
    """Nothing says in which integers it would be: the host computes it."""
    made = OneOperator(np.uint8)
    inputs = [*made.x((4, 30)), *made.weight((9, 30)), made.constant(np.arange(9, dtype=np.int32))]
    model = made.finish("QGemm", inputs, domain=MICROSOFT, kind=TensorProto.FLOAT, transB=1)
    samples = made.samples()
    expected = onnxruntime_answer(model, samples)
    for program in (compile_model(model, load_config("tiny")), compile_for_host(model)):
        np.testing.assert_allclose(run(program, samples, device="native")["y"], expected, rtol=1e-4, atol=1e-3)


@BOTH
@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("second", [(2, 5, 3, 4), (2, 5, 1, 1), (1, 5, 1, 1)])
def test_sums_and_products(dtype, operator, second):
    made = OneOperator(dtype)
    inputs = [*made.x((2, 5, 3, 4)), *made.x(second, 0.03, -20), *result_of(made, 0.1)]
    check(made, made.finish(operator, inputs, domain=MICROSOFT))


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_a_zero_point_that_is_left_out(operator):
    made = OneOperator(np.uint8)
    inputs = [*made.x((2, 5)), *made.x((2, 5)), made.constant(np.float32(0.3))]
    check(made, made.finish(operator, inputs, domain=MICROSOFT))


@BOTH
@pytest.mark.parametrize(
    "operator, attributes, result",
    [
        ("QLinearGlobalAveragePool", {}, (0.02, 5)),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 1]}, (0.04, 5)),
        ("QLinearAveragePool", {"kernel_shape": [2, 3], "pads": [0, 1, 1, 1], "count_include_pad": 1}, (0.04, 5)),
        ("QLinearSigmoid", {}, (1 / 256, -128)),
        ("QLinearLeakyRelu", {"alpha": 0.3}, (0.05, -60)),
    ],
)
def test_images(dtype, operator, attributes, result):
    made = OneOperator(dtype)
    inputs = [*made.x((2, 9, 6, 5)), *result_of(made, *result)]
    check(made, made.finish(operator, inputs, domain=MICROSOFT, **attributes))


@BOTH
def test_softmax(dtype):
    made = OneOperator(dtype)
    inputs = [*made.x((3, 9)), *result_of(made, 1 / 256, -128)]
    model = made.finish("QLinearSoftmax", inputs, domain=MICROSOFT, axis=-1, opset=13)
    check(made, model, on_core=False)


@BOTH
def test_concatenation(dtype):
    """In whole blocks of 4 or 8 channels on the accelerator; others on the host."""
    for channels, on_core in (((16, 3), True), ((3, 16), False)):
        made = OneOperator(dtype)
        parts = [made.x((1, count, 3, 4), 0.03 + place / 50, place) for place, count in enumerate(channels)]
        inputs = [*result_of(made, 0.06), *parts[0], *parts[1]]
        check(made, made.finish("QLinearConcat", inputs, domain=MICROSOFT, axis=1), on_core=on_core)


def test_choices():
    made = OneOperator(np.uint8)
    condition = made.constant(made.random.integers(0, 2, (1, 5, 3, 4)).astype(bool))
    inputs = [condition, *made.x((1, 5, 3, 4)), *made.x((1, 5, 3, 4), 0.03, 9), *result_of(made, 0.05)]
    check(made, made.finish("QLinearWhere", inputs, domain=MICROSOFT), on_core=False)


@BOTH
def test_pools_and_padding_of_integers(dtype):
    """Neither names a scale; the padding is what the model says."""
    made = OneOperator(dtype)
    made.x((1, 6, 7, 5))
    pads = made.constant(np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64))
    made.nodes.append(helper.make_node("Pad", ["x0", pads, made.zero(-20)], ["padded"], "pad"))
    model = made.finish("MaxPool", ["padded"], kernel_shape=[2, 3], pads=[1, 0, 0, 1])
    program = check(made, model)
    assert [layer.operator for layer in program.layers if layer.target == "accelerator"] == ["pad", "maxpool"]


@pytest.mark.parametrize("operator", ["QLinearConv", "QLinearMatMul"])
def test_what_stays_on_the_host(operator):
    """One dimension, or more than two: computed in integers there, exactly."""
    made = OneOperator(np.uint8)
    convolution = operator == "QLinearConv"
    weight = made.weight((3, 4, 3) if convolution else (2, 7, 5))
    inputs = [*made.x((1, 4, 9) if convolution else (2, 3, 7)), *weight, *result_of(made)]
    check(made, made.finish(operator, inputs), on_core=False)


def test_movements_between_unsigned_operators_are_signed():
    """No flips on the way: a flattening disappears into the product behind it."""
    made = OneOperator(np.uint8)
    x = made.x((1, 4, 3, 3))
    product = [*made.weight((36, 5)), *result_of(made, 3.0)]
    made.nodes.append(helper.make_node("QLinearAdd", [*x, *x, x[1], x[2]], ["sum"], "sum", domain=MICROSOFT))
    made.nodes.append(helper.make_node("Flatten", ["sum"], ["row"], "flatten"))
    program = check(made, made.finish("QLinearMatMul", ["row", x[1], x[2], *product]))
    assert [layer.operator for layer in program.layers if layer.target == "accelerator"] == ["add", "dense"]
    assert not any(layer.operator == "Flatten" for layer in program.layers)


def test_refusals():
    made = OneOperator(np.uint8)
    inputs = [*made.x((1, 5, 3, 4)), *result_of(made)]
    model = made.finish("QLinearGlobalAveragePool", inputs, domain=MICROSOFT, channels_last=1)
    with pytest.raises(UnsupportedOperator, match=r"'node'.*channels_last must be 0"):
        compile_model(model, load_config("tiny"))
    model.graph.node[0].op_type = "QAttention"
    with pytest.raises(UnsupportedOperator, match=r"com\.microsoft\.QAttention.*QGemm"):
        import_model(model)
    model.graph.node[0].op_type, model.graph.node[0].domain = "QLinearAdd", ""
    with pytest.raises(UnsupportedOperator, match="QLinearAdd"):
        import_model(model)


@BOTH
@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("operator", ["ConvInteger", "MatMulInteger"])
@pytest.mark.parametrize("bias", [True, False])
def test_integer_products_that_are_quantised_again(operator, axis, dtype, bias):
    """Scaled by constants, with or without a bias and ReLU: on the accelerator."""
    made = OneOperator(dtype)
    convolution = operator == "ConvInteger"
    x, _, x_zero = made.x((2, 6, 5, 5) if convolution else (3, 40))
    weight, _, w_zero = made.weight((7, 6, 3, 3) if convolution else (40, 7))
    size = () if axis is None else (7, 1, 1) if convolution else (7,)
    steps = [
        ("Cast", ["sums"], {"to": TensorProto.FLOAT}),
        ("Mul", ["cast", made.constant(made.random.uniform(0.001, 0.002, size).astype(np.float32))], {}),
        *([("Add", [made.constant(made.random.normal(0, 1, size).astype(np.float32)), "mul"], {})] if bias else []),
        ("Relu", ["add" if bias else "mul"], {}),
    ]
    made.nodes.append(helper.make_node(operator, [x, weight, x_zero, w_zero], ["sums"], "product"))
    made.nodes += [helper.make_node(name, inputs, [name.lower()], name, **more) for name, inputs, more in steps]
    program = check(made, made.finish("QuantizeLinear", ["relu", *result_of(made, 0.4, -100)]))
    assert all(layer.target == "accelerator" for layer in program.layers if layer.macs)


@BOTH
def test_parts_of_a_tensor(dtype):
    """A Split moves integers; both parts go on as they are."""
    made = OneOperator(dtype)
    x = made.x((1, 12, 3, 3))
    made.nodes.append(helper.make_node("QLinearAdd", [*x, *x, x[1], x[2]], ["sum"], "sum", domain=MICROSOFT))
    sizes = made.constant(np.array([8, 4], np.int64))
    made.nodes.append(helper.make_node("Split", ["sum", sizes], ["a", "b"], "split", axis=1))
    made.nodes.append(helper.make_node("MaxPool", ["a"], ["most"], "pool", kernel_shape=[3, 3], pads=[1] * 4))
    parts = [part for name in ("b", "most") for part in (name, x[1], x[2])]
    program = check(made, made.finish("QLinearConcat", [x[1], x[2], *parts], domain=MICROSOFT, axis=1))
    assert not any(layer.operator == "flip_sign" for layer in program.layers[1:-1])
