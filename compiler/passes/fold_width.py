"""First layers of few channels: the kernel's width becomes channels, so that the array's inputs are used."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Node, Value
from ..ops import find_operator
from ..ops.window import window_of
from ..window import Window

__all__ = ["fold_kernel_width"]


def fold_kernel_width(graph: Graph, *, block_in: int) -> Graph:
    """A qconv over an image that the host has anyway becomes fold_width on the host and a qconv of kernel width 1.

    Where it does not save products with zeros, the qconv stays.
    """
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        window = _worthwhile(graph, node, block_in)
        nodes += [node] if window is None else _folded(graph, node, window, values)
    return graph.edit(nodes=nodes, values=values.values())


def _worthwhile(graph: Graph, node: Node, block_in: int) -> Window | None:
    if node.operator != "qconv":
        return None
    source = graph.producers.get(node.inputs[0])
    if source is not None and find_operator(source).accelerated:
        return None
    weight = graph.values[node.inputs[1]]
    _, channels, _, taps = weight.known_shape
    if channels >= block_in:
        return None
    now, then = taps * -(-channels // block_in), -(-taps * channels // block_in)
    return window_of(node, graph.values[node.inputs[0]].known_shape, weight.known_shape[2:]) if then < now else None


def _folded(graph: Graph, node: Node, window: Window, values: dict[str, Value]) -> list[Node]:
    image, weight = values[node.inputs[0]], values[node.inputs[1]]
    assert weight.data is not None
    outputs, channels, height, taps = weight.known_shape
    wide = image.replace(
        name=graph.fresh(f"{node.outputs[0]}/folded"),
        shape=(image.known_shape[0], taps * channels, image.known_shape[2], window.output[1]),
    )
    table = weight.data.transpose(0, 3, 1, 2).reshape(outputs, taps * channels, height, 1)
    folded_weight = Value.constant(graph.fresh(f"{weight.name}/folded"), np.ascontiguousarray(table))
    values |= {wide.name: wide, folded_weight.name: folded_weight}
    columns = {
        "taps": taps,
        "stride": window.strides[1],
        "dilation": window.dilations[1],
        "pad": window.pads[1],
        "width": window.output[1],
        "fill": node["x_zero"],
    }
    attributes = {
        **node.attributes,
        "strides": (window.strides[0], 1),
        "dilations": (window.dilations[0], 1),
        "pads": (window.pads[0], 0, window.pads[2], 0),
    }
    return [
        Node(f"{node.name}/fold", "fold_width", (image.name,), (wide.name,), columns),
        node.replace(inputs=(wide.name, folded_weight.name, *node.inputs[2:]), attributes=attributes),
    ]
