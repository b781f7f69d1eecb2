"""What program files can hold."""

from __future__ import annotations

from ..errors import UnsupportedOperator
from ..isa.program import DTYPES
from .graph import Graph

__all__ = ["require_storable"]


def require_storable(graph: Graph) -> None:
    """Refuse inputs and outputs of types that program files do not have.

    Raises
    ------
    UnsupportedOperator
        There is one; the message names it and an operator that uses it.
    """
    for name in (*graph.inputs, *graph.outputs):
        dtype = graph.values[name].known_dtype.name
        if dtype not in DTYPES:
            user = next((node for node in graph.nodes if name in (*node.inputs, *node.outputs)), None)
            what = f"operator {user.operator} (node {user.name!r})" if user else f"model {graph.name}"
            raise UnsupportedOperator(f"{what}: {name!r} must be one of {', '.join(DTYPES)}, not {dtype}")
