"""A graph as an ONNX model: for looking at it, and for running it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...errors import TilewrightError
from ..graph import Graph, Node, Value

__all__ = ["to_onnx"]

_OPSET = 21
_IR_VERSION = 10


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """`graph` in the standard QDQ form, operator set 21; images have their channels first.

    Raises
    ------
    TilewrightError
        It has an operator that this operator set lacks.
    """
    nodes = [proto for node in graph.nodes for proto in _nodes(graph, node)]
    used = {name for proto in nodes for name in proto.input}
    constants = [_constant(value) for value in graph.values.values() if value.data is not None and value.name in used]
    constants += _flat_shapes(graph)
    inputs, outputs = ([_end(graph.values[name]) for name in names] for names in (graph.inputs, graph.outputs))
    made = helper.make_graph(nodes, graph.name, inputs, outputs, constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())
        raise TilewrightError(f"model {graph.name} must fit ONNX's operator set {_OPSET}, but: {reason}") from None
    return model


def _nodes(graph: Graph, node: Node) -> Iterator[onnx.NodeProto]:
    """`node`, with what older operator sets meant spelt out: a softmax over several dimensions flattens them."""
    if not node.get("flatten", 0):
        yield _node(node)
        return
    flat, result = f"{node.outputs[0]}/flat", f"{node.outputs[0]}/rows"
    yield helper.make_node("Flatten", [node.inputs[0]], [flat], f"{node.name}/flatten", axis=node.get("axis", 1))
    yield helper.make_node(node.operator, [flat], [result], node.name, axis=-1)
    yield helper.make_node("Reshape", [result, _flat_shape(node)], [node.outputs[0]], f"{node.name}/restore")


def _flat_shape(node: Node) -> str:
    return f"{node.outputs[0]}/shape"


def _flat_shapes(graph: Graph) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.array(graph.values[node.outputs[0]].known_shape, np.int64), _flat_shape(node))
        for node in graph.nodes
        if node.get("flatten", 0)
    ]


def _node(node: Node) -> onnx.NodeProto:
    try:
        known = onnx.defs.get_schema(node.operator, _OPSET).attributes
    except onnx.defs.SchemaError:
        raise TilewrightError(
            f"operator {node.operator} (node {node.name!r}) must be of ONNX's operator set {_OPSET} to be written"
        ) from None
    attributes = {key: _attribute(value) for key, value in node.attributes.items() if key in known}
    return helper.make_node(node.operator, list(node.inputs), list(node.outputs), node.name, **attributes)


def _attribute(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return numpy_helper.from_array(value)
    return list(value) if isinstance(value, tuple) else value


def _constant(value: Value) -> onnx.TensorProto:
    assert value.data is not None
    return numpy_helper.from_array(value.data, value.name)


def _end(value: Value) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.known_dtype)
    return helper.make_tensor_value_info(value.name, kind, value.known_shape)
