"""Models from ONNX to the oracle: equal to the integer reference, at most one step from ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.errors import TilewrightError, UnsupportedOperator
from tilewright.isa.checker import check_program
from tilewright.isa.program import Run
from tilewright.isa.races import program_races
from tilewright.isa.table import Memory
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIGS = ["vta-16", "tiny", "8x16", "wide-32"]
MORE_CONFIGS = [*CONFIGS, "32x8", "4x8x16"]
WIDE_OUT = {"block_in": 32, "block_out": 8, "vector_lanes": 8}
MODELS = Path(__file__).parents[3] / "shared" / "models"


def config_named(name):
    """A preset, or one of two more: 32x8, and four rows of 8x16."""
    if name == "4x8x16":
        return load_config("8x16").replace(name=name, rows=4)
    return load_config("vta-16").replace(name=name, **WIDE_OUT) if name == "32x8" else load_config(name)


def assert_sound(program):
    """No finding of the static checker, no race, and only the host touches floats."""
    assert check_program(program) == []
    assert program_races(program) == []


def check(compiled, model, config, *, steps=1.0):
    """`steps`: the scale of the outputs, or several of them."""
    result = compiled(model, config)
    assert_sound(result.program)
    inputs = result.random_inputs()
    ours = result.oracle(inputs)
    for got, expected in zip(ours, result.reference(inputs), strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(ours, result.onnxruntime(inputs), strict=True):
        assert np.abs(got - expected).max() <= steps * 1.001
    return result


CONVOLUTIONS = [
    # channels, size, outputs, kernel, attributes
    (3, (9, 9), 5, (3, 3), {"pads": [1, 1, 1, 1]}),
    (16, (8, 8), 16, (1, 1), {}),
    (17, (7, 11), 33, (3, 3), {"pads": [0, 1, 2, 0], "strides": [2, 2]}),
    (1, (12, 6), 20, (5, 5), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    (40, (6, 6), 9, (2, 4), {"auto_pad": "SAME_LOWER"}),
    (8, (13, 13), 8, (3, 3), {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    (35, (5, 5), 70, (5, 5), {}),
    (4, (64, 5), 6, (3, 1), {"pads": [1, 0, 1, 0]}),
    (6, (4, 70), 4, (1, 7), {"strides": [1, 3]}),
    (9, (10, 10), 12, (1, 1), {"strides": [2, 2]}),
]


@pytest.mark.parametrize("name", MORE_CONFIGS)
@pytest.mark.parametrize("channels, size, outputs, kernel, attributes", CONVOLUTIONS)
def test_convolution(qdq, compiled, name, channels, size, outputs, kernel, attributes):
    model = qdq(seed=channels)
    x = model.input((1, channels, *size))
    y = model.conv(x, (outputs, channels, *kernel), **attributes)
    check(compiled, model.finish(y), config_named(name), steps=0.2)


@pytest.mark.parametrize("name", ["vta-16", "tiny", "4x8x16"])
def test_convolution_larger_than_memory(qdq, compiled, name):
    """Input, weights and output exceed the on-chip memories: tiles over rows, columns, groups and passes."""
    small = {"act_depth": 256, "acc_depth": 64, "wgt_depth": 32, "bias_depth": 4, "scale_depth": 4, "act_banks": 2}
    config = config_named(name).replace(name="small", acc_banks=2, **small)
    model = qdq(seed=5)
    x = model.input((2, 50, 11, 24))
    y = model.conv(x, (36, 50, 3, 3), pads=[1, 1, 1, 1], per_channel=False)
    result = check(compiled, model.finish(y), config, steps=0.2)
    assert any(instruction["accumulate"] for instruction in _instructions(result.program, "GEMM"))


def _instructions(program, name):
    return [instruction for instruction in program.decoded() if instruction.spec.name == name]


@pytest.mark.parametrize("name", MORE_CONFIGS)
def test_network(qdq, compiled, name):
    """Residual, pools, flattening and a fully connected layer, unsigned activations."""
    model = qdq(seed=11, dtype=np.uint8)
    x = model.input((1, 3, 16, 16), 0.06, -9)
    a = model.conv(x, (18, 3, 3, 3), pads=[1, 1, 1, 1], relu=True, out=(0.07, -128))
    b = model.conv(a, (18, 18, 3, 3), pads=[1, 1, 1, 1], out=(0.3, 10))
    c = model.apply("Add", a, b, out=(0.25, -20))
    d = model.apply("MaxPool", c, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], out=(0.25, -20))
    e = model.apply("AveragePool", d, kernel_shape=[2, 2], strides=[2, 2], out=(0.2, -60))
    f = model.quantise(model.node("Flatten", [model.dequantise(e)]), 0.2, -60)
    y = model.gemm(f, (10, 18 * 16), out=(1.5, 5))
    result = check(compiled, model.finish(y), config_named(name), steps=3.0)
    on_host = {layer.operator for layer in result.program.layers if layer.target == "host"}
    assert on_host - {"im2col"} == {"QuantizeLinear", "DequantizeLinear"}
    assert sum(isinstance(step, Run) for step in result.program.steps) == 1


@pytest.mark.parametrize("name", MORE_CONFIGS)
@pytest.mark.parametrize("inputs, outputs, batch", [(10, 3, 1), (300, 70, 2), (64, 16, 3)])
def test_fully_connected(qdq, compiled, name, inputs, outputs, batch):
    model = qdq(seed=inputs)
    y = model.gemm(model.input((batch, inputs)), (inputs, outputs), trans_b=0)
    check(compiled, model.finish(y), config_named(name), steps=0.5)


@pytest.mark.parametrize("name", MORE_CONFIGS)
def test_addition(qdq, compiled, name):
    model = qdq(seed=2)
    a, b = model.input((2, 21, 30, 14), 0.031, 9), model.input((2, 21, 30, 14), 0.11, -80)
    check(compiled, model.finish(model.apply("Add", a, b, out=(0.09, 17))), config_named(name), steps=0.09)


@pytest.mark.parametrize("name", MORE_CONFIGS)
@pytest.mark.parametrize(
    "operator, size, attributes",
    [
        ("MaxPool", (11, 13), {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
        ("MaxPool", (10, 10), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool", (9, 9), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("AveragePool", (30, 7), {"kernel_shape": [2, 3]}),
        ("GlobalAveragePool", (7, 7), {}),
        ("GlobalMaxPool", (6, 8), {}),
    ],
)
def test_pooling(qdq, compiled, name, operator, size, attributes):
    model = qdq(seed=3)
    x = model.input((1, 37, *size), 0.07, 20)
    check(
        compiled, model.finish(model.apply(operator, x, out=(0.06, 33), **attributes)), config_named(name), steps=0.06
    )


@pytest.mark.parametrize("name", ["vta-16", "8x16"])
def test_limits(qdq, compiled, name):
    """Clip and ReLU between quantised values, fused or on their own."""
    model = qdq(seed=4)
    x = model.input((1, 5, 6, 6))
    limits = [model.constant(np.float32(limit)) for limit in (-1.5, 6.0)]
    a = model.conv(x, (7, 5, 3, 3))
    b = model.quantise(model.node("Clip", [model.dequantise(a), *limits]), 0.2, -5)
    c = model.apply("Relu", b, out=(0.1, -100))
    result = check(compiled, model.finish(c), load_config(name), steps=0.2)
    assert [layer.operator for layer in result.program.layers if layer.target == "accelerator"] == ["conv", "rescale"]


def test_integer_edges(compiled):
    """A model whose input and output are 8-bit: the host only moves them into blocks and back."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["xf"]),
        helper.make_node("Add", ["xf", "xf"], ["yf"]),
        helper.make_node("QuantizeLinear", ["yf", "sx", "zx"], ["y"]),
    ]
    constants = [
        helper.make_tensor("sx", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("zx", TensorProto.UINT8, [], [7]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, (1, 5, 3, 3)) for name in "xy"]
    graph = helper.make_graph(nodes, "edges", ends[:1], ends[1:], constants)
    result = compiled(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), load_config("tiny")
    )
    inputs = {"x": np.arange(45, dtype=np.uint8).reshape(1, 5, 3, 3)}
    np.testing.assert_array_equal(result.oracle(inputs)[0], np.clip(2 * inputs["x"].astype(int) - 7, 0, 255))
    assert result.program.outputs[0].dtype == "uint8"


def test_few_tokens(qdq, compiled):
    """With counters that hold one token, SYNC gives what an instruction can't."""
    model = qdq(seed=6)
    x = model.input((1, 20, 24, 24))
    y = model.conv(model.conv(x, (24, 20, 3, 3), pads=[1, 1, 1, 1]), (12, 24, 3, 3))
    result = check(compiled, model.finish(y), load_config("tiny").replace(token_bits=1), steps=0.6)
    assert _instructions(result.program, "SYNC")


def test_determinism(qdq, compiled):
    programs = []
    for _ in range(2):
        model = qdq(seed=7)
        model_proto = model.finish(model.conv(model.input((1, 9, 9, 9)), (9, 9, 3, 3)))
        programs.append(compiled(model_proto, load_config("vta-16")).program.to_bytes())
    assert programs[0] == programs[1]


def test_loads_run_ahead(qdq, compiled):
    """A tile's input is asked for before the tile before it is multiplied."""
    model = qdq(seed=8)
    y = model.conv(model.input((1, 64, 28, 28)), (64, 64, 3, 3), pads=[1, 1, 1, 1])
    program = compiled(model.finish(y), load_config("vta-16")).program.decoded()
    first = next(place for place, instruction in enumerate(program) if instruction.spec.name == "GEMM")
    images = [i for i in program[:first] if i.spec.name == "LOAD" and i["memory"] == Memory.ACT]
    assert len({i["mem_base"] for i in images}) == 2


def refusal(model, config, compiled, kind=UnsupportedOperator):
    with pytest.raises(kind) as error:
        compiled(model, config)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", MORE_CONFIGS)
@pytest.mark.parametrize("channels, outputs, groups", [(8, 8, 2), (20, 20, 20), (6, 12, 6), (1, 4, 1)])
def test_groups(qdq, compiled, name, channels, outputs, groups):
    """Depthwise ones too, with and without a multiplier."""
    model = qdq(seed=groups)
    x = model.input((1, channels, 9, 7))
    y = model.conv(x, (outputs, channels // groups, 3, 3), group=groups, pads=[1, 0, 1, 2], strides=[2, 1])
    check(compiled, model.finish(y), config_named(name), steps=0.2)


def test_a_float_convolution_runs_on_the_host(compiled):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 1, 1)) for name in "xy"]
    weight = helper.make_tensor("w", TensorProto.FLOAT, (1, 1, 1, 1), [1.0])
    node = helper.make_node("Conv", ["x", "w"], ["y"], "only")
    graph = helper.make_graph([node], "float", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    program = compiled(model, load_config("tiny")).program
    assert [(layer.name, layer.target) for layer in program.layers] == [("only", "host")]


def test_refuses_what_does_not_fit(qdq, compiled):
    config = load_config("tiny").replace(wgt_depth=8)
    model = qdq()
    y = model.conv(model.input((1, 8, 6, 6)), (8, 8, 3, 3))
    message = refusal(model.finish(y), config, compiled, TilewrightError)
    assert "wgt_depth" in message and "conv_" in message


@pytest.mark.parametrize("name", ["mnist_qdq", "resnet8_qdq"])
def test_public_models(compiled, name):
    """At most one step of the last 8-bit tensor from the reference's answer, and the same decision."""
    if not MODELS.is_dir():
        pytest.skip("the folder of public models is not beside the project")
    import onnx

    result = compiled(onnx.load(MODELS / f"{name}.onnx"), load_config("vta-16"))
    assert_sound(result.program)
    with np.load(MODELS / f"{name}.npz") as golden:
        for sample in range(2):
            answer = result.oracle({result.program.inputs[0].name: golden[f"in_{sample}_0"]})[0]
            expected = golden[f"out_{sample}_0"]
            assert answer.argmax() == expected.argmax()
            np.testing.assert_allclose(answer, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_host_alone(qdq, compiled, dtype):
    """The same operators, from the same expressions, without the accelerator: equal element for element."""
    model = qdq(seed=12, dtype=dtype)
    x = model.input((1, 5, 12, 10))
    a = model.conv(x, (6, 5, 3, 3), pads=[1, 2, 0, 1], strides=[2, 1], relu=True)
    b = model.conv(x, (6, 5, 3, 3), pads=[1, 2, 0, 1], strides=[2, 1], per_channel=False)
    c = model.apply("MaxPool", model.apply("Add", a, b), kernel_shape=[2, 3], pads=[1, 0, 0, 1], out=(0.12, -9))
    d = model.apply("AveragePool", c, kernel_shape=[3, 2], strides=[2, 2], out=(0.1, 0))
    e = model.quantise(model.node("Flatten", [model.dequantise(d)]), 0.1, 0)
    width = 6 * 2 * 5
    result = compiled(model.finish(model.gemm(e, (4, width))), load_config("tiny"))
    alone = compile_graph(import_model(result.model), result.config, accelerate=False)
    assert {layer.target for layer in alone.layers} == {"host"} and len(alone.instructions) == 0
    inputs = result.random_inputs()
    answers = Session(alone, OracleSimulator(result.config)).run(inputs)
    np.testing.assert_array_equal(next(iter(answers.values())), result.oracle(inputs)[0])


def test_host_between_runs(qdq, compiled):
    """What the accelerator can't do lies between two runs of it; tensors change their layout there and back."""
    model = qdq(seed=13)
    a = model.conv(model.input((1, 6, 8, 8)), (9, 6, 3, 3), out=(0.2, 0))
    turned = model.node("Transpose", [model.dequantise(a)], perm=[0, 1, 3, 2])
    b = model.quantise(model.node("Softmax", [turned], axis=1), 1 / 256, -128)
    y = model.conv(b, (5, 9, 1, 1), out=(0.01, 3))
    result = check(compiled, model.finish(y), load_config("8x16"), steps=0.02)
    assert [type(step).__name__ for step in result.program.steps] == ["Call", "Run", "Call", "Run", "Call"]


def test_several_inputs_and_outputs(qdq, compiled):
    model = qdq(seed=14)
    x, z = model.input((1, 4, 6, 6)), model.input((1, 7, 6, 6))
    a = model.conv(x, (7, 4, 1, 1), out=(0.1, 3))
    b = model.apply("Add", a, z)
    check(compiled, model.finish(a, b), load_config("tiny"), steps=0.2)


@pytest.mark.parametrize("name", ["vta-16", "tiny"])
def test_native_simulator_agrees(qdq, compiled, name):
    model = qdq(seed=15)
    a = model.conv(model.input((1, 12, 14, 14)), (20, 12, 3, 3), pads=[1, 1, 1, 1])
    b = model.apply("Add", a, model.conv(a, (20, 20, 3, 3), pads=[1, 1, 1, 1]))
    y = model.apply("GlobalAveragePool", model.apply("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]))
    result = compiled(model.finish(y), load_config(name))
    inputs = result.random_inputs()
    native = Session(result.program, NativeSimulator(result.config)).run(inputs)
    np.testing.assert_array_equal(next(iter(native.values())), result.oracle(inputs)[0])
