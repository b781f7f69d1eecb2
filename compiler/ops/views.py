"""Tensor expressions that only look at another tensor in another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import te

__all__ = ["reshaped"]


def _strides(shape: Sequence[int]) -> list[int]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]


def reshaped(tensor: te.Tensor, shape: Sequence[int]) -> te.Tensor:
    """The elements of `tensor`, in C order, as `shape`."""
    if tuple(shape) == tensor.shape:
        return tensor
    sources = list(zip(_strides(tensor.shape), tensor.shape, strict=True))

    def element(*index: Any) -> Any:
        flat: Any = 0
        for place, stride in zip(index, _strides(shape), strict=True):
            flat = flat + place * stride
        return tensor[tuple(flat // stride % size for stride, size in sources)]

    return te.compute(shape, element)
