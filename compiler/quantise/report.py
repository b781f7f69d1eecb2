"""How far the quantised model is from the float one, layer for layer, in the accelerator's own integers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ...config import Config
from ...errors import TilewrightError
from ..graph import Graph
from ..ops.shape import RESHAPES
from ..passes import run_passes
from ..pipeline import passes_for
from ..reference import walk
from ..taps import with_outputs
from .calibration import Calibration, Progress, Sample, watched
from .parameters import restored
from .quantise import QuantisedGraph

__all__ = ["LayerError", "OutputError", "QuantisationReport", "measure"]

_MOST_DECIBELS = 200.0


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """A quantised tensor beside the float model's.

    Members
    -------
    name, operator
        Of the layer that computes it; the operator of an input is ``Input``.
    tensor
        Its name in the model.
    observed_low, observed_high
        The smallest and largest element in the float model, whose channels may be equalised, of all tensors that share
        the scale.
    low, high, scale, zero_point
        The range chosen for it, and the integers that span it.
    own_sqnr
        Signal to quantisation noise, in decibels, of the float tensor rounded to those integers: what its own range and
        8 bits cost. Between −200 and 200, as all such figures here.
    sqnr, cosine, largest
        Of what the quantised model computes: signal to noise in decibels, cosine similarity, largest absolute
        difference; all errors of the layers before it are in it.
    """

    name: str
    operator: str
    tensor: str
    observed_low: float
    observed_high: float
    low: float
    high: float
    scale: float
    zero_point: int
    own_sqnr: float
    sqnr: float
    cosine: float
    largest: float


@dataclass(frozen=True, kw_only=True)
class OutputError:
    """An output of the quantised model beside the expected one.

    Members
    -------
    reference
        ``recorded`` where the calibration data hold the answers, else ``float model``.
    decisions, agreeing
        Where the output is a softmax's or has two dimensions: rows of the last dimension, and those of them whose
        largest element is at the expected place. Otherwise, and where rows have one element, both are 0.
    worst_cosine
        The least of the samples' cosines.
    """

    name: str
    reference: str
    sqnr: float
    cosine: float
    worst_cosine: float
    largest: float
    decisions: int
    agreeing: int


@dataclass(frozen=True, kw_only=True)
class QuantisationReport:
    """Errors of layers, inputs first, and of outputs, over all calibration samples."""

    model: str
    config: str
    samples: int
    layers: tuple[LayerError, ...]
    outputs: tuple[OutputError, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries, texts and numbers, for JSON."""
        return asdict(self)

    def as_csv(self) -> str:
        """The layers: a line of headings, and one for each."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(LayerError)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(layer) for layer in self.layers)
        return text.getvalue()


class _Difference:
    """Sums over expected and found elements."""

    def __init__(self) -> None:
        self._signal = self._found = self._product = self._noise = self.largest = 0.0
        self.worst_cosine = 1.0
        self.decisions = self.agreeing = 0

    def add(self, expected: np.ndarray, found: np.ndarray) -> None:
        a, b = expected.astype(np.float64).reshape(-1), found.astype(np.float64).reshape(-1)
        signal, other, product = float(a @ a), float(b @ b), float(a @ b)
        self.worst_cosine = min(self.worst_cosine, _cosine(signal, other, product))
        self._signal += signal
        self._found += other
        self._product += product
        error = b - a
        self._noise += float(error @ error)
        self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))

    def decide(self, expected: np.ndarray, found: np.ndarray) -> None:
        if expected.ndim and expected.shape[-1] > 1:
            same = expected.argmax(axis=-1) == found.argmax(axis=-1)
            self.decisions += same.size
            self.agreeing += int(same.sum())

    @property
    def sqnr(self) -> float:
        if not self._noise:
            return _MOST_DECIBELS
        decibels = 10 * np.log10(self._signal / self._noise) if self._signal else -_MOST_DECIBELS
        return float(np.clip(decibels, -_MOST_DECIBELS, _MOST_DECIBELS))

    @property
    def cosine(self) -> float:
        return _cosine(self._signal, self._found, self._product)


def _cosine(signal: float, found: float, product: float) -> float:
    if not signal or not found:
        return float(signal == found)
    return float(product / np.sqrt(signal) / np.sqrt(found))


def measure(
    quantised: QuantisedGraph, calibration: Calibration, config: Config, *, progress: Progress | None = None
) -> QuantisationReport:
    """Run both models on every sample; the quantised one as `config` computes it, bit for bit.

    `progress` is as for :func:`.quantise_graph`.

    Raises
    ------
    TilewrightError
        A recorded answer has another shape than the model's.
    """
    return _Measurement(quantised, calibration, config).run(progress)


class _Measurement:
    def __init__(self, quantised: QuantisedGraph, calibration: Calibration, config: Config) -> None:
        self.quantised = quantised
        self.calibration = calibration
        self.config = config
        self.layers = _layers(quantised)
        taps = [quantised.integers[tensor] for tensor in self.layers]
        self.lowered = run_passes(with_outputs(quantised.graph, *taps), passes_for(config))
        self.own = {tensor: _Difference() for tensor in self.layers}
        self.full = {tensor: _Difference() for tensor in self.layers}
        self.outputs = {name: _Difference() for name in quantised.real.outputs}
        _require_shapes(quantised.real, calibration)

    def run(self, progress: Progress | None) -> QuantisationReport:
        recorded = self.calibration.answers or [{}] * len(self.calibration)
        for sample, answers in zip(watched(self.calibration, "report", progress), recorded, strict=True):
            self._compare(sample, answers)
        return QuantisationReport(
            model=self.quantised.real.name,
            config=self.config.name,
            samples=len(self.calibration),
            layers=tuple(self._layer(tensor, *layer) for tensor, layer in self.layers.items()),
            outputs=tuple(self._output(place, name) for place, name in enumerate(self.outputs)),
        )

    def _compare(self, sample: Sample, answers: Mapping[int, np.ndarray]) -> None:
        found = _values(self.lowered, sample, self.lowered.outputs)
        expected = {name: answers[place] for place, name in enumerate(self.outputs) if place in answers}
        for name in self.quantised.real.inputs:
            self._see(name, sample[name], found, expected)
        for node, _, results in walk(self.quantised.real, sample):
            for name, result in zip(node.outputs, results, strict=True):
                self._see(name, result, found, expected)

    def _see(
        self, name: str, real: np.ndarray, found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
    ) -> None:
        if name in self.layers:
            meaning = self.quantised.ranges[name].quantisation
            steps = found[self.quantised.integers[name]].astype(np.float64) - meaning.zero_point
            self.own[name].add(real, restored(real, meaning))
            self.full[name].add(real, steps * meaning.scale)
        if name in self.outputs:
            answer = expected.get(name, real)
            self.outputs[name].add(answer, found[name])
            if _decides(self.quantised.real, name):
                self.outputs[name].decide(answer, found[name])

    def _layer(self, tensor: str, name: str, operator: str) -> LayerError:
        chosen, difference = self.quantised.ranges[tensor], self.full[tensor]
        return LayerError(
            name=name,
            operator=operator,
            tensor=tensor,
            observed_low=chosen.observed[0],
            observed_high=chosen.observed[1],
            low=chosen.chosen[0],
            high=chosen.chosen[1],
            scale=chosen.quantisation.scale,
            zero_point=chosen.quantisation.zero_point,
            own_sqnr=self.own[tensor].sqnr,
            sqnr=difference.sqnr,
            cosine=difference.cosine,
            largest=difference.largest,
        )

    def _output(self, place: int, name: str) -> OutputError:
        difference = self.outputs[name]
        recorded = any(place in answers for answers in self.calibration.answers)
        return OutputError(
            name=name,
            reference="recorded" if recorded else "float model",
            sqnr=difference.sqnr,
            cosine=difference.cosine,
            worst_cosine=difference.worst_cosine,
            largest=difference.largest,
            decisions=difference.decisions,
            agreeing=difference.agreeing,
        )


def _decides(graph: Graph, name: str) -> bool:
    """Whether the largest element of a row of the output is an answer."""
    producer = graph.producers.get(name)
    softmax = producer is not None and producer.operator in ("Softmax", "LogSoftmax")
    return softmax or len(graph.values[name].known_shape) == 2


def _layers(quantised: QuantisedGraph) -> dict[str, tuple[str, str]]:
    """(layer, operator) of each tensor in the report: inputs, and results of all that computes."""
    placement = quantised.placement
    layers = {name: (name, "Input") for name in quantised.real.inputs if name in placement.tensors}
    for node in placement.nodes:
        if node.operator not in (*RESHAPES, "Transpose"):
            layers[placement.results[node.name]] = (node.name, node.operator)
    return layers


def _values(graph: Graph, sample: Sample, names: Sequence[str]) -> dict[str, np.ndarray]:
    wanted = set(names)
    return {
        name: result
        for node, _, results in walk(graph, sample)
        for name, result in zip(node.outputs, results, strict=True)
        if name in wanted
    }


def _require_shapes(graph: Graph, calibration: Calibration) -> None:
    for number, answers in enumerate(calibration.answers):
        for place, answer in answers.items():
            value = graph.values[graph.outputs[place]]
            if answer.shape != value.shape or answer.dtype.kind not in "biuf":
                raise TilewrightError(
                    f"answer {place} of calibration sample {number} must be {value.dtype}{list(value.known_shape)} as "
                    f"output {value.name!r}, not {answer.dtype}{list(answer.shape)}"
                )
