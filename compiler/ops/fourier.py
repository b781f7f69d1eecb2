"""Discrete Fourier transforms, from their definition, with tables made at compile time."""

from __future__ import annotations

import numpy as np

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, constant_input, given, optional
from .reduce import normalised_axes
from .registry import operator, refuse

__all__: list[str] = []

_MOST_TURNS = 1 << 24


@operator("DFT")
class FourierTransform(DerivedOperator):
    """(…, 1) real or (…, 2) complex → complex; zeros are appended or elements cut to dft_length."""

    parameters = (1, 2)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, rank = given(node, arguments), len(given(node, arguments).shape)
        length, given_axis = (constant_input(node, arguments, n, what) for n, what in ((1, "dft_length"), (2, "axis")))
        axis = (
            int(given_axis.reshape(()))
            if given_axis is not None
            else node.get("axis", 1 if "axis" in node.attributes or node.get("opset", 20) < 20 else -2)
        )
        (place,) = normalised_axes(node, [axis], rank)
        inverse, onesided = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
        if inverse and onesided:
            return [_real_inverse(node, x, place, length)]
        n = x.shape[place] if length is None else int(length.reshape(()))
        count = n // 2 + 1 if onesided else n
        used = min(n, x.shape[place])
        turns = _turns(node, count, used, n)
        size = 1 / n if inverse else 1.0
        cosine = te.constant((np.cos(turns) * size).astype(x.dtype))
        sine = te.constant((np.sin(turns) * (size if inverse else -size)).astype(x.dtype))
        k = te.reduce_axis(used)

        def element(*index: Expr) -> Expr:
            at = (*index[:place], k, *index[place + 1 : -1])
            real, i = x[(*at, 0)], index[place]
            first, second = real * cosine[i, k], real * sine[i, k]
            if x.shape[-1] == 2:
                imaginary = x[(*at, 1)]
                first, second = first - imaginary * sine[i, k], second + imaginary * cosine[i, k]
            return te.sum(te.where(te.equal(index[-1], 0), first, second), k)

        return [te.compute((*x.shape[:place], count, *x.shape[place + 1 : -1], 2), element)]


@operator("STFT")
class ShortTimeTransform(DerivedOperator):
    """(batch, length, 1) real → (batch, frames, bins, 2): a transform of every window of frame_length."""

    parameters = (1, 3)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, window = given(node, arguments), optional(arguments, 2)
        step, length = (
            constant_input(node, arguments, n, what) for n, what in ((1, "frame_step"), (3, "frame_length"))
        )
        n = int(length.reshape(())) if length is not None else window.shape[0] if window is not None else x.shape[1]
        hop = 1 if step is None else int(step.reshape(()))
        if hop < 1 or not 1 <= n <= x.shape[1] or len(x.shape) != 3 or x.shape[2] != 1:
            raise refuse(
                node, f"its frames of {n} must fit its real signal {list(x.shape)}, and its frame_step be positive"
            )
        count = n // 2 + 1 if node.get("onesided", 1) else n
        turns = _turns(node, count, n, n)
        cosine, sine = te.constant(np.cos(turns).astype(x.dtype)), te.constant(-np.sin(turns).astype(x.dtype))
        k = te.reduce_axis(n)

        def element(b: Expr, frame: Expr, i: Expr, part: Expr) -> Expr:
            value = x[b, frame * hop + k, 0]
            if window is not None:
                value = value * window[k]
            return te.sum(value * te.where(te.equal(part, 0), cosine[i, k], sine[i, k]), k)

        return [te.compute((x.shape[0], (x.shape[1] - n) // hop + 1, count, 2), element)]


def _turns(node: Node, results: int, terms: int, n: int) -> np.ndarray:
    """The angle of each term in each result, float64 (results, terms)."""
    if n < 1 or results * terms > _MOST_TURNS:
        raise refuse(node, f"its transform must be of 1 to {_MOST_TURNS} terms in all, not of {results} × {terms}")
    return np.outer(np.arange(results), np.arange(terms)) * (2 * np.pi / n)


def _real_inverse(node: Node, x: te.Tensor, place: int, length: np.ndarray | None) -> te.Tensor:
    """The real signal whose spectrum's first half `x` is."""
    n = 2 * (x.shape[place] - 1) if length is None else int(length.reshape(()))
    used = min(n // 2 + 1, x.shape[place])
    turns = _turns(node, n, used, n)
    weights = np.array([1.0 if k in (0, n - k) else 2.0 for k in range(used)]) / n
    cosine, sine = (te.constant((table(turns) * weights).astype(x.dtype)) for table in (np.cos, np.sin))
    k = te.reduce_axis(used)

    def element(*index: Expr) -> Expr:
        at, i = (*index[:place], k, *index[place + 1 : -1]), index[place]
        return te.sum(x[(*at, 0)] * cosine[i, k] - x[(*at, 1)] * sine[i, k], k)

    return te.compute((*x.shape[:place], n, *x.shape[place + 1 : -1], 1), element)
