"""What must hold of every graph between passes."""

from ...errors import TilewrightError
from .ir import Graph

__all__ = ["GraphError", "verify"]


class GraphError(TilewrightError):
    """A graph breaks a rule: a broken model, or a mistake of a pass, which `stage` names."""


def verify(graph: Graph, *, stage: str, typed: bool = False) -> None:
    """Check names, single assignment and order; with `typed`, that every value has shape and dtype.

    Raises
    ------
    GraphError
        The first rule that is broken, with the value or node.
    """
    defined = {name for name, value in graph.values.items() if value.data is not None}
    for name in graph.inputs:
        if name in defined:
            raise GraphError(f"input {name!r} must not be a constant too (after {stage})")
        defined.add(name)
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in defined:
                raise GraphError(
                    f"node {node.name!r} ({node.operator}) reads {name!r}, which nothing defines (after {stage})"
                )
        for name in node.outputs:
            if name in defined:
                raise GraphError(
                    f"value {name!r} must be defined once, but node {node.name!r} defines it again (after {stage})"
                )
            if name not in graph.values:
                raise GraphError(f"value {name!r} of node {node.name!r} is not in the graph (after {stage})")
            defined.add(name)
    for name in graph.outputs:
        if name not in defined:
            raise GraphError(f"output {name!r} is never computed (after {stage})")
    _verify_values(graph, defined, stage, typed)


def _verify_values(graph: Graph, defined: set[str], stage: str, typed: bool) -> None:
    for name in defined:
        value = graph.values[name]
        if value.name != name:
            raise GraphError(f"value {value.name!r} is filed under {name!r} (after {stage})")
        if value.data is not None and (value.data.shape != value.shape or value.data.dtype != value.dtype):
            raise GraphError(f"constant {name!r} does not have its own shape and type (after {stage})")
        if typed and (value.shape is None or value.dtype is None):
            raise GraphError(f"value {name!r} has no shape or type (after {stage})")
        if value.shape is not None and any(size < 0 for size in value.shape):
            raise GraphError(f"value {name!r} must have no negative size, not {list(value.shape)} (after {stage})")
