"""Operators that ONNX defines as functions of others, replaced by those where the compiler has none of its own."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import defs, inliner, shape_inference

from ..ops.registry import is_known

__all__ = ["expand_functions"]

_DEEPEST = 8  # functions that call functions


def expand_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without nodes that stand for a function: local ones, and ONNX's own that the registry lacks."""
    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except Exception:  # onnx raises many kinds for broken models
            return model
    for _ in range(_DEEPEST):
        names = {node.op_type for node in model.graph.node if _expandable(node)}
        if not names:
            break
        try:
            model = shape_inference.infer_shapes(_with_defaults(model))
            model = inliner.inline_selected_functions(
                model, [("", name) for name in sorted(names)], inline_schema_functions=True
            )
        except Exception:  # onnx raises many kinds for broken models
            break  # or a body that needs what the model does not say; the operator is refused by its name
    return model


def _with_defaults(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every function's node with all its attributes: the inliner does not know their defaults."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    for node in copy.graph.node:
        if _expandable(node):
            stated = {attribute.name for attribute in node.attribute}
            for name, attribute in defs.get_schema(node.op_type, version).attributes.items():
                if name not in stated and attribute.default_value.type:
                    node.attribute.append(attribute.default_value)
    return copy


def _expandable(node: onnx.NodeProto) -> bool:
    if not isinstance(node.op_type, str) or node.domain not in ("", "ai.onnx") or is_known(node.op_type):
        return False
    if not defs.has(node.op_type):
        return False
    schema: Any = defs.get_schema(node.op_type)
    return bool(schema.has_function or schema.has_context_dependent_function)
