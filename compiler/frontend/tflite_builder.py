"""The graph of a TFLite model in the making: names, layouts, and what quantised tensors must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tflite import ActivationFunctionType

from ...errors import TilewrightError
from ..graph import Graph, Node, Quantisation, Value
from ..requantise import Requantiser
from .tflite_file import TfliteModel, TfliteOperator, TfliteTensor

__all__ = ["Builder"]

_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_MOST_CONSTANT_BYTES = 1 << 30
_LIMITS = {
    ActivationFunctionType.NONE: (None, None),
    ActivationFunctionType.RELU: (0.0, None),
    ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    ActivationFunctionType.RELU6: (0.0, 6.0),
}


class Builder:
    """Images (4 dimensions) have channels first inside the graph, and last where the file's own order matters.

    Both forms of a tensor are made where they are asked for. What enters or leaves the model keeps its name and
    order.

    Members
    -------
    single_rounding
        Whether fully connected layers round once.
    """

    def __init__(self, model: TfliteModel, *, single_rounding: bool) -> None:
        self.model = model
        self.single_rounding = single_rounding
        self.values: dict[str, Value] = {}
        self.nodes: list[Node] = []
        self._users = {tensor.index for tensor in (*model.inputs, *model.outputs)}
        self._forms: dict[tuple[int, str], str] = {}
        self._constant_bytes = 0
        for tensor in model.inputs:
            self._declare(tensor, "last")

    def graph(self) -> Graph:
        inputs = tuple(tensor.name for tensor in self.model.inputs)
        outputs = tuple(self.last(tensor) for tensor in self.model.outputs)
        return Graph(self.model.name, self.values, tuple(self.nodes), inputs, outputs)

    def _declare(self, tensor: TfliteTensor, form: str) -> str:
        """A new value for one form of `tensor`."""
        image, user = len(tensor.shape) == 4, tensor.index in self._users
        if not image:
            form = "last"
        plain = not image or user == (form == "last")
        name = tensor.name if plain else f"{tensor.name}/{form}"
        shape = tuple(tensor.shape[d] for d in _TO_FIRST) if form == "first" else tensor.shape
        meaning = None
        if len(tensor.scale) == 1:
            meaning = Quantisation(float(tensor.scale[0]), int(tensor.zero_point[0]))
        self.define(Value(name, shape, tensor.dtype, None, meaning))
        self._forms[tensor.index, form] = name
        return name

    def define(self, value: Value) -> str:
        if value.name in self.values:
            raise TilewrightError(f"tensor {value.name!r} of model {self.model.name} must be defined once")
        self.values[value.name] = value
        return value.name

    def first(self, tensor: TfliteTensor) -> str:
        """The name of `tensor`, channels first."""
        return self._form(tensor, "first", "last", _TO_FIRST)

    def last(self, tensor: TfliteTensor) -> str:
        """The name of `tensor` as the file has it."""
        return self._form(tensor, "last", "first", _TO_LAST)

    def _form(self, tensor: TfliteTensor, form: str, other: str, order: tuple[int, ...]) -> str:
        if len(tensor.shape) != 4:
            form = "last"
        name = self._forms.get((tensor.index, form))
        if name is not None:
            return name
        if tensor.data is not None:
            return self._constant(tensor, form)
        source = self._forms.get((tensor.index, other))
        if source is None:
            raise TilewrightError(
                f"tensor {tensor.name!r} of model {self.model.name} is used, but nothing before computes it"
            )
        name = self._declare(tensor, form)
        self.nodes.append(
            Node(f"{name.rpartition(';')[2]}/transpose", "Transpose", (source,), (name,), {"perm": order})
        )
        return name

    def _constant(self, tensor: TfliteTensor, form: str) -> str:
        name = self._declare(tensor, form)
        data = self.elements(tensor)
        turned = np.ascontiguousarray(data.transpose(_TO_FIRST)) if form == "first" else data
        self.values[name] = self.values[name].replace(data=turned)
        return name

    def elements(self, tensor: TfliteTensor) -> np.ndarray:
        """A constant's elements; all that are asked for are counted, so that a small file can't ask for the world."""
        if tensor.data is None:
            raise TilewrightError(f"tensor {tensor.name!r} of model {self.model.name} must be constant")
        self._constant_bytes += tensor.data.nbytes
        if self._constant_bytes > _MOST_CONSTANT_BYTES:
            raise TilewrightError(
                f"model {self.model.name} must have at most {_MOST_CONSTANT_BYTES} bytes of constants"
            )
        return tensor.data

    def add(
        self,
        op: TfliteOperator,
        operator: str,
        inputs: Sequence[str | np.ndarray],
        attributes: Mapping[str, Any],
        *,
        form: str = "first",
    ) -> None:
        """A node for `op`, whose result has `form`; arrays become constants."""
        names = self._names(op.name, inputs)
        result = self._declare(op.outputs[0], form)
        self.nodes.append(Node(op.name, operator, names, (result,), attributes))

    def before_activation(
        self,
        op: TfliteOperator,
        operator: str,
        inputs: Sequence[str | np.ndarray],
        attributes: Mapping[str, Any],
        *,
        form: str,
    ) -> str:
        """As :meth:`add`, for a result that an activation follows; its name."""
        tensor, name = op.outputs[0], f"{op.name}/linear"
        shape = (
            tuple(tensor.shape[d] for d in _TO_FIRST) if form == "first" and len(tensor.shape) == 4 else tensor.shape
        )
        names = self._names(name, inputs)
        self.define(Value(name, shape, tensor.dtype))
        self.nodes.append(Node(name, operator, names, (name,), attributes))
        return name

    def _names(self, owner: str, inputs: Sequence[str | np.ndarray]) -> tuple[str, ...]:
        return tuple(
            self.define(Value.constant(f"{owner}/constant{position}", given))
            if isinstance(given, np.ndarray)
            else given
            for position, given in enumerate(inputs)
        )

    def between(self, op: TfliteOperator, operator: str, source: str, value: Value, **attributes: Any) -> str:
        """A node before that of `op`, and its result's name."""
        self.nodes.append(Node(value.name, operator, (source,), (self.define(value),), attributes))
        return value.name

    def input(self, op: TfliteOperator, position: int) -> TfliteTensor:
        tensor = op.inputs[position] if position < len(op.inputs) else None
        if tensor is None:
            raise op.refuse(f"it must have an input {position}")
        return tensor

    def activation(self, op: TfliteOperator, tensor: TfliteTensor) -> Quantisation:
        """Scale and zero point of `tensor`, which must be int8 with one of each."""
        if tensor.dtype != np.int8:
            raise op.refuse(f"tensor {tensor.name!r} must be int8, not {tensor.dtype}: quantise the model to int8")
        if len(tensor.scale) != 1 or not -128 <= tensor.zero_point[0] <= 127:
            raise op.refuse(f"tensor {tensor.name!r} must be quantised with one scale and an int8 zero point")
        if len(tensor.shape) > 4:
            raise op.refuse(f"tensor {tensor.name!r} must have at most 4 dimensions, not {len(tensor.shape)}")
        return Quantisation(float(tensor.scale[0]), int(tensor.zero_point[0]))

    def limits(self, op: TfliteOperator, activation: int, y: Quantisation) -> dict[str, int]:
        """The attributes that every integer operator ends with, for a fused activation."""
        if activation not in _LIMITS:
            raise op.refuse(f"its fused activation must be none, ReLU, ReLU6 or ReLU from −1 to 1, not {activation}")
        low, high = _LIMITS[activation]
        minimum = -128 if low is None else max(-128, _in_steps(low, y))
        maximum = 127 if high is None else min(127, _in_steps(high, y))
        return {"y_zero": y.zero_point, "minimum": min(minimum, 127), "maximum": max(maximum, -128)}

    def requantiser(self, op: TfliteOperator, factor: Any, **options: Any) -> Requantiser:
        """See :meth:`Requantiser.from_tflite`."""
        try:
            return Requantiser.from_tflite(factor, **options)
        except OverflowError as error:
            raise op.refuse(f"its scales must lie closer together: {error}") from None


def _in_steps(limit: float, y: Quantisation) -> int:
    size = np.float32(limit) / np.float32(y.scale)
    return int(np.copysign(np.floor(abs(float(size)) + 0.5), size)) + y.zero_point
