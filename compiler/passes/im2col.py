"""First layers of few channels: taps of the kernel become channels, so that the array's inputs are used."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...config import Config
from ..graph import Graph, Node, Value
from ..ops import find_operator
from ..ops.window import window_of
from ..window import Window

__all__ = ["unroll_kernels"]


def unroll_kernels(graph: Graph, *, config: Config) -> Graph:
    """A qconv over an image that the host has anyway becomes im2col on the host and a qconv of a smaller kernel.

    It takes in the kernel's columns, those of several neighbouring windows, or all of the kernel, whichever is
    estimated to be fastest; or the qconv stays.
    """
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        window = _candidate(graph, node)
        choice = None if window is None else _best(graph, node, window, config)
        nodes += [node] if window is None or choice is None else _unrolled(graph, node, window, choice, config, values)
    return graph.edit(nodes=nodes, values=values.values())


def _candidate(graph: Graph, node: Node) -> Window | None:
    if node.operator != "qconv":
        return None
    source = graph.producers.get(node.inputs[0])
    if source is not None and find_operator(source).accelerated:
        return None
    kernel = graph.values[node.inputs[1]].known_shape[2:]
    return window_of(node, graph.values[node.inputs[0]].known_shape, kernel)


@dataclass(frozen=True)
class _Choice:
    """The window of the im2col, and how many neighbouring windows of the convolution it takes in."""

    window: Window
    columns: int = 1


def _best(graph: Graph, node: Node, window: Window, config: Config) -> _Choice | None:
    """What makes the layer fastest; None where nothing beats the kernel as it is."""
    image = graph.values[node.inputs[0]].known_shape
    outputs, channels = graph.values[node.inputs[1]].known_shape[:2]

    def cycles(choice: _Choice | None) -> int:
        """The larger of multiplying and loading."""
        kernel = (1, 1) if choice is None else choice.window.kernel
        height, width = image[2:] if choice is None else choice.window.output
        lanes = kernel[0] * kernel[1] * channels
        left = window.kernel[0] // kernel[0] * (window.kernel[1] if choice is None else 1)
        steps = left * -(-lanes // config.block_in)
        results = window.output[0] * window.output[1] * -(-outputs // config.block_out)
        loaded = -(-lanes // config.channels) * config.channels * height * width
        return max(steps * results, loaded // config.bus_bytes)

    several = [_Choice(_across(window, image, count), count) for count in _counts(window, outputs, config)]
    return min((None, _Choice(_across(window, image, 1)), _Choice(window), *several), key=cycles)


def _counts(window: Window, outputs: int, config: Config) -> list[int]:
    """How many neighbouring windows may be taken together: their weights must leave room for others."""
    blocks = -(-outputs // config.channels) * (config.channels // config.block_out)
    least = min(config.bias_depth, config.scale_depth, config.acc_depth) // 2
    return [
        count
        for count in (2, 4)
        if window.output[1] % count == 0
        and window.dilations[1] == 1
        and count * blocks <= least
        and 4 * count * blocks * window.kernel[0] <= config.wgt_depth
    ]


def _across(window: Window, image: tuple[int, ...], count: int) -> Window:
    """The columns that `count` neighbouring windows see."""
    width, stride = window.kernel[1] + window.strides[1] * (count - 1), window.strides[1] * count
    results, left = window.output[1] // count, window.pads[1]
    reach = (width - 1) * window.dilations[1] + 1
    right = max((results - 1) * stride + reach - image[3] - left, 0)
    return Window((1, width), (1, stride), (1, window.dilations[1]), (0, left, 0, right), (image[2], results))


def _unrolled(
    graph: Graph, node: Node, window: Window, choice: _Choice, config: Config, values: dict[str, Value]
) -> list[Node]:
    image, weight, folded = values[node.inputs[0]], values[node.inputs[1]], choice.window
    assert weight.data is not None
    taps = folded.kernel[0] * folded.kernel[1]
    channels = weight.known_shape[1]
    wide = image.replace(
        name=graph.fresh(f"{node.outputs[0]}/unrolled"),
        shape=(image.known_shape[0], taps * channels, *folded.output),
    )
    table = _table(weight.data, window, choice, config)
    folded_weight = Value.constant(graph.fresh(f"{weight.name}/unrolled"), table)
    values |= {wide.name: wide, folded_weight.name: folded_weight}
    left = replace(window, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0))
    if folded is not window:
        left = replace(
            left,
            strides=(window.strides[0], 1),
            dilations=(window.dilations[0], 1),
            pads=(window.pads[0], 0, window.pads[2], 0),
        )
    attributes = {**node.attributes, **_geometry(left)}
    if choice.columns > 1:
        attributes |= {"columns": choice.columns, "used": window.kernel[1] * channels}
    seen = {"kernel_shape": folded.kernel, "fill": node["x_zero"], **_geometry(folded)}
    return [
        Node(f"{node.name}/im2col", "im2col", (image.name,), (wide.name,), seen),
        node.replace(
            operator="qconv_columns" if choice.columns > 1 else "qconv",
            inputs=(wide.name, folded_weight.name, *node.inputs[2:]),
            attributes=attributes,
        ),
    ]


def _table(weight: np.ndarray, window: Window, choice: _Choice, config: Config) -> np.ndarray:
    """Weights (O, C, KH, KW) as the unrolled layer has them: a group of whole channel blocks for each column."""
    outputs, channels, *_ = weight.shape
    taps = choice.window.kernel[0] * choice.window.kernel[1]
    rest = window.kernel[0] // choice.window.kernel[0]
    if choice.columns > 1:
        group = -(-outputs // config.channels) * config.channels
        wide = np.zeros((choice.columns, group, channels, window.kernel[0], taps), weight.dtype)
        for column in range(choice.columns):
            first = column * window.strides[1]
            wide[column, :outputs, ..., first : first + window.kernel[1]] = weight
        weight = wide.reshape(-1, *wide.shape[2:])
    table = weight.reshape(len(weight), channels, rest, taps).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(table.reshape(len(weight), taps * channels, rest, 1))


def _geometry(window: Window) -> dict[str, tuple[int, ...]]:
    return {"strides": window.strides, "dilations": window.dilations, "pads": window.pads}
