"""Operators whose tensor expression says everything: shape and dtype are those of the expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import te
from ..graph import Node, Value
from .registry import Arrays, Operator, Signature, refuse

__all__ = ["DerivedOperator", "Expr", "Tensors", "broadcast", "constant_input", "elementwise", "given", "optional"]

Tensors = Sequence[te.Tensor | None]
Expr = te.Expr


class DerivedOperator(Operator):
    """Subclasses define :meth:`expression`; the rest follows, and may be overridden where NumPy has the operator."""

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        results = self.expression(node, [_tensor(node, value) for value in arguments])
        return [Signature(result.shape, np.dtype(result.dtype)) for result in results[: len(node.outputs)]]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        tensors = [None if array is None else te.constant(array) for array in arguments]
        return te.evaluate(self.expression(node, tensors)[: len(node.outputs)], {})


def _tensor(node: Node, value: Value | None) -> te.Tensor | None:
    if value is None:
        return None
    if value.known_dtype.name not in te.DTYPES:
        raise refuse(node, f"its inputs must be of {', '.join(te.DTYPES)}, not {value.dtype}")
    if value.data is not None:
        return te.constant(value.data)
    return te.placeholder(value.known_shape, value.known_dtype.name, value.name)


def optional(arguments: Tensors, position: int) -> te.Tensor | None:
    """The argument, None where it is left out."""
    return arguments[position] if len(arguments) > position else None


def given(node: Node, arguments: Tensors, position: int = 0) -> te.Tensor:
    """The argument, which must not be left out."""
    found = optional(arguments, position)
    if found is None:
        raise refuse(node, f"its input {position} must be given")
    return found


def constant_input(node: Node, arguments: Sequence[Any], position: int, what: str) -> np.ndarray | None:
    """The elements of a constant argument, None where it is left out.

    Raises
    ------
    UnsupportedOperator
        They are computed: the result's shape would depend on data.
    """
    found = arguments[position] if len(arguments) > position else None
    if found is None or isinstance(found, np.ndarray):
        return found
    if found.data is None:
        raise refuse(node, f"its {what} (input {position}) must be a constant: shapes must not depend on data")
    return np.asarray(found.data)


def broadcast(tensor: te.Tensor, index: Sequence[Any]) -> Expr:
    """The element of `tensor` at `index` of a shape that it is broadcast to."""
    tail = index[len(index) - len(tensor.shape) :]
    return tensor[tuple(0 if size == 1 else i for size, i in zip(tensor.shape, tail, strict=True))]


def elementwise(function: Any, *tensors: te.Tensor) -> te.Tensor:
    """``function(element, …)`` for all elements, broadcast."""
    shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    return te.compute(shape, lambda *index: function(*(broadcast(tensor, index) for tensor in tensors)))
