"""Which node runs where."""

from ..graph import Graph, Node
from ..ops import find_operator

__all__ = ["partition"]


def partition(graph: Graph, *, accelerate: bool = True) -> Graph:
    """Set every node's target, and order nodes so that the target changes as seldom as a greedy choice allows.

    Without `accelerate` everything runs on the host.
    """
    targets = {
        id(node): "accelerator" if accelerate and find_operator(node).accelerated else "host" for node in graph.nodes
    }
    waiting = {id(node): {name for name in node.inputs if name in graph.producers} for node in graph.nodes}
    pending, ordered, target = list(graph.nodes), [], "host"
    while pending:
        ready = [node for node in pending if not waiting[id(node)]]
        node = next((node for node in ready if targets[id(node)] == target), ready[0])
        target = targets[id(node)]
        pending.remove(node)
        ordered.append(node.replace(target=target))
        _complete(graph, node, waiting)
    return graph.edit(nodes=ordered)


def _complete(graph: Graph, node: Node, waiting: dict[int, set[str]]) -> None:
    for output in node.outputs:
        for reader in graph.consumers.get(output, []):
            waiting[id(reader)].discard(output)
