"""Where the accelerator would read the model's inputs or write its results, the host hands over."""

from __future__ import annotations

from ...errors import TilewrightError
from ..graph import Graph, Node
from ..ops import find_operator

__all__ = ["isolate_edges"]


def isolate_edges(graph: Graph, *, accelerate: bool = True) -> Graph:
    """Put an Identity between the accelerator and every input and output of the model: those are dense, not blocked.

    A constant output is copied likewise.

    Raises
    ------
    TilewrightError
        An output is an input.
    """
    accelerated = [node for node in graph.nodes if accelerate and find_operator(node).accelerated]
    read = {name for node in accelerated for name in node.inputs}
    written = {name for node in accelerated for name in node.outputs}
    values, before, after, renamed = dict(graph.values), [], [], {}
    for name in graph.inputs:
        if name in read:
            inner = renamed[name] = f"{name}/inside"
            values[inner] = values[name].replace(name=inner)
            before.append(Node(f"{name}/input", "Identity", (name,), (inner,)))
    for name in dict.fromkeys(graph.outputs):
        if name in graph.inputs:
            raise TilewrightError(f"output {name!r} must be computed, but it is an input of model {graph.name}")
        if name in written or name in read or graph.values[name].data is not None:
            inner = renamed[name] = f"{name}/inside"
            values[inner] = values[name].replace(name=inner)
            values[name] = values[name].replace(data=None)
            after.append(Node(f"{name}/output", "Identity", (inner,), (name,)))
    if not renamed:
        return graph

    def moved(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(renamed.get(name, name) for name in names)

    inputs = set(graph.inputs)
    nodes = [
        node.replace(inputs=moved(node.inputs), outputs=moved(node.outputs))
        for node in graph.nodes
        if not inputs.intersection(node.outputs)
    ]
    return graph.edit(nodes=[*before, *nodes, *after], values=values.values())
