"""Equalisation: channels of very different size are scaled to be alike, which the next layer's weights take back.

A positive factor for a channel goes through ReLU and pooling unchanged (Nagel et al. 2019, §4.1). Since weights have a
scale for each output here, it costs the layer before nothing; what it costs the layer behind is weighed against what
it saves in the activations between (compare SmoothQuant, Xiao et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Node, Value
from ..reference import walk
from .calibration import Sample
from .placement import PRODUCTS, Placement

__all__ = ["equalise"]

_HOMOGENEOUS = ("Relu", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST = 1 / 16
_LEVELS = 255.0
_WORTHWHILE = 0.5
_FEWEST_ELEMENTS = 1024


@dataclass(frozen=True)
class _Link:
    """A product, the tensor at which its result is measured, and all products that read it."""

    before: Node
    tensor: str
    behind: tuple[Node, ...]


class _Channels:
    """Of each channel the largest absolute value and the mean square, and how many elements that is from."""

    def __init__(self) -> None:
        self.largest: np.ndarray = np.zeros(0)
        self._squares: np.ndarray = np.zeros(0)
        self.elements = 0

    def add(self, values: np.ndarray) -> None:
        """(N, channels, …)"""
        rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        largest, squares = np.abs(rows).max(axis=1), np.square(rows).sum(axis=1)
        self.largest = np.maximum(self.largest, largest) if self.elements else largest
        self._squares = self._squares + squares if self.elements else squares
        self.elements += rows.shape[1]

    @property
    def power(self) -> np.ndarray:
        return self._squares / self.elements


def equalise(graph: Graph, samples: Sequence[Sample], placement: Placement) -> Graph:
    """The same function with other sizes of channels between products; tensors keep their names.

    How far a tensor's channels are brought together is what makes the noise that is to be expected behind it least; it
    is left alone where that would not halve it, or where the samples say too little about its channels: an activation
    that none of them showed is cut off sooner. Hence also, channels below a sixteenth of the largest count as if
    they had that.
    """
    links = list(_links(graph, placement))
    channels = {link.tensor: _Channels() for link in links}
    for sample in samples:
        for node, _, results in walk(graph, sample):
            for name, result in zip(node.outputs, results, strict=True):
                if name in channels:
                    channels[name].add(result)
    values, nodes = dict(graph.values), {node.name: node for node in graph.nodes}
    for link in links:
        factors = _factors(values, nodes, link, channels[link.tensor])
        if factors is not None:
            _scale_outputs(graph, values, nodes, link.before.name, 1 / factors)
            for node in link.behind:
                _scale_inputs(graph, values, nodes, node.name, factors)
    return graph.edit(nodes=list(nodes.values()), values=values.values())


def _links(graph: Graph, placement: Placement) -> Iterator[_Link]:
    chosen = {node.name for node in placement.nodes if node.operator in PRODUCTS}
    for node in graph.nodes:
        if node.name not in chosen:
            continue
        name = tensor = node.outputs[0]
        while (reader := graph.sole_consumer(name)) is not None and reader.operator in _HOMOGENEOUS:
            name = reader.outputs[0]
            tensor = name if reader.operator == "Relu" else tensor
        readers = graph.consumers.get(name, [])
        fit = all(reader.name in chosen and reader.inputs.count(name) == 1 for reader in readers)
        if readers and fit and name not in graph.outputs:
            yield _Link(node, tensor, tuple(readers))


def _rows(values: dict[str, Value], node: Node, channels: int) -> np.ndarray:
    """float64 (groups, outputs a group, inputs a group, taps): the weights of a product over `channels`."""
    weight = values[node.inputs[1]].data
    assert weight is not None
    if node.operator == "Gemm":
        rows = weight if node.get("transB", 0) else weight.T
        return np.asarray(rows.astype(np.float64)[None, :, :, None])
    groups = channels // weight.shape[1]
    return weight.astype(np.float64).reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)


def _factors(values: dict[str, Value], nodes: dict[str, Node], link: _Link, channels: _Channels) -> np.ndarray | None:
    """What each channel is divided by; None where they had better stay."""
    count, top = len(channels.largest), float(channels.largest.max(initial=0.0))
    readers = [_rows(values, nodes[node.name], count) for node in link.behind]
    fit = all(rows.shape[0] * rows.shape[2] == count for rows in readers)
    if not top or not fit or channels.elements < _FEWEST_ELEMENTS:
        return None
    sizes = np.maximum(channels.largest / top, _LEAST)
    candidates = [sizes**strength for strength in _STRENGTHS]
    noises = [sum(_noise(rows, factors, channels) for rows in readers) for factors in candidates]
    best = int(np.argmin(noises))
    return candidates[best] if noises[best] < _WORTHWHILE * noises[0] else None


def _noise(rows: np.ndarray, factors: np.ndarray, channels: _Channels) -> float:
    """Expected squared error behind a product whose inputs are divided by `factors`: of its input and its weights."""
    groups, _, inputs, taps = rows.shape
    inside = factors.reshape(groups, 1, inputs, 1)
    scaled = rows * inside
    step = float((channels.largest / factors).max()) / _LEVELS
    of_inputs = step**2 * np.square(scaled).sum()
    weight_steps = 2 * np.abs(scaled).max(axis=(2, 3)) / _LEVELS
    power = taps * (channels.power / factors**2).reshape(groups, 1, inputs).sum(axis=2)
    return float(of_inputs + (np.square(weight_steps) * power).sum())


def _scale_outputs(
    graph: Graph, values: dict[str, Value], nodes: dict[str, Node], name: str, factors: np.ndarray
) -> None:
    node = nodes[name]
    weight = values[node.inputs[1]].data
    assert weight is not None
    along = [1] * weight.ndim
    along[1 if node.operator == "Gemm" and not node.get("transB", 0) else 0] = -1
    inputs = [node.inputs[0], _constant(graph, values, f"{name}/weight", weight * factors.reshape(along))]
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = values[node.inputs[2]].data
        assert bias is not None
        inputs.append(_constant(graph, values, f"{name}/bias", bias.reshape(-1) * factors))
    nodes[name] = node.replace(inputs=tuple(inputs))


def _scale_inputs(
    graph: Graph, values: dict[str, Value], nodes: dict[str, Node], name: str, factors: np.ndarray
) -> None:
    node = nodes[name]
    weight = values[node.inputs[1]].data
    assert weight is not None
    rows = _rows(values, node, len(factors))
    scaled = rows * factors.reshape(rows.shape[0], 1, rows.shape[2], 1)
    turned = node.operator == "Gemm" and not node.get("transB", 0)
    data = scaled.reshape(weight.T.shape).T if turned else scaled.reshape(weight.shape)
    nodes[name] = node.replace(
        inputs=(node.inputs[0], _constant(graph, values, f"{name}/weight", data), *node.inputs[2:])
    )


def _constant(graph: Graph, values: dict[str, Value], stem: str, data: np.ndarray) -> str:
    """The new constant's name; it takes the place of an earlier one of the same stem."""
    name = graph.fresh(f"{stem}/equalised")
    values[name] = Value.constant(name, np.ascontiguousarray(data.astype(np.float32)))
    return name
