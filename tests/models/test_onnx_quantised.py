"""Quantised ONNX networks: at most one step from ONNX Runtime per operator, and the same decision at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from tilewright.compiler.compile import compile_model, import_model
from tilewright.compiler.compile_host import compile_for_host
from tilewright.compiler.graph import Graph
from tilewright.compiler.inspection import inspect_graph
from tilewright.compiler.ops import find_operator
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.driver.simple import run
from tilewright.isa.checker import check_program
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.native import NativeSimulator

MODELS = Path(__file__).parents[3] / "shared" / "models"
ON_HOST = {
    "QuantizeLinear",
    "DequantizeLinear",
    "Softmax",
    "im2col",
    "flip_sign",
    "Reshape",
    "Transpose",
    "Identity",
}
LEFT_FLOAT = {"Sub", "Tanh", "ReduceMean"}  # one behind the other, of mobile_network
SUFFIXES = ("/integer", "/whole", "/signed")


@dataclass
class FloatModel:
    """Builds a float network with random weights from the input x."""

    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(7)

    def constant(self, data: Any) -> str:
        array = np.asarray(data)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array if array.dtype == np.int64 else array.astype("f4"), name))
        return name

    def weight(self, *shape: int, mean: float = 0.0) -> str:
        spread = 1.4 / np.sqrt(np.prod(shape[1:]))
        return self.constant(self.random.normal(mean * spread, spread, shape))

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], output, **attributes))
        return output

    def conv(self, x: str, shape: tuple[int, ...], *, mean: float = 0.0, **attributes: Any) -> str:
        return self(
            "Conv", x, self.weight(*shape, mean=mean), self.constant(self.random.normal(0, 0.2, shape[0])), **attributes
        )

    def finish(self, result: str) -> onnx.ModelProto:
        ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)]
        outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", ends, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def residual_network() -> onnx.ModelProto:
    """Strided, depthwise and pointwise convolutions, squeeze and excitation, concatenation, three kinds of pools."""
    m = FloatModel((1, 3, 16, 16))
    a = m("Relu", m.conv("x", (16, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]))
    b = m("Clip", m.conv(a, (16, 1, 3, 3), mean=0.8, pads=[1, 1, 1, 1], group=16), m.constant(0.0), m.constant(6.0))
    c = m.conv(b, (16, 16, 1, 1))
    d = m("Add", a, c)
    gate = m("Sigmoid", m.conv(m("GlobalAveragePool", d), (16, 16, 1, 1)))
    e = m("Concat", m("Mul", d, gate), c, axis=1)
    f = m("MaxPool", m("LeakyRelu", e, alpha=0.1), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    g = m("AveragePool", f, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    h = m("Gemm", m("Flatten", g), m.weight(20, 32 * 16), m.constant(m.random.normal(0, 0.2, 20)), transB=1)
    logits = m("Add", m("MatMul", m("Relu", h), m.weight(20, 10)), m.constant(m.random.normal(0, 0.3, 10)))
    return m.finish(m("Softmax", logits, axis=1))


def mobile_network() -> onnx.ModelProto:
    """Activations of newer networks, padding of its own, shuffled channels; ONNX Runtime leaves some of it float."""
    m = FloatModel((1, 3, 20, 20))
    a = m("HardSwish", m.conv("x", (16, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]))
    b = m.conv(a, (24, 16, 1, 1))
    b = m("Mul", b, m("Sigmoid", b))
    pads = m.constant(np.array([0, 0, 1, 1, 0, 0, 2, 2], np.int64))
    c = m("Relu", m.conv(m("Pad", b, pads), (24, 1, 5, 5), mean=0.5, group=24, strides=[2, 2]))
    d = m.conv(c, (16, 12, 1, 1), group=2)
    e = m("Reshape", d, m.constant(np.array([1, 2, 8, 5, 5], np.int64)))
    f = m("Reshape", m("Transpose", e, perm=[0, 2, 1, 3, 4]), m.constant(np.array([1, 16, 5, 5], np.int64)))
    g = m("Sub", f, m.conv(f, (16, 16, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2]))
    h = m("ReduceMean", m("Tanh", g), axes=[2, 3], keepdims=0)
    return m.finish(m("Gemm", h, m.weight(16, 9), m.constant(m.random.normal(0, 0.1, 9))))


def perceptron() -> onnx.ModelProto:
    m = FloatModel((2, 37))
    x = "x"
    for inputs, outputs in ((37, 50), (50, 24)):
        bias = m.constant(m.random.normal(0, 0.3, outputs))
        x = m("Relu", m("Gemm", x, m.weight(inputs, outputs, mean=0.3), bias))
    return m.finish(m("Add", m("MatMul", x, m.weight(24, 7)), m.constant(m.random.normal(0, 0.3, 7))))


class Samples(CalibrationDataReader):
    def __init__(self, shape: tuple[int, ...], count: int = 12) -> None:
        self.all = [np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32) for seed in range(count)]
        self.left = iter(self.all)

    def get_next(self) -> dict[str, np.ndarray] | None:
        sample = next(self.left, None)
        return None if sample is None else {"x": sample}


def onnxruntime_values(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor that a node computes, graph optimisation off."""
    every = onnx.ModelProto()
    every.CopyFrom(model)
    del every.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    every.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(every.SerializeToString(), options)
    return dict(zip(names, session.run(None, inputs), strict=True))


def recorded(name: str, values: dict[str, np.ndarray], dtype: Any) -> np.ndarray | None:
    """What ONNX Runtime has for a value of the lowered graph, in the graph's integers."""
    while name.endswith(SUFFIXES) and name not in values:
        name = name[: name.rindex("/")]
    found = values.get(name)
    if found is not None and found.dtype == np.uint8 and dtype == np.int8:
        return (found ^ np.uint8(128)).view(np.int8)
    return found if found is not None and found.dtype == dtype else None


def largest_steps(graph: Graph, inputs: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> dict[str, int]:
    """How far each accelerated operator is from ONNX Runtime, given ONNX Runtime's own inputs."""
    known = {name: value.data for name, value in graph.values.items() if value.data is not None} | inputs
    steps = {}
    for node in graph.nodes:
        results = find_operator(node).reference(node, [known[name] if name else None for name in node.inputs])
        for name, result in zip(node.outputs, results, strict=True):
            expected = recorded(name, values, result.dtype)
            if node.target == "accelerator":
                assert expected is not None, f"{name} of {node.operator} is nowhere in ONNX Runtime's values"
                steps[node.name] = int(np.abs(result.astype(int) - expected.reshape(result.shape)).max())
            known[name] = result if expected is None else expected.reshape(result.shape)
    return steps


def decisions_agree(answers: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """The largest of each row is the same, where the second largest is not within rounding of it."""
    ours, theirs = np.concatenate(answers), np.concatenate(expected)
    top = np.sort(theirs, axis=-1)
    clear = top[..., -1] - top[..., -2] > 0.02 * np.abs(theirs).max()
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(ours.argmax(-1)[clear], theirs.argmax(-1)[clear])


KINDS = [(QuantType.QUInt8, QuantType.QUInt8), (QuantType.QUInt8, QuantType.QInt8), (QuantType.QInt8, QuantType.QInt8)]


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("kinds", KINDS, ids=["U8U8", "U8S8", "S8S8"])
@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ], ids=str)
@pytest.mark.parametrize("network", [residual_network, mobile_network, perceptron])
def test_networks_of_onnxruntimes_quantiser(tmp_path, network, form, kinds, per_channel):
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(network(), source)
    shape = import_model(source).values["x"].known_shape
    samples = Samples(shape)
    activations, weights = kinds
    kind = {"quant_format": form, "activation_type": activations, "weight_type": weights, "per_channel": per_channel}
    quantize_static(source, target, samples, **kind)
    model, config = onnx.load(target), load_config("vta-16")
    graph = run_passes(import_model(target), passes_for(config))
    assert {node.operator for node in graph.nodes if node.target == "host"} <= ON_HOST | LEFT_FLOAT
    program = compile_model(target, config)
    assert check_program(program) == []
    session, result = Session(program, NativeSimulator(config)), graph.outputs[0]
    recorded_values = [onnxruntime_values(model, {"x": sample}) for sample in samples.all]
    for sample, values in list(zip(samples.all, recorded_values, strict=True))[:3]:
        steps = largest_steps(graph, {"x": sample}, values)
        assert len(steps) >= 3 and max(steps.values()) <= 1, steps
    answers = [session.run({"x": sample})[result] for sample in samples.all]
    decisions_agree(answers, [values[result] for values in recorded_values])


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", ["mnist_qdq", "resnet8_qdq", "ultraface_slim_qdq"])
def test_public_networks(name):
    path, config = MODELS / f"{name}.onnx", load_config("vta-16")
    graph = run_passes(import_model(path), passes_for(config))
    plans = inspect_graph(import_model(path), config)
    assert {plan.operator for plan in plans if plan.target == "host"} <= ON_HOST | {"Concat"}
    assert all(plan.target == "accelerator" for plan in plans if plan.macs)
    model, program = onnx.load(path), compile_model(path, config)
    session = Session(program, NativeSimulator(config))
    answers, expected = [], []
    with np.load(MODELS / f"{name}.npz") as golden:
        for sample in range(2):
            inputs = {graph.inputs[0]: golden[f"in_{sample}_0"]}
            steps = largest_steps(graph, inputs, onnxruntime_values(model, inputs))
            assert max(steps.values()) <= 1, steps
            answers.append(session.run(inputs)[graph.outputs[0]])
            expected.append(golden[f"out_{sample}_0"])
    decisions_agree(answers, expected)


@pytest.mark.parametrize("network", [residual_network, perceptron])
def test_dynamic_quantisation_runs_on_the_host(tmp_path, network):
    """ConvInteger, MatMulInteger and scales that are computed."""
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(network(), source)
    quantize_dynamic(source, target)
    model = onnx.load(target)
    assert {node.op_type for node in model.graph.node} >= {"DynamicQuantizeLinear", "MatMulInteger"}
    sample = Samples(import_model(source).values["x"].known_shape).all[0]
    expected = onnxruntime_values(model, {"x": sample})[model.graph.output[0].name]
    for program in (compile_for_host(target), compile_model(target, load_config("tiny"))):
        answer = run(program, {"x": sample}, device="native")[model.graph.output[0].name]
        np.testing.assert_allclose(answer, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ], ids=str)
def test_on_the_host_alone(tmp_path, form):
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(residual_network(), source)
    samples = Samples((1, 3, 16, 16))
    quantize_static(source, target, samples, quant_format=form)
    model = onnx.load(target)
    result = model.graph.output[0].name
    expected = onnxruntime_values(model, {"x": samples.all[0]})[result]
    answer = run(compile_for_host(target), {"x": samples.all[0]})[result]
    np.testing.assert_allclose(answer, expected, atol=0.01)


def test_on_the_rtl(tmp_path):
    """Unsigned weights with a zero point for each channel, tables, products, padded averages: as on the simulators."""
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(residual_network(), source)
    samples = Samples((1, 3, 16, 16))
    kind = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8, "per_channel": True}
    quantize_static(source, target, samples, quant_format=QuantFormat.QOperator, **kind)
    config = load_config("vta-16")
    graph = run_passes(import_model(target), passes_for(config))
    weights = [graph.values[n.inputs[1]].dtype for n in graph.nodes if n.operator in ("qconv", "qdepthwise", "qdense")]
    assert np.dtype(np.int16) in weights
    program = compile_model(target, config)
    device = CycleSimulator(config)
    try:
        found = Session(program, device).run({"x": samples.all[0]})
    finally:
        device.close()
    expected = Session(program, NativeSimulator(config)).run({"x": samples.all[0]})
    np.testing.assert_array_equal(found[graph.outputs[0]], expected[graph.outputs[0]])
