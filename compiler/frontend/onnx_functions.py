"""Operators that ONNX defines as functions of others, replaced by those where the compiler has none of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx
from onnx import defs, helper, inliner, shape_inference

from ...errors import TilewrightError
from ..ops.registry import is_known

__all__ = ["expand_functions"]

_DEEPEST = 8  # functions that call functions
_DEEPEST_LOCAL = 64
_MOST_NODES = 1 << 16
_SMALL = 1024  # bytes of a constant that may matter for shapes


def expand_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without nodes that stand for a function: local ones, and ONNX's own that the registry lacks.

    Where onnx can't expand a node, as in broken models, it stays and is refused by its name.

    Raises
    ------
    TilewrightError
        Functions of the model call themselves, or make too many nodes.
    """
    if not model.functions and not any(map(_expandable, model.graph.node)):
        return model
    _require_bounded(model)
    large = [tensor for tensor in model.graph.initializer if tensor.ByteSize() > _SMALL]
    try:
        expanded = _expanded(_without(model, {tensor.name for tensor in large}))
    except Exception:  # onnx raises many kinds for broken models
        return model
    expanded.graph.initializer.extend(large)
    return expanded


def _expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    if model.functions:
        model = inliner.inline_local_functions(model)
    for _ in range(_DEEPEST):
        names = {node.op_type for node in model.graph.node if _expandable(node)}
        if not names:
            break
        _state_defaults(model)
        typed = shape_inference.infer_shapes(model)
        try:
            model = inliner.inline_selected_functions(
                typed, [("", name) for name in sorted(names)], inline_schema_functions=True
            )
        except RuntimeError:
            break  # a body that needs what the model does not say
    return model


def _require_bounded(model: onnx.ModelProto) -> None:
    """onnx expands without end what calls itself."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size_of(nodes: Iterable[onnx.NodeProto], callers: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in callers or len(callers) > _DEEPEST_LOCAL:
                raise TilewrightError(
                    f"function {node.op_type!r} must not call itself, and calls must not be nested more than "
                    f"{_DEEPEST_LOCAL} deep"
                )
            if key in bodies and key not in sizes:
                sizes[key] = size_of(bodies[key], (*callers, key))
            total += sizes.get(key, 1)
        return total

    count = size_of(model.graph.node, ())
    if count > _MOST_NODES:
        raise TilewrightError(f"functions must expand to at most {_MOST_NODES} nodes, not {count}")


def _without(model: onnx.ModelProto, large: set[str]) -> onnx.ModelProto:
    """A copy without the constants named, but with the type of every constant: the inliner looks for it."""
    copy, graph = onnx.ModelProto(), onnx.GraphProto()
    for tensor in model.graph.initializer:
        graph.value_info.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        if tensor.name not in large:
            graph.initializer.append(tensor)
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    graph.name = model.graph.name
    copy.graph.CopyFrom(graph)
    copy.ir_version = model.ir_version
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    return copy


def _state_defaults(model: onnx.ModelProto) -> None:
    """Every function's node gets all its attributes: the inliner does not know their defaults."""
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    for node in model.graph.node:
        if _expandable(node):
            stated = {attribute.name for attribute in node.attribute}
            for name, attribute in defs.get_schema(node.op_type, version).attributes.items():
                if name not in stated and attribute.default_value.type:
                    node.attribute.append(attribute.default_value)


def _expandable(node: onnx.NodeProto) -> bool:
    if not isinstance(node.op_type, str) or node.domain not in ("", "ai.onnx") or is_known(node.op_type):
        return False
    if not defs.has(node.op_type):
        return False
    schema: Any = defs.get_schema(node.op_type)
    return bool(schema.has_function or schema.has_context_dependent_function)
