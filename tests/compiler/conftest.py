"""Small quantised models, and the ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.graph import Graph, Node, Value
from tilewright.compiler.passes import run_passes
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import Config, load_config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.isa.program import Program, Run
from tilewright.isa.races import program_races
from tilewright.simulator.oracle import OracleSimulator


@dataclass
class QdqModel:
    """Builds an ONNX model in which every activation is quantised; names of quantised values go in and out.

    Parameters
    ----------
    dtype
        Of activations: int8 or uint8.
    """

    seed: int = 0
    dtype: Any = np.int8
    opset: int = 13
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def constant(self, array: np.ndarray, stem: str = "c") -> str:
        name = self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        output = self.name(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def input(self, shape: tuple[int, ...], scale: float = 0.05, zero: int = 3) -> str:
        name = self.name("input")
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return self.quantise(name, scale, zero)

    def parameters(self, scale: float, zero: int) -> list[str]:
        offset = 128 if self.dtype == np.uint8 else 0
        return [self.constant(np.float32(scale)), self.constant(self.dtype(zero + offset))]

    def quantise(self, name: str, scale: float, zero: int) -> str:
        quantised = self.node("QuantizeLinear", [name, *self.parameters(scale, zero)])
        self.scales[quantised] = (scale, zero)
        return quantised

    scales: dict[str, tuple[float, int]] = field(default_factory=dict)

    def dequantise(self, name: str) -> str:
        return self.node("DequantizeLinear", [name, *self.parameters(*self.scales[name])])

    def weight(self, shape: tuple[int, ...], *, per_channel: bool, axis: int = 0) -> str:
        data = self.random.integers(-127, 128, shape).astype(np.int8)
        size = shape[axis] if per_channel else 1
        scales = self.random.uniform(0.002, 0.02, size).astype(np.float32)
        zeros = np.zeros(size, np.int8)
        if not per_channel:
            scales, zeros = scales.reshape(()), zeros.reshape(())
        names = [self.constant(array, "w") for array in (data, scales, zeros)]
        return self.node("DequantizeLinear", names, **({"axis": axis} if per_channel else {}))

    def conv(
        self,
        x: str,
        shape: tuple[int, ...],
        *,
        out: tuple[float, int] = (0.2, -5),
        per_channel: bool = True,
        relu: bool = False,
        **attributes: Any,
    ) -> str:
        bias = self.constant(self.random.normal(0, 2, shape[0]).astype(np.float32), "b")
        inputs = [self.dequantise(x), self.weight(shape, per_channel=per_channel), bias]
        y = self.node("Conv", inputs, **attributes)
        return self.quantise(self.node("Relu", [y]) if relu else y, *out)

    def apply(self, operator: str, *xs: str, out: tuple[float, int] = (0.1, 4), **attributes: Any) -> str:
        return self.quantise(self.node(operator, [self.dequantise(x) for x in xs], **attributes), *out)

    def gemm(self, x: str, shape: tuple[int, int], *, out: tuple[float, int] = (0.5, 0), trans_b: int = 1) -> str:
        weight = self.weight(shape, per_channel=False)
        bias = self.constant(self.random.normal(0, 2, shape[0 if trans_b else 1]).astype(np.float32), "b")
        return self.quantise(self.node("Gemm", [self.dequantise(x), weight, bias], transB=trans_b), *out)

    def finish(self, *names: str) -> onnx.ModelProto:
        """The model, with the quantised values `names` as float outputs."""
        for name in names:
            result = self.dequantise(name)
            self.outputs.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, None))
        graph = helper.make_graph(self.nodes, "model", self.inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


@dataclass
class Compiled:
    """A model after each stage."""

    model: onnx.ModelProto
    config: Config
    graph: Graph
    program: Program

    def random_inputs(self, seed: int = 1) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        return {t.name: random.uniform(-7, 7, t.shape).astype(t.dtype) for t in self.program.inputs}

    def reference(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        values = evaluate(self.graph, inputs)
        return [values[name] for name in self.graph.outputs]

    def oracle(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        results = Session(self.program, OracleSimulator(self.config)).run(inputs)
        return [results[name] for name in self.graph.outputs]

    def onnxruntime(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(self.model.SerializeToString(), options)
        return list(session.run(None, dict(inputs)))


@pytest.fixture
def qdq() -> type[QdqModel]:
    return QdqModel


@pytest.fixture
def compiled() -> Callable[[onnx.ModelProto, Config], Compiled]:
    """Compile a model, keeping what the passes made of it."""

    def run(model: onnx.ModelProto, config: Config) -> Compiled:
        graph = import_model(model)
        return Compiled(model, config, run_passes(graph, passes_for(config)), compile_graph(graph, config))

    return run


def _graph_with(
    operator: str, shapes: Sequence[tuple[int, ...]], constants: Sequence[np.ndarray], attributes: Mapping[str, Any]
) -> Graph:
    values = [Value(f"x{place}", shape, np.dtype(np.int8)) for place, shape in enumerate(shapes)]
    inputs = tuple(value.name for value in values)
    values += [Value.constant(f"c{place}", data) for place, data in enumerate(constants)]
    values.append(Value("y"))
    names = tuple(value.name for value in values)
    node = Node("layer", operator, names[:-1], ("y",), attributes)
    return infer_shapes(Graph("model", {value.name: value for value in values}, (node,), inputs, ("y",)))


@pytest.fixture(scope="session")
def graph_with() -> Callable[..., Graph]:
    """(operator, shapes of its int8 inputs x0 …, constants, attributes) → a graph with the result y."""
    return _graph_with


def _agree(
    graph: Graph, core: Config, *, seed: int = 0, on_core: bool = True, simulator: Any = OracleSimulator
) -> None:
    random = np.random.default_rng(seed)
    inputs = {n: random.integers(-128, 128, graph.values[n].known_shape).astype(np.int8) for n in graph.inputs}
    expected = evaluate(graph, inputs)["y"]
    program = compile_graph(graph, core)
    assert check_program(program) == []
    assert any(isinstance(step, Run) for step in program.steps) == on_core
    assert program_races(program) == []
    np.testing.assert_array_equal(Session(program, simulator(core)).run(inputs)["y"], expected)
    on_host = compile_graph(graph, core, accelerate=False)
    np.testing.assert_array_equal(Session(on_host, simulator(core)).run(inputs)["y"], expected)


@pytest.fixture(scope="session")
def agree() -> Callable[..., None]:
    """Simulator and host compute of a graph what its reference does; checkers find nothing."""
    return _agree


_VTA = load_config("vta-16")
_SMALL = _VTA.replace(name="small", act_depth=512, wgt_depth=64, acc_depth=128, bias_depth=16, scale_depth=16)
_CONFIGS = {
    "vta-16": _VTA,
    "small": _SMALL,
    "smallest": _SMALL.replace(name="smallest", act_depth=256, acc_depth=64),
    "two-banks": _VTA.replace(name="two-banks", act_depth=1024, act_banks=2),
    "8x16": load_config("8x16"),
    "16x8": _VTA.replace(name="16x8", block_out=8, vector_lanes=8, acc_depth=512),
    "two-rows": _SMALL.replace(name="two-rows", rows=2),
}
_LAYERS = ("conv", "conv", "depthwise", "depthwise", "add", "maxpool", "averagepool", "strided")


def _layer(
    model: QdqModel, draw: Any, kind: str, x: str, shape: tuple[int, ...], seen: Sequence[tuple[str, tuple[int, ...]]]
) -> tuple[str, tuple[int, ...]] | None:
    """(name, shape) of one more layer."""
    n, channels, height, width = shape
    out = (draw(st.sampled_from([0.05, 0.11])), draw(st.sampled_from([-128, 0, 5])))
    kernel = draw(st.integers(1, min(9 if kind == "depthwise" else 3, height, width)))
    pad = draw(st.integers(0, kernel // 2))
    pads = [pad, kernel // 2, kernel // 2, pad]
    grown = [height + pads[0] + pads[2] - kernel + 1, width + pads[1] + pads[3] - kernel + 1]
    if kind == "add":
        partners = [name for name, other in seen if other == shape and name != x]
        return (model.apply("Add", x, partners[-1], out=out), shape) if partners else None
    if kind == "depthwise":
        y = model.conv(x, (channels, 1, kernel, kernel), group=channels, pads=pads, out=out, relu=True)
        return y, (n, channels, *grown)
    if kind in ("maxpool", "averagepool"):
        if min(height, width) < 2:
            return None
        operator = "MaxPool" if kind == "maxpool" else "AveragePool"
        same = model.scales[x] if kind == "maxpool" else out
        return model.apply(operator, x, kernel_shape=[2, 2], out=same), (n, channels, height - 1, width - 1)
    outputs = draw(st.integers(1, 40))
    if kind == "strided":
        y = model.conv(x, (outputs, channels, kernel, kernel), strides=[2, 2], pads=pads, out=out)
        return y, (n, outputs, *(-(-size // 2) for size in grown))
    return model.conv(x, (outputs, channels, kernel, kernel), pads=pads, out=out), (n, outputs, *grown)


@pytest.fixture(scope="session")
def shaped_cores() -> Mapping[str, Config]:
    """Cores that are unlike each other, by name. A native simulator of another takes seconds to build: use these."""
    return MappingProxyType({**_CONFIGS, "tiny": load_config("tiny")})


def _random_network(draw: Any) -> tuple[Config, onnx.ModelProto]:
    config = _CONFIGS[draw(st.sampled_from(sorted(_CONFIGS)))]
    model = QdqModel(seed=draw(st.integers(0, 99)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 40)), draw(st.integers(2, 14)), draw(st.integers(2, 14)))
    seen: list[tuple[str, tuple[int, ...]]] = [(model.input(shape), shape)]
    for _ in range(draw(st.integers(2, 6))):
        made = _layer(model, draw, draw(st.sampled_from(_LAYERS)), *seen[-1], seen)
        seen += [] if made is None else [made]
    outputs = {seen[-1][0], draw(st.sampled_from(seen))[0]}
    return config, model.finish(*sorted(outputs))


@pytest.fixture(scope="session")
def random_network() -> Callable[[Any], tuple[Config, onnx.ModelProto]]:
    """From Hypothesis's `draw` a configuration and a network of 2 to 6 layers."""
    return _random_network
