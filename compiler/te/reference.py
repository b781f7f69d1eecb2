"""An expression's meaning, evaluated with NumPy: slow, plain, and independent of schedules and code generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import UnsupportedOperator
from .expr import Axis, Binary, Bits, Cast, Compare, Const, Expr, Load, Math, Reduce, Select
from .tensor import Tensor

__all__ = ["evaluate"]

_MOST_POINTS = 1 << 27

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.mod,
    "min": lambda a, b: np.where(a < b, a, b),
    "max": lambda a, b: np.where(a > b, a, b),
    "shl": np.left_shift,
    "shr": np.right_shift,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
_MATH: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "abs": np.abs,
}
_REDUCE: dict[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


def evaluate(outputs: Sequence[Tensor], feeds: Mapping[Tensor, np.ndarray]) -> list[np.ndarray]:
    """The values of `outputs` given those of the placeholders they need."""
    values: dict[Tensor, np.ndarray] = dict(feeds)
    with np.errstate(all="ignore"):
        return [_tensor(tensor, values) for tensor in outputs]


def _tensor(tensor: Tensor, values: dict[Tensor, np.ndarray]) -> np.ndarray:
    if tensor not in values:
        if tensor.data is not None:
            values[tensor] = tensor.data
        elif tensor.body is None:
            raise ValueError(f"{tensor.name} must be fed")
        else:
            axes = [*tensor.axes, *tensor.reduce_axes]
            if prod(axis.extent for axis in axes) > _MOST_POINTS:
                raise UnsupportedOperator(
                    f"tensor {tensor.name} has more than {_MOST_POINTS} steps: too many for NumPy"
                )
            grid = {axis: _along(axis.extent, d, len(axes)) for d, axis in enumerate(axes)}
            body = tensor.body.body if isinstance(tensor.body, Reduce) else tensor.body
            result = np.broadcast_to(_value(body, grid, values), [axis.extent for axis in axes])
            if isinstance(tensor.body, Reduce):
                over = tuple(range(len(tensor.axes), len(axes)))
                kept = {"dtype": tensor.dtype} if tensor.body.op in ("sum", "prod") else {}
                result = _REDUCE[tensor.body.op](result, axis=over, **kept)
            values[tensor] = np.asarray(result, tensor.dtype).reshape(tensor.shape)
    return values[tensor]


def _along(extent: int, dimension: int, rank: int) -> np.ndarray:
    return np.arange(extent, dtype=np.int64).reshape([extent if d == dimension else 1 for d in range(rank)])


def _value(node: Expr, grid: Mapping[Axis, np.ndarray], values: dict[Tensor, np.ndarray]) -> Any:
    if isinstance(node, Axis):
        return grid[node]
    if isinstance(node, Const):
        return np.asarray(node.value, node.dtype)
    if isinstance(node, Load):
        array = _tensor(node.tensor, values)
        # A choice evaluates both branches here, so an index may lie outside where its value is not taken.
        places = [
            np.clip(_value(i, grid, values), 0, size - 1) for i, size in zip(node.indices, array.shape, strict=True)
        ]
        return array[tuple(np.broadcast_arrays(*places))] if places else array[()]
    parts = [_value(child, grid, values) for child in node.children]
    if isinstance(node, Select):
        return np.where(*parts)
    if isinstance(node, Bits):
        return np.asarray(parts[0], node.value.dtype).view(node.dtype)
    if isinstance(node, Cast):
        return np.asarray(parts[0]).astype(node.dtype)
    if isinstance(node, Math):
        return np.asarray(_MATH[node.function](parts[0]), node.dtype)
    table = _COMPARE if isinstance(node, Compare) else _BINARY
    assert isinstance(node, (Binary, Compare))
    return np.asarray(table[node.op](*parts), node.dtype)
