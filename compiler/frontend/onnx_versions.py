"""Nodes of older operator sets in the newest form, so that operators know one form only."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedOperator
from ..graph import Node, Value

__all__ = ["newest_form"]

# Attributes that became inputs, in the order of the inputs, which start at the given place.
_MOVED: dict[str, tuple[int, tuple[str, ...]]] = {
    "Clip": (1, ("min", "max")),
    "Squeeze": (1, ("axes",)),
    "Unsqueeze": (1, ("axes",)),
    "Slice": (1, ("starts", "ends", "axes")),
    "Pad": (1, ("pads", "value")),
    "Split": (1, ("split",)),
    "TopK": (1, ("k",)),
    "Dropout": (1, ("ratio",)),
    "Upsample": (1, ("scales",)),
    **{
        f"Reduce{name}": (1, ("axes",))
        for name in ("Sum", "Mean", "Prod", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
    },
}
_BROADCAST_LATER = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater")
_FLOATS = ("min", "max", "value", "ratio", "scales")


def newest_form(node: Node, opset: int) -> tuple[Node, list[Value]]:
    """The node as the newest operator set writes it, and the constants that it reads now."""
    attributes, inputs, made = dict(node.attributes), list(node.inputs), list[Value]()
    if node.operator in _MOVED:
        first, names = _MOVED[node.operator]
        present = [name for name in names if name in attributes]
        if present and len(inputs) <= first:
            for name in names:
                inputs.append(_constant(node, name, attributes.pop(name), made) if name in attributes else "")
    if node.operator in ("Softmax", "LogSoftmax", "Hardmax") and opset < 13:
        attributes.setdefault("axis", 1)
        attributes["flatten"] = 1
    if opset < 7 and node.operator in _BROADCAST_LATER and attributes.pop("broadcast", 0) and "axis" in attributes:
        raise UnsupportedOperator(
            f"operator {node.operator} (node {node.name!r}): its axis must be left out before operator set 7"
        )
    if node.operator == "Upsample" or (node.operator == "Resize" and opset < 11):
        attributes.update(coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    if node.operator in ("BatchNormalization", "Dropout", "Resize", "Upsample", "PRelu", "DFT", "RoiAlign"):
        attributes["opset"] = opset
    return node.replace(inputs=tuple(inputs), attributes=attributes), made


def _constant(node: Node, key: str, value: Any, made: list[Value]) -> str:
    name = f"{node.outputs[0]}/{key}"
    made.append(Value.constant(name, np.array(value, dtype=np.float32 if key in _FLOATS else np.int64)))
    return name
