"""Operators that move or rename elements: Reshape and its like, Transpose, Identity."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from .. import te
from ..graph import Node, Value
from ..te import layout
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site

__all__ = ["RESHAPES"]

RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def _requested(node: Node, arguments: Sequence[Value | None]) -> list[int]:
    """The constant second input as a list."""
    request = arguments[1] if len(arguments) > 1 else None
    if request is None or request.data is None:
        raise refuse(node, "its second input (shape or axes) must be a constant")
    return [int(entry) for entry in request.data.reshape(-1)]


def _reshaped(node: Node, shape: tuple[int, ...], arguments: Sequence[Value | None]) -> tuple[int, ...]:
    request = _requested(node, arguments)
    if not node.get("allowzero", 0):
        if any(size == 0 and d >= len(shape) for d, size in enumerate(request)):
            raise refuse(node, f"it must keep only dimensions that exist, not {request} of {list(shape)}")
        request = [shape[d] if size == 0 else size for d, size in enumerate(request)]
    rest = prod(size for size in request if size != -1)
    if request.count(-1) == 1 and rest and prod(shape) % rest == 0:
        request[request.index(-1)] = prod(shape) // rest
    if any(size < 0 for size in request) or prod(request) != prod(shape):
        raise refuse(node, f"it must keep the {prod(shape)} elements of {list(shape)}, not make {request}")
    return tuple(request)


def _squeezed(node: Node, shape: tuple[int, ...], arguments: Sequence[Value | None]) -> tuple[int, ...]:
    axes = [d for d, size in enumerate(shape) if size == 1] if len(node.inputs) < 2 else _requested(node, arguments)
    axes = [axis % len(shape) for axis in axes]
    if any(shape[axis] != 1 for axis in axes):
        raise refuse(node, f"its axes {axes} must have size 1 in {list(shape)}")
    return tuple(size for d, size in enumerate(shape) if d not in axes)


def _unsqueezed(node: Node, shape: tuple[int, ...], arguments: Sequence[Value | None]) -> tuple[int, ...]:
    axes = _requested(node, arguments)
    rank = len(shape) + len(axes)
    places = {axis % rank for axis in axes}
    rest = iter(shape)
    return tuple(1 if d in places else next(rest) for d in range(rank))


def _moved(site: Site) -> Lowered | None:
    """The same movement of the integers, where scale and zero point stay."""
    if not site.keeps(site.quantised(0)[1]):
        return None
    return Lowered(site.node.operator, site.node_inputs(), dict(site.node.attributes))


@operator(*RESHAPES)
class Reshape(Operator):
    parameters = (1,)

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data = arguments[0]
        assert data is not None
        shape = data.known_shape
        if node.operator == "Reshape":
            result = _reshaped(node, shape, arguments)
        elif node.operator == "Flatten":
            axis = node.get("axis", 1)
            axis = axis + len(shape) if axis < 0 else axis
            result = (prod(shape[:axis]), prod(shape[axis:]))
        elif node.operator == "Squeeze":
            result = _squeezed(node, shape, arguments)
        elif node.operator == "Unsqueeze":
            result = _unsqueezed(node, shape, arguments)
        else:
            result = shape
        return [Signature(result, data.known_dtype)]

    def _shape(self, node: Node, arguments: Sequence[np.ndarray | te.Tensor | None]) -> tuple[int, ...]:
        values: list[Value | None] = []
        for given in arguments:
            data = given.data if isinstance(given, te.Tensor) else given
            known = None if given is None else Value("", tuple(given.shape), np.dtype(str(given.dtype)))
            values.append(known.replace(data=data) if known is not None and isinstance(data, np.ndarray) else known)
        return self.infer(node, values)[0].shape

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        assert arguments[0] is not None
        return [arguments[0].reshape(self._shape(node, arguments))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        assert arguments[0] is not None
        return [layout.reshape(arguments[0], self._shape(node, arguments))]

    def quantise(self, site: Site) -> Lowered | None:
        return _moved(site)


@operator("Transpose")
class Transpose(Operator):
    def _permutation(self, node: Node, rank: int) -> tuple[int, ...]:
        permutation = tuple(node.get("perm", tuple(reversed(range(rank)))))
        if sorted(permutation) != list(range(rank)):
            raise refuse(node, f"its perm must be a permutation of {rank} dimensions, not {list(permutation)}")
        return permutation

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data = arguments[0]
        assert data is not None
        shape = data.known_shape
        return [Signature(tuple(shape[d] for d in self._permutation(node, len(shape))), data.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data = arguments[0]
        assert data is not None
        return [np.transpose(data, self._permutation(node, data.ndim))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data = arguments[0]
        assert data is not None
        return [layout.transpose(data, self._permutation(node, len(data.shape)))]

    def quantise(self, site: Site) -> Lowered | None:
        return _moved(site)
