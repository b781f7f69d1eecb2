"""Bias correction: what quantisation shifts on the average, each output's bias takes back (Nagel et al. 2019, §4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..graph import Graph, Node
from ..ops import find_operator
from ..reference import walk
from .calibration import Sample
from .parameters import QuantisedWeight, restored
from .ranges import TensorRange

__all__ = ["correct_biases"]


class _Shift:
    """Mean and spread of an error, output for output."""

    def __init__(self, outputs: int) -> None:
        self._sum, self._squares, self._count = np.zeros(outputs), np.zeros(outputs), 0

    def add(self, error: np.ndarray) -> None:
        """(N, outputs, …)"""
        rows = np.moveaxis(error, 1, 0).reshape(error.shape[1], -1).astype(np.float64)
        self._sum += rows.sum(axis=1)
        self._squares += np.square(rows).sum(axis=1)
        self._count += rows.shape[1]

    def mean(self) -> np.ndarray:
        """Shrunk by the part that may be chance: with few elements a mean is uncertain (James and Stein 1961)."""
        mean = self._sum / self._count
        chance = np.maximum(self._squares / self._count - mean**2, 0) / self._count
        certain = 1 - chance / np.maximum(mean**2, np.finfo(float).tiny)
        return np.asarray(mean * np.clip(certain, 0, 1))


def correct_biases(
    graph: Graph,
    samples: Sequence[Sample],
    products: Sequence[Node],
    weights: Mapping[str, QuantisedWeight],
    ranges: Mapping[str, TensorRange],
) -> dict[str, np.ndarray]:
    """float32 biases of `products` by name: each compensates the mean error of its quantised weights and input.

    Layers are taken one by one, on the real numbers that enter them, so that one run of the samples does for all.
    """
    reals = {node.name: weights[node.name].real for node in products}
    shifts: dict[str, _Shift] = {}
    biases: dict[str, np.ndarray] = {}
    for sample in samples:
        for node, (data, *parameters), (result, *_) in walk(graph, sample):
            if node.name not in reals:
                continue
            assert data is not None
            given = parameters[1] if len(parameters) > 1 else None
            bias = np.zeros(result.shape[1], np.float32) if given is None else given.reshape(-1)
            inputs = [restored(data, ranges[node.inputs[0]].quantisation), reals[node.name], bias]
            (quantised,) = find_operator(node).reference(node, inputs)
            biases[node.name] = bias
            shifts.setdefault(node.name, _Shift(len(bias))).add(result - quantised)
    return {name: (bias + shifts[name].mean()).astype(np.float32) for name, bias in biases.items()}
