"""ResNet-18 and its layers as quantised ONNX models; weights are random, since only shapes take time."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SCALE = 0.1


class Builder:
    """Nodes of a model in which every activation is quantised with one scale and zero point 0."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(18)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def quantised(self, x: str) -> str:
        parameters = [self.constant(np.float32(SCALE)), self.constant(np.int8(0))]
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *parameters), *parameters)

    def weight(self, *shape: int) -> str:
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        parameters = [self.constant(np.float32(0.01)), self.constant(np.int8(0))]
        return self.node("DequantizeLinear", self.constant(values), *parameters)

    def conv(self, x: str, channels: int, to: int, kernel: int, stride: int = 1, *, relu: bool = True) -> str:
        bias = self.constant(np.zeros(to, np.float32))
        options = {"strides": [stride] * 2, "pads": [kernel // 2] * 4}
        y = self.node("Conv", x, self.weight(to, channels, kernel, kernel), bias, **options)
        return self.quantised(self.node("Relu", y) if relu else y)

    def model(self, shape: tuple[int, ...], y: str) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "model", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def make_conv(channels: int, to: int, size: int, kernel: int, stride: int) -> onnx.ModelProto:
    builder = Builder()
    y = builder.conv(builder.quantised("x"), channels, to, kernel, stride)
    return builder.model((1, channels, size, size), y)


def make_resnet18() -> onnx.ModelProto:
    builder = Builder()
    x = builder.conv(builder.quantised("x"), 3, 64, 7, 2)
    x = builder.quantised(builder.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    channels = 64
    for to in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if to > 64 and block == 0 else 1
            y = builder.conv(builder.conv(x, channels, to, 3, stride), to, to, 3, relu=False)
            shortcut = builder.conv(x, channels, to, 1, stride, relu=False) if stride > 1 else x
            x = builder.quantised(builder.node("Relu", builder.node("Add", y, shortcut)))
            channels = to
    pooled = builder.quantised(builder.node("GlobalAveragePool", x))
    flat = builder.quantised(builder.node("Flatten", pooled))
    bias = builder.constant(np.zeros(1000, np.float32))
    y = builder.quantised(builder.node("Gemm", flat, builder.weight(1000, 512), bias, transB=1))
    return builder.model((1, 3, 224, 224), y)


@pytest.fixture
def conv() -> Callable[..., onnx.ModelProto]:
    return make_conv


@pytest.fixture
def resnet18() -> Callable[[], onnx.ModelProto]:
    return make_resnet18
