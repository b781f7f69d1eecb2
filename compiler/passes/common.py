"""Common subexpressions."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..graph import Graph, Node, Value

__all__ = ["merge_common"]


def merge_common(graph: Graph) -> Graph:
    """Of nodes that compute the same from the same, constants by content, keep the first.

    What leaves the graph stays, and so do nodes with attributes that can't be compared.
    """
    constants = {name: _content(value) for name, value in graph.values.items() if value.data is not None}
    first: dict[Hashable, Node] = {}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = node.replace(inputs=tuple(renamed.get(name, name) for name in node.inputs))
        key = _key(node, constants)
        same = None if key is None else first.setdefault(key, node)
        if same in (None, node) or not set(graph.outputs).isdisjoint(node.outputs):
            nodes.append(node)
        else:
            renamed |= dict(zip(node.outputs, same.outputs, strict=True))
    return graph.edit(nodes=nodes)


def _content(value: Value) -> Hashable:
    assert value.data is not None
    if value.data.dtype == object:
        return value.name
    data = np.ascontiguousarray(value.data)
    return data.dtype.str, data.shape, hashlib.sha256(data.data).digest()


def _key(node: Node, constants: Mapping[str, Hashable]) -> Hashable | None:
    attributes = frozenset((name, _frozen(value)) for name, value in node.attributes.items())
    if any(value is None for _, value in attributes):
        return None
    return node.operator, len(node.outputs), tuple(constants.get(name, name) for name in node.inputs), attributes


def _frozen(value: Any) -> Hashable | None:
    """Equal only where the attributes are; None for kinds that are not known."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, tuple | list):
        items = tuple(_frozen(item) for item in value)
        return None if any(item is None for item in items) else items
    return (type(value).__name__, repr(value)) if isinstance(value, int | float | str | bytes | np.generic) else None
