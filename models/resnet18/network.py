"""ResNet-18 (He et al. 2015) with random weights: the network in floating point, and its convolutions by name.

Normalisations are folded into the convolutions, as in every network that is deployed. Layers have torchvision's names:
``layer2.0.conv1`` is the first convolution of the second stage's first block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CLASSES", "INPUT", "LAYERS", "Convolution", "layer_model", "network_model"]

INPUT = "image"
CLASSES = 1000
_OPSET = 17
_IR_VERSION = 8
_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution of the network for images of 224×224.

    Members
    -------
    size
        Height and width of what it reads.
    count
        How often the network has it.
    """

    size: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    count: int

    @property
    def macs(self) -> int:
        return (self.size // self.stride) ** 2 * self.inputs * self.outputs * self.kernel**2


LAYERS = {
    "C2": Convolution(size=56, inputs=64, outputs=64, kernel=3, stride=1, count=4),
    "C3": Convolution(size=56, inputs=64, outputs=128, kernel=3, stride=2, count=1),
    "C4": Convolution(size=56, inputs=64, outputs=128, kernel=1, stride=2, count=1),
    "C5": Convolution(size=28, inputs=128, outputs=128, kernel=3, stride=1, count=3),
    "C6": Convolution(size=28, inputs=128, outputs=256, kernel=3, stride=2, count=1),
    "C7": Convolution(size=28, inputs=128, outputs=256, kernel=1, stride=2, count=1),
    "C8": Convolution(size=14, inputs=256, outputs=256, kernel=3, stride=1, count=3),
    "C9": Convolution(size=14, inputs=256, outputs=512, kernel=3, stride=2, count=1),
    "C10": Convolution(size=14, inputs=256, outputs=512, kernel=1, stride=2, count=1),
    "C11": Convolution(size=7, inputs=512, outputs=512, kernel=3, stride=1, count=3),
}


def network_model(*, seed: int, size: int) -> onnx.ModelProto:
    """The whole network, float32: ``image`` [1, 3, size, size] to ``logits`` [1, 1000].

    Weights are normally distributed with He's variance, 2 over the inputs of an output; those that end a residual
    branch with half of it, so that sums of branches grow slowly.
    """
    b = _Builder(np.random.default_rng(seed))
    x = b.conv("conv1", INPUT, 3, 64, 7, stride=2, relu=True)
    x = b.node("MaxPool", "maxpool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = 64
    for stage, width in enumerate(_WIDTHS, start=1):
        for block in range(_BLOCKS):
            stride = 2 if stage > 1 and block == 0 else 1
            x = b.block(f"layer{stage}.{block}", x, inputs, width, stride)
            inputs = width
    x = b.node("Flatten", "flatten", b.node("GlobalAveragePool", "avgpool", x), axis=1)
    b.dense("fc", x, inputs, CLASSES)
    return b.model("resnet18", (3, size, size), "fc", (CLASSES,))


def layer_model(layer: str, *, seed: int) -> onnx.ModelProto:
    """One of `LAYERS` alone with its ReLU, float32."""
    c = LAYERS[layer]
    b = _Builder(np.random.default_rng(seed))
    result = b.conv(layer, INPUT, c.inputs, c.outputs, c.kernel, stride=c.stride, relu=True)
    after = c.size // c.stride
    return b.model(layer, (c.inputs, c.size, c.size), result, (c.outputs, after, after))


@dataclass
class _Builder:
    random: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def _normal(self, name: str, shape: tuple[int, ...], spread: float) -> str:
        values = (self.random.standard_normal(shape) * spread).astype(np.float32)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(
        self, name: str, x: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = False
    ) -> str:
        variance = (2.0 if relu else 1.0) / (inputs * kernel**2)
        weight = self._normal(f"{name}.weight", (outputs, inputs, kernel, kernel), variance**0.5)
        bias = self._normal(f"{name}.bias", (outputs,), 0.1)
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        y = self.node("Conv", name, x, weight, bias, **shape)
        return self.node("Relu", f"{name}.relu", y) if relu else y

    def block(self, name: str, x: str, inputs: int, outputs: int, stride: int) -> str:
        y = self.conv(f"{name}.conv1", x, inputs, outputs, 3, stride=stride, relu=True)
        y = self.conv(f"{name}.conv2", y, outputs, outputs, 3)
        if stride > 1 or inputs != outputs:
            x = self.conv(f"{name}.downsample", x, inputs, outputs, 1, stride=stride)
        return self.node("Relu", f"{name}.relu", self.node("Add", f"{name}.add", y, x))

    def dense(self, name: str, x: str, inputs: int, outputs: int) -> str:
        weight = self._normal(f"{name}.weight", (outputs, inputs), inputs**-0.5)
        return self.node("Gemm", name, x, weight, self._normal(f"{name}.bias", (outputs,), 0.1), transB=1)

    def model(self, name: str, image: tuple[int, int, int], result: str, shape: tuple[int, ...]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, (1, *image))],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, (1, *shape))],
            self.constants,
        )
        return helper.make_model(
            graph,
            producer_name="tilewright",
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
