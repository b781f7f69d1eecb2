"""The graph that frontends make, passes rewrite and schedules read."""

from .ir import Graph, Node, Quantisation, Value
from .text import format_graph
from .verify import GraphError, verify

__all__ = ["Graph", "GraphError", "Node", "Quantisation", "Value", "format_graph", "verify"]
