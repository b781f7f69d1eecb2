"""What a measured time depends on, as text: the keys of the database."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import digest_of_files
from ..graph import Graph, Node
from ..placement import Placement
from ..schedule.layout import Blocked

__all__ = ["compiler_version", "network_key", "window_key"]

_PARTS = ("graph/", "ops/", "schedule/", "te/", "tuning/")
_PACKAGE = Path(__file__).parents[2]
_SOURCES = ("config.py", "isa/*.py", *(f"compiler/{part}*.py" for part in ("", *_PARTS)))
_VALUES = ("zero", "minimum", "maximum", "requantiser", "table")  # of attributes: no time depends on them


@functools.cache
def compiler_version() -> str:
    """16 hexadecimal digits that stand for the sources from which schedules come."""
    return digest_of_files(_PACKAGE, _SOURCES)


def network_key(graph: Graph) -> str:
    """32 hexadecimal digits that stand for a lowered graph with all its constants."""
    digest = hashlib.sha256()
    for node in graph.nodes:
        _add(digest, (node.name, node.operator, node.inputs, node.outputs, node.attributes, node.target))
    for name, value in graph.values.items():
        _add(digest, (name, value.shape, value.dtype, value.data))
    _add(digest, (graph.inputs, graph.outputs))
    return digest.hexdigest()[:32]


def _add(digest: Any, value: Any) -> None:
    """Feed `value` to a hash, so that different values feed different bytes."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).data if value.size else b"")
    elif is_dataclass(value) and not isinstance(value, type):
        _add(digest, [type(value).__name__, *(getattr(value, field.name) for field in fields(value))])
    elif isinstance(value, Mapping):
        _add(digest, [item for pair in sorted(value.items()) for item in pair])
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)} of\n".encode())
        for each in value:
            _add(digest, each)
    else:
        digest.update(f"{value!r}\n".encode())


def window_key(
    placement: Placement, first: int, nodes: Sequence[Node], made: Sequence[Sequence[Any]], asked: tuple[int, int]
) -> str:
    """What the time of `nodes`, neighbours in the part that begins at node `first`, depends on; one line for each.

    Left out is what lies in weights, except whether 8 bits hold it, and addresses in DRAM.

    Parameters
    ----------
    made
        Their decisions.
    asked
        The node and the number of its choice that is open.
    """
    division = placement.divisions[first]
    lines = [f"choice {asked[1]} of line {asked[0] + 1}, {division.constants} granules of constants"]
    for node, decisions in zip(nodes, made, strict=True):
        what = [f"{name}={_plain(value)}" for name, value in sorted(node.attributes.items()) if _matters(name)]
        places = [_place(placement, name) for name in (*node.inputs, "->", *node.outputs) if name]
        limit = f"below {division.limits[node.name]}"
        lines.append(" ".join([node.operator, *what, *places, limit, *map(str, decisions)]))
    return "\n".join(lines)


def _matters(attribute: str) -> bool:
    return not any(word in attribute for word in _VALUES)


def _plain(value: Any) -> str:
    return str(value.tolist() if isinstance(value, np.ndarray) else value)


def _place(placement: Placement, name: str) -> str:
    if name == "->":
        return name
    value = placement.graph.values[name]
    shape = "x".join(map(str, value.known_shape))
    if value.data is not None:
        data = value.data
        wide = data.size and data.dtype.kind == "i" and (data.min() < -128 or data.max() > 127)
        return f"{value.known_dtype}[{shape}]{' wide' if wide and data.ndim == 4 else ''}"
    return f"[{shape}]{_where(placement.tensors[name])}"


def _where(tensor: Blocked) -> str:
    place = tensor.resident
    if place is None:
        return ""
    frame = f"@{place.base}:{place.height}x{place.width}+{place.top}+{place.left}"
    return frame + ("" if tensor.stored else " only")
