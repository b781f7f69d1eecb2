"""What a model is made of, and where each part of it would run."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from .graph import Graph, Node
from .ops import find_operator
from .ops.registry import shown_name
from .ops.shape import RESHAPES
from .passes.manager import run_passes
from .pipeline import passes_for

__all__ = ["LayerPlan", "inspect_graph"]

_MOVEMENTS = (*RESHAPES, "Transpose", "Identity", "im2col", "flip_sign")


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """One layer as it would be compiled.

    Members
    -------
    target
        ``"accelerator"`` or ``"host"``.
    parameters
        Elements of its weights and biases.
    reason
        Why it is not on the accelerator; empty where it is.
    """

    name: str
    operator: str
    target: str
    macs: int
    parameters: int
    shape: tuple[int, ...]
    reason: str


def inspect_graph(graph: Graph, config: Config) -> list[LayerPlan]:
    """The layers of a model in their order.

    Raises
    ------
    UnsupportedOperator
        Something can run nowhere.
    """
    lowered = run_passes(graph, passes_for(config))
    return [_plan(lowered, node) for node in lowered.nodes]


def _plan(graph: Graph, node: Node) -> LayerPlan:
    arguments = graph.arguments(node)
    results = [graph.values[name] for name in node.outputs]
    macs = find_operator(node).macs(node, arguments, results)
    sizes = [value.data.size for value in arguments if value is not None and value.data is not None]
    return LayerPlan(
        name=node.name,
        operator=shown_name(node),
        target=node.target,
        macs=macs,
        parameters=sum(sizes) if macs else 0,
        shape=results[0].known_shape,
        reason="" if node.target == "accelerator" else _reason(graph, node),
    )


def _reason(graph: Graph, node: Node) -> str:
    if node.reason:
        return node.reason
    if node.operator in _MOVEMENTS:
        return "only moves elements"
    values = [value for value in graph.arguments(node) if value is not None and value.data is None]
    if any(value.known_dtype.kind == "f" for value in (*values, *(graph.values[name] for name in node.outputs))):
        return "works on real numbers"
    return "no instruction computes it"
