"""Small quantised models, and the ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.graph import Graph, Node, Value
from tilewright.compiler.passes import run_passes
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import Config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.isa.dependence import find_races
from tilewright.isa.program import Program, Run
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
    sizes = [segment.size for segment in program.segments]
    runs = [step for step in program.steps if isinstance(step, Run)]
    assert bool(runs) == on_core
    for step in runs:
        assert find_races(program.decoded(step), core, sizes) == []
    np.testing.assert_array_equal(Session(program, simulator(core)).run(inputs)["y"], expected)
    on_host = compile_graph(graph, core, accelerate=False)
    np.testing.assert_array_equal(Session(on_host, simulator(core)).run(inputs)["y"], expected)


@pytest.fixture(scope="session")
def agree() -> Callable[..., None]:
    """Simulator and host compute of a graph what its reference does; checkers find nothing."""
    return _agree
