"""TFLite's float operators, as the graph's own: for the host, and for quantising them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tflite import ActivationFunctionType

from .tflite_builder import Builder
from .tflite_file import TfliteOperator
from .tflite_window import geometry, image_of, window_of_options

__all__ = ["FLOAT_CONVERTERS"]

_Converter = Callable[[Builder, TfliteOperator], None]
FLOAT_CONVERTERS: dict[str, _Converter] = {}
_LIMITS = {
    ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    ActivationFunctionType.RELU6: (0.0, 6.0),
}


def _converts(*kinds: str) -> Callable[[_Converter], _Converter]:
    def register(function: _Converter) -> _Converter:
        FLOAT_CONVERTERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def _parameter(builder: Builder, op: TfliteOperator, position: int) -> np.ndarray:
    tensor = builder.input(op, position)
    if tensor.dtype != np.float32:
        raise op.refuse(
            f"its weights {tensor.name!r} must not be {tensor.dtype} under the float input "
            f"{builder.input(op, 0).name!r} (hybrid): quantise activations too"
        )
    return builder.elements(tensor)


def _weights_and_bias(builder: Builder, op: TfliteOperator, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _parameter(builder, op, 1)
    given = len(op.inputs) > 2 and op.inputs[2] is not None
    bias = _parameter(builder, op, 2) if given else np.zeros(weight.shape[outputs], np.float32)
    if bias.shape != (weight.shape[outputs],):
        raise op.refuse(f"its bias must have {weight.shape[outputs]} elements, not shape {list(bias.shape)}")
    return weight, bias


def _finish(
    builder: Builder,
    op: TfliteOperator,
    operator: str,
    inputs: Sequence[str | np.ndarray],
    attributes: dict[str, Any],
    activation: int,
    *,
    form: str = "first",
) -> None:
    """A node, and one for its fused activation."""
    if activation == ActivationFunctionType.NONE:
        builder.add(op, operator, inputs, attributes, form=form)
        return
    if activation != ActivationFunctionType.RELU and activation not in _LIMITS:
        raise op.refuse(f"its fused activation must be none, ReLU, ReLU6 or ReLU from −1 to 1, not {activation}")
    before = builder.before_activation(op, operator, inputs, attributes, form=form)
    limits = tuple(np.array(limit, np.float32) for limit in _LIMITS.get(activation, ()))
    builder.add(op, "Clip" if limits else "Relu", (before, *limits), {}, form=form)


@_converts("CONV_2D", "DEPTHWISE_CONV_2D")
def _convolution(builder: Builder, op: TfliteOperator) -> None:
    tensor, image = image_of(builder, op)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    options = op.options("DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
    weight, bias = _weights_and_bias(builder, op, 3 if depthwise else 0)
    if weight.ndim != 4:
        raise op.refuse(f"its weights must have 4 dimensions, not {weight.ndim}")
    filters = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
    if image[1] % filters.shape[1]:
        raise op.refuse(f"its weights {list(weight.shape)} must match the {image[1]} channels of its input")
    window = window_of_options(op, image, (filters.shape[2], filters.shape[3]), options)
    attributes = {**geometry(window), "group": image[1] // filters.shape[1]}
    inputs = (builder.first(tensor), np.ascontiguousarray(filters), bias)
    _finish(builder, op, "Conv", inputs, attributes, options.FusedActivationFunction())


@_converts("FULLY_CONNECTED")
def _dense(builder: Builder, op: TfliteOperator) -> None:
    options, tensor = op.options("FullyConnectedOptions"), builder.input(op, 0)
    weight, bias = _weights_and_bias(builder, op, 0)
    if weight.ndim != 2 or tensor.shape[1:] != weight.shape[1:]:
        raise op.refuse(f"its weights {list(weight.shape)} must be (outputs, inputs) for {list(tensor.shape)}")
    inputs = (builder.last(tensor), weight, bias)
    _finish(builder, op, "Gemm", inputs, {"transB": 1}, options.FusedActivationFunction())


@_converts("ADD")
def _add(builder: Builder, op: TfliteOperator) -> None:
    tensors = [builder.input(op, position) for position in range(2)]
    if any(tensor.shape != op.outputs[0].shape for tensor in tensors):
        raise op.refuse("its terms must have the result's shape")
    terms = [builder.first(tensor) for tensor in tensors]
    _finish(builder, op, "Add", terms, {}, op.options("AddOptions").FusedActivationFunction())


@_converts("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(builder: Builder, op: TfliteOperator) -> None:
    options = op.options("Pool2DOptions")
    tensor, image = image_of(builder, op)
    kernel = (options.FilterHeight(), options.FilterWidth())
    window = window_of_options(op, image, kernel, options, dilated=False)
    attributes = {"kernel_shape": kernel, "strides": window.strides, "pads": window.pads}
    operator = "AveragePool" if op.kind == "AVERAGE_POOL_2D" else "MaxPool"
    _finish(builder, op, operator, (builder.first(tensor),), attributes, options.FusedActivationFunction())


@_converts("SOFTMAX")
def _softmax(builder: Builder, op: TfliteOperator) -> None:
    if op.options("SoftmaxOptions").Beta() != 1.0:
        raise op.refuse("its beta must be 1 on real numbers")
    builder.add(op, "Softmax", (builder.last(builder.input(op, 0)),), {"axis": -1}, form="last")


@_converts("RELU", "RELU6", "RELU_N1_TO_1")
def _limit(builder: Builder, op: TfliteOperator) -> None:
    limits = tuple(np.array(limit, np.float32) for limit in _LIMITS.get(getattr(ActivationFunctionType, op.kind), ()))
    builder.add(op, "Clip" if limits else "Relu", (builder.first(builder.input(op, 0)), *limits), {})
