"""The network in int8: ranges from one random image, as ONNX Runtime's static quantiser would set them."""

from __future__ import annotations

import numpy as np
import onnx

from ...compiler.compile import import_model
from ...compiler.quantise.calibration import Calibration
from ...compiler.quantise.export import to_onnx
from ...compiler.quantise.quantise import quantise_graph
from .network import INPUT, layer_model, network_model

__all__ = ["build_layer", "build_network", "random_image"]


def build_network(*, seed: int = 0, size: int = 224) -> onnx.ModelProto:
    """ResNet-18 as QDQ: float32 ``image`` [1, 3, size, size] to 1000 logits, everything between in int8.

    Parameters
    ----------
    seed
        Of the weights, and of the image that sets the ranges of activations.
    size
        Height and width of the image, a multiple of 32.
    """
    return _quantised(network_model(seed=seed, size=size), seed)


def build_layer(layer: str, *, seed: int = 0) -> onnx.ModelProto:
    """One of the network's ten distinct convolutions after the first, a key of `LAYERS`, with its ReLU."""
    return _quantised(layer_model(layer, seed=seed), seed)


def random_image(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A normally distributed image, float32, as a photograph's pixels are once their mean and spread are taken off."""
    return np.random.default_rng((seed, 1)).standard_normal(shape).astype(np.float32)


def _quantised(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    graph = import_model(model)
    image = random_image(graph.values[INPUT].known_shape, seed)
    calibration = Calibration(graph, {INPUT: image})
    quantised = quantise_graph(graph, calibration, estimator="min-max", bias_correction=False, equalisation=False)
    return to_onnx(quantised.graph)
