"""A float model by its file, quantised and measured: the front door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...config import Config
from ..compile import import_model
from ..graph import Graph
from .calibration import Calibration, Progress
from .canonical import require_real
from .estimators import Estimator
from .quantise import quantise_graph
from .report import QuantisationReport, measure

if TYPE_CHECKING:
    import onnx

__all__ = ["QuantisedModel", "quantise_model"]


@dataclass(frozen=True)
class QuantisedModel:
    """A quantised model, and how far it is from the float one.

    Members
    -------
    graph
        In the QDQ form, for :func:`.compile_graph`; :func:`.format_graph` shows it as text.
    """

    graph: Graph
    report: QuantisationReport

    def to_onnx(self) -> onnx.ModelProto:
        """The quantised model for other tools; see :func:`.export.to_onnx`."""
        from .export import to_onnx  # onnx is heavy, and most never ask for it

        return to_onnx(self.graph)


def quantise_model(
    model: str | Path | onnx.ModelProto | Graph,
    calibration: Mapping[str, np.ndarray],
    config: Config,
    *,
    estimator: Estimator = "mse",
    percentile: float = 99.99,
    bias_correction: bool = True,
    equalisation: bool = True,
    progress: Progress | None = None,
    what: str = "calibration data",
) -> QuantisedModel:
    """Quantise a float model, ONNX or TFLite, and compare both on the calibration inputs.

    Parameters
    ----------
    model
        A file, or a model that is loaded already.
    calibration
        Inputs of the kind that the model will see, by name or as ``in_k_i``, with answers ``out_k_i`` to compare with
        where there are any; see :class:`.Calibration`.
    config
        The hardware whose arithmetic the report is about; the quantised graph is the same for all.
    estimator, percentile, bias_correction, equalisation, progress
        See :func:`.quantise_graph`.
    what
        What messages call the calibration inputs.

    Raises
    ------
    TilewrightError
        The model is broken, quantised already, or has nothing to quantise; or the calibration inputs do not fit it.
    """
    graph = model if isinstance(model, Graph) else import_model(model)
    require_real(graph)
    samples = Calibration(graph, calibration, what=what)
    quantised = quantise_graph(
        graph,
        samples,
        estimator=estimator,
        percentile=percentile,
        bias_correction=bias_correction,
        equalisation=equalisation,
        progress=progress,
    )
    return QuantisedModel(quantised.graph, measure(quantised, samples, config, progress=progress))
