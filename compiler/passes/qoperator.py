"""Operators that work on integers in the model itself become DequantizeLinear, the float operator, QuantizeLinear.

Then there is one road to the accelerator. ONNX has QLinearConv and QLinearMatMul, ONNX Runtime's domain com.microsoft
the others; both list scale and zero point behind each tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph, Node, Value
from ..ops.registry import refuse

__all__ = ["CONTRIBUTED", "enclose_integers", "expand_qoperators"]


@dataclass(frozen=True)
class _Form:
    """How an operator's inputs are laid out; scale and zero point stand behind each quantised tensor.

    Members
    -------
    twin
        The operator on real numbers.
    tensors
        Places of the quantised inputs.
    scale
        Place of the result's scale, with the zero point behind it.
    plain
        Places of inputs that stay, before the others.
    bias
        Place of an int32 bias in units of the product of both inputs' scales.
    """

    twin: str
    tensors: tuple[int, ...]
    scale: int
    plain: tuple[int, ...] = ()
    bias: int | None = None


_STANDARD = {
    "QLinearConv": _Form("Conv", (0, 3), 6, bias=8),
    "QLinearMatMul": _Form("MatMul", (0, 3), 6),
}
_CONTRIBUTED = {
    "QGemm": _Form("Gemm", (0, 3), 7, bias=6),
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3),
    "QLinearAveragePool": _Form("AveragePool", (0,), 3),
    "QLinearReduceMean": _Form("ReduceMean", (0,), 3),
    "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
    "QLinearSoftmax": _Form("Softmax", (0,), 3),
    "QLinearWhere": _Form("Where", (1, 4), 7, plain=(0,)),
    "QLinearConcat": _Form("Concat", (), 0),
}
CONTRIBUTED = tuple(_CONTRIBUTED)


def expand_qoperators(graph: Graph, *, contributed_only: bool = False) -> Graph:
    """Before shapes are known; ONNX's own stay where the accelerator can't do them or with `contributed_only`."""
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        form = _CONTRIBUTED.get(node.operator) or (None if contributed_only else _STANDARD.get(node.operator))
        if form is None or (node.operator in _STANDARD and not _has_constant_weights(node, values)):
            nodes.append(node)
        else:
            nodes += _Expansion(node, form, values).run()
    return graph.edit(nodes=nodes, values=values.values())


def _has_constant_weights(node: Node, values: Mapping[str, Value]) -> bool:
    """Of an image's convolution or a matrix, and all scales and zero points constant."""
    weight = values[node.inputs[3]].data
    constants = [values[name].data for place, name in enumerate(node.inputs) if place and name]
    rank = 4 if node.operator == "QLinearConv" else 2
    return weight is not None and weight.ndim == rank and all(data is not None for data in constants)


class _Expansion:
    """One node's; `values` gets what is new."""

    def __init__(self, node: Node, form: _Form, values: dict[str, Value]) -> None:
        self.node = node
        self.form = form
        self.values = values
        self.nodes: list[Node] = []
        self.result = node.outputs[0]

    def run(self) -> list[Node]:
        node, form = self.node, self.form
        if node.get("channels_last", 0):
            raise refuse(node, "its channels_last must be 0")
        tensors = form.tensors or tuple(range(2, len(node.inputs), 3))
        reals = [self._dequantised(place, axis=self._axis(place)) for place in tensors]
        inputs = [*(node.inputs[place] for place in form.plain), *reals]
        if form.bias is not None and self._given(form.bias):
            inputs.append(self._bias(form.bias))
        attributes = {
            key: value
            for key, value in node.attributes.items()
            if key not in ("channels_last", "opset", "axes", "alpha" if node.operator == "QGemm" else "")
        }
        if form.twin == "Softmax" and node.get("opset", 13) < 13:
            attributes["flatten"] = 1
        if "axes" in node.attributes:
            inputs.append(self._constant("axes", np.array(node["axes"], np.int64)))
        quantised = self._given(form.scale)
        real = self._value("real") if quantised else self.result
        self.nodes.append(Node(node.name, form.twin, tuple(inputs), (real,), attributes))
        if quantised:
            parameters = (node.inputs[form.scale], self._zero_of_result(tensors))
            quantiser = f"{node.name}/quantise"
            self.nodes.append(Node(quantiser, "QuantizeLinear", (real, *parameters), node.outputs))
        return self.nodes

    def _given(self, place: int) -> str:
        """The input's name, empty where it is left out."""
        return self.node.inputs[place] if place < len(self.node.inputs) else ""

    def _data(self, place: int) -> np.ndarray | None:
        name = self._given(place)
        return self.values[name].data if name else None

    def _value(self, what: str) -> str:
        name = f"{self.result}/{what}"
        self.values[name] = Value(name)
        return name

    def _constant(self, what: str, data: np.ndarray) -> str:
        name = f"{self.result}/{what}"
        self.values[name] = Value.constant(name, data)
        return name

    def _axis(self, place: int) -> int:
        """Along which the scales of an input may differ."""
        weight = place == 3
        if self.node.operator == "QLinearConv" or (self.node.operator == "QGemm" and self.node.get("transB", 0)):
            return 0 if weight else 1
        return 1

    def _dequantised(self, place: int, axis: int) -> str:
        name = self._value(f"real{place}")
        parameters = self._parameters(place)
        inputs = (self.node.inputs[place], *parameters)
        self.nodes.append(Node(f"{self.node.name}/real{place}", "DequantizeLinear", inputs, (name,), {"axis": axis}))
        return name

    def _parameters(self, place: int) -> Sequence[str]:
        """Scale and zero point, of one shape where both are constants; alpha is a part of the weights' scale."""
        scale, zero = self._data(place + 1), self._data(place + 2)
        names = [name for name in (self._given(place + 1), self._given(place + 2)) if name]
        alpha = self.node.get("alpha", 1.0) if self.node.operator == "QGemm" and place == 3 else 1.0
        if scale is None or (zero is None and len(names) > 1):
            if alpha != 1.0:
                raise refuse(self.node, "its weights' scale must be a constant where alpha is not 1")
            return names
        scale = (scale * np.float32(alpha)).astype(scale.dtype)
        arrays = np.broadcast_arrays(*(_flat(array) for array in (scale, zero) if array is not None))
        return [
            self._constant(f"{what}{place}", np.ascontiguousarray(array))
            for what, array in zip(("scale", "zero_point"), arrays, strict=False)
        ]

    def _bias(self, place: int) -> str:
        """The bias as a dequantised constant, or computed."""
        first, second = (self._data(position) for position in (1, 4))
        if first is None or second is None:
            raise refuse(self.node, "its inputs' scales must be constants")
        alpha = self.node.get("alpha", 1.0) if self.node.operator == "QGemm" else 1.0
        units = _flat(np.asarray(first.reshape(()) * second * np.float32(alpha), np.float32))
        bias = self._data(place)
        source = self.node.inputs[place]
        if bias is not None:
            source = self._constant("bias", bias.reshape(-1) if bias.size == bias.shape[-1] else bias)
        name, scale = self._value("real_bias"), self._constant("bias_scale", units)
        rank = 1 if bias is None else self.values[source].data.ndim  # type: ignore[union-attr]
        axis = {"axis": rank - 1}
        self.nodes.append(Node(f"{self.node.name}/bias", "DequantizeLinear", (source, scale), (name,), axis))
        return name

    def _zero_of_result(self, tensors: Sequence[int]) -> str:
        """Zero of the inputs' kind where none is given."""
        given = self._given(self.form.scale + 1)
        if given:
            return given
        zeros = [zero for place in tensors if (zero := self._data(place + 2)) is not None]
        return self._constant("zero_point", np.zeros((), zeros[0].dtype if zeros else np.uint8))


def _flat(parameter: np.ndarray) -> np.ndarray:
    return parameter.reshape(()) if parameter.size == 1 else parameter.reshape(-1)


def enclose_integers(graph: Graph) -> Graph:
    """MaxPool and Pad of 8-bit integers work on real numbers, each integer standing for itself."""
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        whole = node.operator in ("MaxPool", "Pad") and len(node.outputs) == 1
        if whole and values[node.inputs[0]].dtype in (np.int8, np.uint8):
            nodes += _enclosed(node, values)
        else:
            nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _enclosed(node: Node, values: dict[str, Value]) -> list[Node]:
    data, result = values[node.inputs[0]], values[node.outputs[0]]

    def add(value: Value) -> str:
        values[value.name] = value
        return value.name

    def constant(what: str, content: Any) -> str:
        return add(Value.constant(f"{result.name}/{what}", np.asarray(content)))

    parameters = (constant("scale", np.float32(1)), constant("zero_point", np.zeros((), data.known_dtype)))
    before = add(Value(f"{result.name}/real_input", data.shape, np.dtype(np.float32)))
    after = add(Value(f"{result.name}/real", result.shape, np.dtype(np.float32)))
    rest = list(node.inputs[1:])
    fill = values[rest[1]].data if node.operator == "Pad" and len(rest) > 1 and rest[1] else None
    if fill is not None:
        rest[1] = constant("value", fill.astype(np.float32))
    return [
        Node(f"{node.name}/real_input", "DequantizeLinear", (data.name, *parameters), (before,)),
        node.replace(inputs=(before, *rest), outputs=(after,)),
        Node(f"{node.name}/quantise", "QuantizeLinear", (after, *parameters), node.outputs),
    ]
