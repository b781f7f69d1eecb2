"""TFLite's int8 operators as the integer operators of the graph, with the arithmetic of its reference kernels."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from tflite import ActivationFunctionType

from ..graph import Node, Quantisation, Value
from ..ops.arithmetic import SUM_SHIFT
from ..ops.groups import ungrouped
from ..ops.pool_counted import counted_average, counts_of
from ..requantise import Requantiser
from .tflite_builder import Builder
from .tflite_file import TfliteOperator, TfliteTensor
from .tflite_float import FLOAT_CONVERTERS
from .tflite_window import geometry, image_of, window_of_options

__all__ = ["convert"]

_Converter = Callable[[Builder, TfliteOperator], None]
_CONVERTERS: dict[str, _Converter] = {}


def _converts(*kinds: str) -> Callable[[_Converter], _Converter]:
    def register(function: _Converter) -> _Converter:
        _CONVERTERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def convert(builder: Builder, op: TfliteOperator) -> None:
    """Add the nodes of `op`.

    Raises
    ------
    UnsupportedOperator
        It is not one of those here, or something of it is not supported.
    """
    borders = [tensor for tensor in (*op.inputs[:1], *op.outputs) if tensor is not None]
    real = all(tensor.dtype == np.float32 for tensor in borders)
    converter = (FLOAT_CONVERTERS.get(op.kind) if real else None) or _CONVERTERS.get(op.kind)
    if converter is None:
        raise op.refuse(f"it is not supported; these are: {', '.join(sorted(_CONVERTERS))}")
    if len(op.outputs) != 1:
        raise op.refuse(f"it must have one result, not {len(op.outputs)}")
    converter(builder, op)


def _weights(builder: Builder, op: TfliteOperator, axis: int) -> tuple[TfliteTensor, np.ndarray]:
    """Input 1, which must be int8, symmetric, with one scale or one a slice along `axis`."""
    tensor = builder.input(op, 1)
    if tensor.dtype != np.int8 or not len(tensor.scale):
        raise op.refuse(f"its weights {tensor.name!r} must be quantised to int8, not {tensor.dtype}")
    if len(tensor.scale) > 1 and (tensor.axis != axis or len(tensor.scale) != tensor.shape[axis]):
        raise op.refuse(
            f"its weights {tensor.name!r} must have a scale for each slice of dimension {axis}, "
            f"not {len(tensor.scale)} along dimension {tensor.axis}"
        )
    if np.any(tensor.zero_point):
        raise op.refuse(f"its weights {tensor.name!r} must have the zero point 0")
    return tensor, builder.elements(tensor)


def _bias(builder: Builder, op: TfliteOperator, outputs: int) -> np.ndarray:
    tensor = op.inputs[2] if len(op.inputs) > 2 else None
    if tensor is None:
        return np.zeros(outputs, np.int32)
    if tensor.dtype != np.int32 or tensor.shape != (outputs,):
        raise op.refuse(f"its bias {tensor.name!r} must be int32 [{outputs}], not {tensor.dtype} {list(tensor.shape)}")
    if len(tensor.scale) > 1 and tensor.axis != 0:
        raise op.refuse(f"its bias {tensor.name!r} must have its scales along dimension 0, not {tensor.axis}")
    return builder.elements(tensor)


def _convolution(builder: Builder, op: TfliteOperator, weight: np.ndarray, scales: np.ndarray, options: object) -> None:
    """`weight` is (O, I, KH, KW)."""
    tensor, image = image_of(builder, op)
    try:
        operator, filters = ungrouped(weight, image[1])
    except ValueError as error:
        raise op.refuse(str(error)) from None
    x, y = builder.activation(op, tensor), builder.activation(op, op.outputs[0])
    window = window_of_options(op, image, (weight.shape[2], weight.shape[3]), options)
    factor = np.float64(x.scale) * scales.astype(np.float64) / np.float64(y.scale)
    attributes = {
        **geometry(window),
        "x_zero": x.zero_point,
        "requantiser": builder.requantiser(op, factor),
        **builder.limits(op, options.FusedActivationFunction(), y),  # type: ignore[attr-defined]
    }
    bias = _bias(builder, op, len(weight))
    builder.add(op, operator, (builder.first(tensor), np.ascontiguousarray(filters), bias), attributes)


@_converts("CONV_2D")
def _conv(builder: Builder, op: TfliteOperator) -> None:
    weights, data = _weights(builder, op, 0)
    if data.ndim != 4:
        raise op.refuse(f"its weights {weights.name!r} must have 4 dimensions, not {data.ndim}")
    _convolution(builder, op, data.transpose(0, 3, 1, 2), weights.scale, op.options("Conv2DOptions"))


@_converts("DEPTHWISE_CONV_2D")
def _depthwise(builder: Builder, op: TfliteOperator) -> None:
    _, image = image_of(builder, op)
    weights, data = _weights(builder, op, 3)
    if data.ndim != 4 or data.shape[0] != 1 or data.shape[3] % image[1]:
        raise op.refuse(f"its weights {list(data.shape)} must be (1, H, W, a multiple of {image[1]} channels)")
    _convolution(builder, op, data.transpose(3, 0, 1, 2), weights.scale, op.options("DepthwiseConv2DOptions"))


@_converts("FULLY_CONNECTED")
def _dense(builder: Builder, op: TfliteOperator) -> None:
    options = op.options("FullyConnectedOptions")
    tensor, (weights, data) = builder.input(op, 0), _weights(builder, op, 0)
    x, y = builder.activation(op, tensor), builder.activation(op, op.outputs[0])
    if options.WeightsFormat() or data.ndim != 2 or prod(tensor.shape) % data.shape[1]:
        raise op.refuse(f"its weights {weights.name!r} must be (outputs, inputs) for {list(tensor.shape)}")
    factor = np.float64(x.scale) * weights.scale.astype(np.float64) / np.float64(y.scale)
    if len(weights.scale) == 1:  # TFLite multiplies in float32 here
        factor = (np.float32(x.scale) * weights.scale).astype(np.float64) / np.float64(y.scale)
    attributes = {
        "x_zero": x.zero_point,
        "requantiser": builder.requantiser(op, factor, single=builder.single_rounding),
        **builder.limits(op, options.FusedActivationFunction(), y),
    }
    rows = (prod(tensor.shape) // data.shape[1], data.shape[1])
    source = builder.last(tensor)
    if tensor.shape != rows:
        source = _reshaped(builder, op, source, f"{op.name}/rows", rows)
    inputs = (source, data, _bias(builder, op, len(data)))
    flat = (rows[0], len(data))
    if op.outputs[0].shape == flat:
        builder.add(op, "qdense", inputs, attributes)
        return
    names = [builder.define(Value.constant(f"{op.name}/{p}", a)) for p, a in enumerate(inputs[1:])]
    result = builder.define(Value(f"{op.name}/matrix", flat, np.dtype(np.int8), None, y))
    builder.nodes.append(Node(f"{op.name}/matrix", "qdense", (source, *names), (result,), attributes))
    _finish_reshape(builder, op, result)


def _reshaped(builder: Builder, op: TfliteOperator, source: str, name: str, shape: tuple[int, ...]) -> str:
    value = builder.values[source]
    wanted = builder.define(Value.constant(f"{name}/shape", np.array(shape, np.int64)))
    builder.define(value.replace(name=name, shape=shape, data=None))
    builder.nodes.append(Node(name, "Reshape", (source, wanted), (name,)))
    return name


def _finish_reshape(builder: Builder, op: TfliteOperator, source: str) -> None:
    """The result of `op` is `source` in another shape."""
    shape = np.array(op.outputs[0].shape, np.int64)
    wanted = builder.define(Value.constant(f"{op.name}/shape", shape))
    builder.add(op, "Reshape", (source, wanted), {}, form="last")


@_converts("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def _reshape(builder: Builder, op: TfliteOperator) -> None:
    tensor = builder.input(op, 0)
    if prod(tensor.shape) != prod(op.outputs[0].shape) or tensor.dtype != op.outputs[0].dtype:
        raise op.refuse(f"its result {list(op.outputs[0].shape)} must have the elements of {list(tensor.shape)}")
    _finish_reshape(builder, op, builder.last(tensor))


@_converts("ADD", "SUB")
def _sum(builder: Builder, op: TfliteOperator) -> None:
    options = op.options("AddOptions" if op.kind == "ADD" else "SubOptions")
    order = _order(builder, op)
    a, b = (builder.activation(op, builder.input(op, place)) for place in order)
    y = builder.activation(op, op.outputs[0])
    twice = 2 * max(a.scale, b.scale)
    factors = [builder.requantiser(op, x.scale / twice, pre_shift=SUM_SHIFT) for x in (a, b)]
    if op.kind == "SUB":
        factors[order.index(1)] = factors[order.index(1)].signed(np.array([-1]))
    attributes = {
        "a_zero": a.zero_point,
        "b_zero": b.zero_point,
        "a_requantiser": factors[0],
        "b_requantiser": factors[1],
        "requantiser": builder.requantiser(op, twice / ((1 << SUM_SHIFT) * y.scale)),
        **builder.limits(op, options.FusedActivationFunction(), y),
    }
    builder.add(op, "qadd", [_term(builder, op, place) for place in order], attributes)


@_converts("MUL")
def _product(builder: Builder, op: TfliteOperator) -> None:
    order = _order(builder, op)
    a, b = (builder.activation(op, builder.input(op, place)) for place in order)
    y = builder.activation(op, op.outputs[0])
    attributes = {
        "a_zero": a.zero_point,
        "b_zero": b.zero_point,
        "requantiser": builder.requantiser(op, np.float64(a.scale) * b.scale / y.scale),
        **builder.limits(op, op.options("MulOptions").FusedActivationFunction(), y),
    }
    builder.add(op, "qmul", [_term(builder, op, place) for place in order], attributes)


def _order(builder: Builder, op: TfliteOperator) -> tuple[int, int]:
    """The places of both terms, that of the result's shape first; the other may be a pixel of an image."""
    tensors, shape = [builder.input(op, position) for position in range(2)], op.outputs[0].shape
    if all(tensor.data is not None for tensor in tensors):
        raise op.refuse("one of its terms must be computed")
    whole = [tensor.data is not None or tensor.shape == shape for tensor in tensors]
    if all(whole):
        return 0, 1
    small = tensors[whole.index(False)]
    pixel = len(shape) == 4 and small.shape in ((1, 1, 1, shape[3]), (shape[0], 1, 1, shape[3]))
    if not any(whole) or not pixel:
        raise op.refuse(
            f"its term {small.name!r} must have the result's shape {list(shape)} or be a pixel, not {list(small.shape)}"
        )
    return (1, 0) if tensors[0] is small else (0, 1)


def _term(builder: Builder, op: TfliteOperator, position: int) -> str | np.ndarray:
    tensor, shape = builder.input(op, position), op.outputs[0].shape
    if tensor.data is None:
        return builder.first(tensor)
    whole = np.broadcast_to(builder.elements(tensor), shape)
    return np.ascontiguousarray(whole.transpose(0, 3, 1, 2) if len(shape) == 4 else whole)


def _same_scale(builder: Builder, op: TfliteOperator) -> Quantisation:
    """Of input 0, which the result must share."""
    x, y = builder.activation(op, builder.input(op, 0)), builder.activation(op, op.outputs[0])
    if x != y:
        raise op.refuse("its result must have the scale and zero point of its input")
    return y


@_converts("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(builder: Builder, op: TfliteOperator) -> None:
    options = op.options("Pool2DOptions")
    tensor, image = image_of(builder, op)
    y = _same_scale(builder, op)
    kernel = (options.FilterHeight(), options.FilterWidth())
    window = window_of_options(op, image, kernel, options, dilated=False)
    limits = builder.limits(op, options.FusedActivationFunction(), y)
    operator, attributes = "qmaxpool", {"kernel_shape": kernel, **geometry(window), "requantiser": None}
    if op.kind == "AVERAGE_POOL_2D":
        operator, attributes = counted_average(window, counts_of(window, image[2:]), Requantiser.from_average)
    builder.add(op, operator, (builder.first(tensor),), {**attributes, **limits, "x_zero": 0, "y_zero": 0})


@_converts("MEAN")
def _mean(builder: Builder, op: TfliteOperator) -> None:
    tensor, image = image_of(builder, op)
    axes = builder.elements(builder.input(op, 1)).reshape(-1)
    over = {int(axis) % 4 for axis in axes}
    if not over or over - {1, 2}:
        raise op.refuse(f"it must be over height or width (axes 1 and 2), not {axes.tolist()}")
    x, y = builder.activation(op, tensor), builder.activation(op, op.outputs[0])
    kernel = (image[2] if 1 in over else 1, image[3] if 2 in over else 1)
    attributes = {
        "kernel_shape": kernel,
        "x_zero": x.zero_point,
        "requantiser": Requantiser.from_mean(x.scale / y.scale, prod(kernel)),
        **builder.limits(op, ActivationFunctionType.NONE, y),
    }
    if len(op.outputs[0].shape) == 4:
        builder.add(op, "qavgpool", (builder.first(tensor),), attributes)
        return
    size = (image[2] // kernel[0], image[3] // kernel[1])
    pooled = Value(f"{op.name}/pooled", (*image[:2], *size), np.dtype(np.int8), None, y)
    source = builder.between(op, "qavgpool", builder.first(tensor), pooled, **attributes)
    if size != (1, 1):
        last = Value(f"{op.name}/last", (image[0], *size, image[1]), np.dtype(np.int8), None, y)
        source = builder.between(op, "Transpose", source, last, perm=(0, 2, 3, 1))
    _finish_reshape(builder, op, source)


@_converts("PAD", "PADV2")
def _pad(builder: Builder, op: TfliteOperator) -> None:
    tensor, _ = image_of(builder, op)
    y = _same_scale(builder, op)
    amounts = builder.elements(builder.input(op, 1))
    if amounts.shape != (4, 2) or np.any(amounts[[0, 3]]) or np.any(amounts < 0):
        raise op.refuse(f"it must pad height and width only, not {amounts.tolist()}")
    fill = y.zero_point
    if op.kind == "PADV2":
        fill = int(builder.elements(builder.input(op, 2)).reshape(-1)[0])
    (top, bottom), (left, right) = amounts[1:3].tolist()
    builder.add(op, "qpad", (builder.first(tensor),), {"pads": (top, left, bottom, right), "fill": fill})


@_converts("SOFTMAX")
def _softmax(builder: Builder, op: TfliteOperator) -> None:
    tensor = builder.input(op, 0)
    x, y = builder.activation(op, tensor), builder.activation(op, op.outputs[0])
    beta = np.float32(op.options("SoftmaxOptions").Beta())
    attributes = {"x_scale": float(np.float32(x.scale) * beta), "y_scale": y.scale, "y_zero": y.zero_point}
    builder.add(op, "qsoftmax", (builder.last(tensor),), attributes, form="last")


@_converts("RELU", "RELU6", "RELU_N1_TO_1")
def _limit(builder: Builder, op: TfliteOperator) -> None:
    _rescale(builder, op, getattr(ActivationFunctionType, op.kind))


@_converts("QUANTIZE")
def _quantise(builder: Builder, op: TfliteOperator) -> None:
    tensor = builder.input(op, 0)
    if tensor.dtype == np.int8:
        _rescale(builder, op, ActivationFunctionType.NONE)
        return
    y = builder.activation(op, op.outputs[0])
    if tensor.dtype != np.float32:
        raise op.refuse(f"tensor {tensor.name!r} must be float32 or int8, not {tensor.dtype}")
    attributes = {"scale": y.scale, "zero_point": y.zero_point}
    builder.add(op, "round_to_int8", (builder.last(tensor),), attributes, form="last")


@_converts("DEQUANTIZE")
def _dequantise(builder: Builder, op: TfliteOperator) -> None:
    tensor = builder.input(op, 0)
    x = builder.activation(op, tensor)
    parameters = (np.array(x.scale, np.float32), np.array(x.zero_point, np.int8))
    builder.add(op, "DequantizeLinear", (builder.last(tensor), *parameters), {}, form="last")


def _rescale(builder: Builder, op: TfliteOperator, activation: int) -> None:
    tensor = builder.input(op, 0)
    x, y = builder.activation(op, tensor), builder.activation(op, op.outputs[0])
    attributes = {
        "x_zero": x.zero_point,
        "requantiser": None if x.scale == y.scale else builder.requantiser(op, x.scale / y.scale),
        **builder.limits(op, activation, y),
    }
    builder.add(op, "qrescale", (builder.first(tensor),), attributes)
