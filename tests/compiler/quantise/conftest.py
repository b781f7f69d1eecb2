"""Small float models, and both ways to run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Graph
from tilewright.compiler.quantise.calibration import Calibration


@dataclass
class FloatModel:
    """Builds an ONNX model of float32 tensors; nodes are named like their results."""

    seed: int = 0
    opset: int = 17
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def input(self, *shape: int, name: str = "x") -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.random.normal(0, scale, shape))

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], output, **attributes))
        return output

    def conv(self, x: str, *filters: int, bias: bool = True, name: str = "", **attributes: Any) -> str:
        weight = self.normal(*filters, scale=1 / np.sqrt(np.prod(filters[1:])))
        given = (self.normal(filters[0], scale=0.3),) if bias else ()
        return self.node("Conv", x, weight, *given, name=name, **attributes)

    def finish(self, *outputs: str) -> onnx.ModelProto:
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, results, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def graph(self, *outputs: str) -> Graph:
        return import_model(self.finish(*outputs))

    def batch_norm(self, x: str, channels: int, name: str = "") -> str:
        scale, mean = self.random.uniform(0.5, 2, channels), self.random.normal(size=channels)
        parameters = (scale, self.random.normal(size=channels), mean, self.random.uniform(0.3, 3, channels))
        return self.node("BatchNormalization", x, *(self.constant(array) for array in parameters), name=name)


@pytest.fixture
def floats() -> type[FloatModel]:
    return FloatModel


@pytest.fixture
def calibrated() -> Callable[..., Calibration]:
    """Normal samples for the inputs of a graph."""

    def make(graph: Graph, samples: int = 4, seed: int = 1) -> Calibration:
        random = np.random.default_rng(seed)
        shapes = {name: graph.values[name].known_shape for name in graph.inputs}
        return Calibration(
            graph,
            {name: random.normal(size=(samples, *shape)).astype(np.float32) for name, shape in shapes.items()},
        )

    return make


@pytest.fixture
def residual(floats: type[FloatModel]) -> Graph:
    """Convolution with batch norm, depthwise block, sum, pools, concatenation, a fully connected layer and softmax."""
    model = floats(3)
    stem = model.node("Relu", model.batch_norm(model.conv(model.input(1, 3, 12, 12), 8, 3, 3, 3, pads=[1] * 4), 8))
    deep = model.node("Clip", model.conv(stem, 8, 1, 3, 3, group=8, pads=[1] * 4), *map(model.constant, (0, 6)))
    total = model.node("Relu", model.node("Add", stem, model.conv(deep, 8, 8, 1, 1), name="sum"))
    pooled = model.node("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2], name="largest")
    joined = model.node("Concat", pooled, model.conv(pooled, 8, 8, 1, 1, bias=False), axis=1, name="joined")
    mean = model.node("GlobalAveragePool", joined, name="mean")
    flat = model.node("Flatten", mean)
    logits = model.node("Add", model.node("MatMul", flat, model.normal(16, 5)), model.normal(5), name="logits")
    return model.graph(model.node("Softmax", logits, name="probabilities"), logits)
