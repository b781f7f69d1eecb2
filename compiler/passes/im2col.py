"""First layers of few channels: taps of the kernel become channels, so that the array's inputs are used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...config import Config
from ..graph import Graph, Node, Value
from ..ops import find_operator
from ..ops.window import window_of
from ..window import Window

__all__ = ["unroll_kernels"]


def unroll_kernels(graph: Graph, *, config: Config) -> Graph:
    """A qconv over an image that the host has anyway becomes im2col on the host and a qconv of a smaller kernel.

    It takes in the kernel's columns, or all of the kernel, whichever is estimated to be faster; or the qconv stays.
    """
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        window = _candidate(graph, node)
        folded = None if window is None else _best(graph, node, window, config)
        nodes += [node] if window is None or folded is None else _unrolled(graph, node, window, folded, values)
    return graph.edit(nodes=nodes, values=values.values())


def _candidate(graph: Graph, node: Node) -> Window | None:
    if node.operator != "qconv":
        return None
    source = graph.producers.get(node.inputs[0])
    if source is not None and find_operator(source).accelerated:
        return None
    kernel = graph.values[node.inputs[1]].known_shape[2:]
    return window_of(node, graph.values[node.inputs[0]].known_shape, kernel)


def _best(graph: Graph, node: Node, window: Window, config: Config) -> Window | None:
    """The window of the im2col that makes the layer fastest; None where nothing beats the kernel as it is."""
    shape = graph.values[node.inputs[0]].known_shape
    outputs, channels = graph.values[node.inputs[1]].known_shape[:2]

    def cycles(folded: Window | None) -> int:
        """The larger of multiplying and loading."""
        taps = 1 if folded is None else folded.kernel[0] * folded.kernel[1]
        height, width = shape[2:] if folded is None else folded.output
        steps = window.kernel[0] * window.kernel[1] // taps * -(-taps * channels // config.block_in)
        results = window.output[0] * window.output[1] * -(-outputs // config.block_out)
        loaded = -(-taps * channels // config.channels) * config.channels * height * width
        return max(steps * results, loaded // config.bus_bytes)

    columns = Window(
        (1, window.kernel[1]),
        (1, window.strides[1]),
        (1, window.dilations[1]),
        (0, window.pads[1], 0, window.pads[3]),
        (shape[2], window.output[1]),
    )
    return min((None, columns, window), key=cycles)


def _unrolled(graph: Graph, node: Node, window: Window, folded: Window, values: dict[str, Value]) -> list[Node]:
    image, weight = values[node.inputs[0]], values[node.inputs[1]]
    assert weight.data is not None
    outputs, channels, *kernel = weight.known_shape
    taps = folded.kernel[0] * folded.kernel[1]
    rest = kernel[0] // folded.kernel[0]
    wide = image.replace(
        name=graph.fresh(f"{node.outputs[0]}/unrolled"),
        shape=(image.known_shape[0], taps * channels, *folded.output),
    )
    table = (
        weight.data.reshape(outputs, channels, rest, taps)
        .transpose(0, 3, 1, 2)
        .reshape(outputs, taps * channels, rest, 1)
    )
    folded_weight = Value.constant(graph.fresh(f"{weight.name}/unrolled"), np.ascontiguousarray(table))
    values |= {wide.name: wide, folded_weight.name: folded_weight}
    left = replace(window, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0))
    if folded is not window:
        left = replace(
            left,
            strides=(window.strides[0], 1),
            dilations=(window.dilations[0], 1),
            pads=(window.pads[0], 0, window.pads[2], 0),
        )
    return [
        Node(
            f"{node.name}/im2col",
            "im2col",
            (image.name,),
            (wide.name,),
            {"kernel_shape": folded.kernel, "fill": node["x_zero"], **_geometry(folded)},
        ),
        node.replace(
            inputs=(wide.name, folded_weight.name, *node.inputs[2:]),
            attributes={**node.attributes, **_geometry(left)},
        ),
    ]


def _geometry(window: Window) -> dict[str, tuple[int, ...]]:
    return {"strides": window.strides, "dilations": window.dilations, "pads": window.pads}
