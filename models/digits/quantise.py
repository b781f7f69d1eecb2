"""The trained network as an int8 ONNX model in QDQ form.

Activations are int8 with a zero point, from the least and greatest value over the calibration images. Weights are int8,
symmetric, per output channel, and stay within ±63: so two products of a pair fit 16 bits, and the 8-bit kernels of CPUs
without VNNI, ONNX Runtime's reference on such machines, cannot saturate. Biases are int32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .network import Conv, Dense, Network

__all__ = ["quantise"]

OPSET = 17
WEIGHT_LIMIT = 63


def quantise(network: Network, calibration: np.ndarray) -> onnx.ModelProto:
    """`calibration` are images (n, 8, 8, 1); the model takes one image, float32 [1, 1, 8, 8]."""
    network.forward(calibration)
    graph = _Graph({name: (float(tap.min()), float(tap.max())) for name, tap in network.taps.items()})
    graph.store("image", "image")
    graph.conv("stem", "image", network.stem, relu=True)
    graph.conv("left1", "stem", network.left1, relu=True)
    graph.conv("left2", "left1", network.left2)
    graph.conv("right", "stem", network.right)
    graph.node("Add", ["left2", "right"], "sum")
    graph.node("Relu", ["sum"], "add", quantised=False)
    graph.store("add", "add")
    graph.pool("MaxPool", "max_pool", "add", like="add")
    graph.conv("wide", "max_pool", network.wide, relu=True)
    graph.pool("AveragePool", "average_pool", "wide")
    graph.node("Flatten", ["average_pool"], "flat", axis=1)
    graph.store("flat", "flat", like="average_pool")
    graph.dense("last", "flat", network.last)
    graph.node("Softmax", ["last"], "probabilities", axis=-1)
    return graph.model()


class _Graph:
    """Nodes and constants; ``x`` names a float tensor, ``x.q`` its int8 form, ``x.dq`` that as float again."""

    def __init__(self, ranges: dict[str, tuple[float, float]]) -> None:
        self.ranges = ranges
        self.scales: dict[str, np.float32] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, *, quantised: bool = True, **attributes: Any) -> None:
        names = [f"{name}.dq" for name in inputs] if quantised else inputs
        self.nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))

    def store(self, name: str, source: str, like: str | None = None) -> None:
        """Quantise `source` to ``name.q`` and back; `like` names the tensor whose scale and zero point it shares."""
        if like is None:
            low, high = (min(self.ranges[name][0], 0.0), max(self.ranges[name][1], 0.0))
            scale = np.float32((high - low) / 255)
            zero = np.int8(np.clip(np.rint(-128 - low / scale), -128, 127))
            self.scales[name] = scale
            self.constant(f"{name}.scale", np.array(scale))
            self.constant(f"{name}.zero", np.array(zero))
        else:
            self.scales[name] = self.scales[like]
        how = [f"{like or name}.scale", f"{like or name}.zero"]
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *how], [f"{name}.q"], name=f"{name}.q"))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *how], [f"{name}.dq"], name=f"{name}.dq"))

    def parameters(self, name: str, source: str, weight: np.ndarray, bias: np.ndarray) -> list[str]:
        """Weights (output channel first) and bias as int8 and int32 with their DequantizeLinear."""
        scales = np.abs(weight).reshape(len(weight), -1).max(axis=1).astype(np.float32) / np.float32(WEIGHT_LIMIT)
        per_channel = scales.reshape(-1, *[1] * (weight.ndim - 1))
        integers = np.clip(np.rint(weight / per_channel), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)
        bias_scales = (scales * self.scales[source]).astype(np.float32)
        sums = np.rint(bias.astype(np.float64) / bias_scales).astype(np.int32)
        for part, values, scale in (("weight", integers, scales), ("bias", sums, bias_scales)):
            self.constant(f"{name}.{part}.q", values)
            self.constant(f"{name}.{part}.scale", scale)
            self.constant(f"{name}.{part}.zero", np.zeros(len(scale), values.dtype))
            operands = [f"{name}.{part}.q", f"{name}.{part}.scale", f"{name}.{part}.zero"]
            output = f"{name}.{part}"
            self.nodes.append(helper.make_node("DequantizeLinear", operands, [output], name=output, axis=0))
        return [f"{source}.dq", f"{name}.weight", f"{name}.bias"]

    def conv(self, name: str, source: str, layer: Conv, *, relu: bool = False) -> None:
        k = layer.kernel
        weight = layer.weight.value.reshape(k, k, -1, layer.bias.value.size).transpose(3, 2, 0, 1)
        operands = self.parameters(name, source, weight, layer.bias.value)
        output = f"{name}.sum" if relu else name
        self.node("Conv", operands, output, quantised=False, kernel_shape=[k, k], pads=[k // 2] * 4, strides=[1, 1])
        if relu:
            self.node("Relu", [output], name, quantised=False)
        self.store(name, name)

    def pool(self, operator: str, name: str, source: str, like: str | None = None) -> None:
        self.node(operator, [source], name, kernel_shape=[2, 2], strides=[2, 2])
        self.store(name, name, like)

    def dense(self, name: str, source: str, layer: Dense) -> None:
        # The network flattens [H][W][C]; ONNX flattens [C][H][W].
        weight = layer.weight.value.reshape(2, 2, 32, -1).transpose(3, 2, 0, 1).reshape(-1, layer.weight.value.shape[0])
        self.node("Gemm", self.parameters(name, source, weight, layer.bias.value), name, quantised=False, transB=1)
        self.store(name, name)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "digits",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
            self.constants,
        )
        model = helper.make_model(graph, producer_name="tilewright", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model
