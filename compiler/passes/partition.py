"""Which node runs where."""

from collections.abc import Iterator
from heapq import heappop, heappush

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
    places = {id(node): place for place, node in enumerate(graph.nodes)}
    ready: dict[str, list[int]] = {"host": [], "accelerator": []}
    for node in graph.nodes:
        if not waiting[id(node)]:
            heappush(ready[targets[id(node)]], places[id(node)])
    ordered, target = list[Node](), "host"
    while any(ready.values()):
        if not ready[target]:
            target = "accelerator" if target == "host" else "host"
        node = graph.nodes[heappop(ready[target])]
        ordered.append(node.replace(target=target))
        for reader in _freed(graph, node, waiting):
            heappush(ready[targets[id(reader)]], places[id(reader)])
    return graph.edit(nodes=ordered)


def _freed(graph: Graph, node: Node, waiting: dict[int, set[str]]) -> Iterator[Node]:
    """The nodes that wait for nothing more, `node` being done."""
    for output in node.outputs:
        for reader in dict.fromkeys(graph.consumers.get(output, [])):
            waiting[id(reader)].discard(output)
            if not waiting[id(reader)]:
                yield reader
