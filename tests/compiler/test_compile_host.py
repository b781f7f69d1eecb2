"""Models on the host alone: programs without instructions, run without a device."""

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from tilewright.cli import cli
from tilewright.compiler.compile_host import compile_for_host
from tilewright.driver.session import Session
from tilewright.errors import TilewrightError, UnsupportedOperator
from tilewright.isa.program import Program


def model_of(nodes, inputs, outputs, constants=(), opset=17):
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(*entry) for entry in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def network():
    """A grouped float convolution, an odd activation, a layer norm, and a matrix too large to lie in the code."""
    rng = np.random.default_rng(3)
    constants = [
        ("w", rng.standard_normal((6, 2, 3, 3), np.float32)),
        ("s", np.ones(5, np.float32)),
        ("m", rng.standard_normal((150, 128), np.float32)),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], group=2, pads=[1, 0, 2, 1], strides=[1, 2]),
        helper.make_node("HardSwish", ["a"], ["b"]),
        helper.make_node("LayerNormalization", ["b", "s"], ["c"], axis=-1),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "m"], ["y"]),
    ]
    return model_of(nodes, [("x", TensorProto.FLOAT, ("batch", 4, 4, 10))], [("y", TensorProto.FLOAT, None)], constants)


def reference(model, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_float_network(network, batch):
    program = compile_for_host(network, inputs={"x": (batch, 4, 4, 10)})
    assert not len(program.instructions) and {layer.target for layer in program.layers} == {"host"}
    x = np.random.default_rng(4).standard_normal((batch, 4, 4, 10), np.float32)
    outputs = Session(Program.from_bytes(program.to_bytes())).run({"x": x})
    np.testing.assert_allclose(outputs["y"], reference(network, {"x": x}), rtol=1e-4, atol=1e-4)


def test_large_constants_lie_in_memory_not_in_the_code(network):
    program = compile_for_host(network)
    assert program.segments[0].size >= 150 * 128 * 4 > len(program.host.object)


def test_inputs_that_decide_on_shapes_may_be_fixed():
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    model = model_of(
        nodes,
        [("x", TensorProto.INT16, (2, 6)), ("shape", TensorProto.INT64, (2,))],
        [("y", TensorProto.INT16, None)],
    )
    with pytest.raises(UnsupportedOperator, match=r"Reshape .* must be a constant"):
        compile_for_host(model)
    program = compile_for_host(model, inputs={"shape": np.array([3, -1])})
    x = np.arange(12, dtype=np.int16).reshape(2, 6)
    assert [tensor.name for tensor in program.inputs] == ["x"]
    np.testing.assert_array_equal(Session(program).run({"x": x})["y"], x.reshape(3, 4))


def test_refusals_name_operator_and_attribute():
    nodes = [helper.make_node("NonZero", ["x"], ["y"], "shapeless")]
    model = model_of(nodes, [("x", TensorProto.FLOAT, (4,))], [("y", TensorProto.INT64, None)])
    with pytest.raises(UnsupportedOperator, match=r"NonZero .*'shapeless'"):
        compile_for_host(model)
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="lanczos")]
    scales = [("scales", np.array([1, 1, 2, 2], np.float32))]
    model = model_of(nodes, [("x", TensorProto.FLOAT, (1, 1, 2, 2))], [("y", TensorProto.FLOAT, None)], scales)
    with pytest.raises(UnsupportedOperator, match=r"Resize .* mode must be nearest, linear or cubic, not lanczos"):
        compile_for_host(model)


def test_a_program_with_instructions_needs_a_device(qdq):
    from tilewright.compiler.compile import compile_model
    from tilewright.config import load_config

    model = qdq()
    program = compile_model(model.finish(model.conv(model.input((1, 4, 4, 4)), (4, 4, 1, 1))), load_config("tiny"))
    session = Session(program)
    with pytest.raises(TilewrightError, match="must run on a device"):
        session.run({tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in program.inputs})


def test_command_line(network, tmp_path):
    (tmp_path / "model.onnx").write_bytes(network.SerializeToString())
    x = np.random.default_rng(5).standard_normal((2, 4, 4, 10), np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    model, program, results = (str(tmp_path / name) for name in ("model.onnx", "model.tw", "out.npz"))
    compiled = CliRunner().invoke(cli, ["compile", model, "--target", "host", "--shape", "x=2,4,4,10", "-o", program])
    assert compiled.exit_code == 0, compiled.output
    ran = CliRunner().invoke(cli, ["run", program, "-i", str(tmp_path / "in.npz"), "-o", results])
    assert ran.exit_code == 0, ran.output
    np.testing.assert_allclose(np.load(results)["y"], reference(network, {"x": x}), rtol=1e-4, atol=1e-4)
    refused = CliRunner().invoke(cli, ["compile", model, "--target", "host", "--shape", "x=2,nine", "-o", program])
    assert "--shape must be a name and sizes" in str(refused.exception)
