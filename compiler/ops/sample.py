"""Sampling at places that are computed: GridSample and RoiAlign."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, given
from .registry import operator, refuse

__all__: list[str] = []


def _reflected(x: Expr, low: float, high: float) -> Expr:
    span = high - low
    if span <= 0:
        return x * 0.0 + low
    shifted = x - low
    folded = shifted - te.floor(shifted / (2 * span)) * (2 * span)
    return te.where(folded > span, 2 * span - folded, folded) + low


def _cubic(t: Expr) -> list[Expr]:
    """Weights of the four neighbours, coefficient −0.75."""
    a = -0.75
    steps = [t + 1.0, t, 1.0 - t, 2.0 - t]
    return [
        ((s * a - 5 * a) * s + 8 * a) * s - 4 * a if n in (0, 3) else ((s * (a + 2)) - (a + 3)) * s * s + 1.0
        for n, s in enumerate(steps)
    ]


@operator("GridSample")
class GridSample(DerivedOperator):
    """(N, C, …) at the places of (N, …, dimensions): nearest, linear or cubic; zeros, border or reflection outside."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, grid = given(node, arguments), given(node, arguments, 1)
        sizes, rank = x.shape[2:], len(x.shape) - 2
        mode = {"bilinear": "linear", "bicubic": "cubic"}.get(node.get("mode", "linear"), node.get("mode", "linear"))
        padding, aligned = node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))
        if mode not in ("nearest", "linear", "cubic") or padding not in ("zeros", "border", "reflection"):
            raise refuse(node, f"its mode {mode} or padding_mode {padding} is not known")
        limits = [(0.0, size - 1.0) if aligned else (-0.5, size - 0.5) for size in sizes]

        def coordinate(n: Expr, index: Sequence[Expr], d: int) -> Expr:
            at = grid[(n, *index, rank - 1 - d)].astype("float64")
            size = sizes[d]
            place = (at + 1.0) * ((size - 1) / 2) if aligned else ((at + 1.0) * float(size) - 1.0) * 0.5
            if mode == "nearest":
                place = te.round(place)
            if padding == "border":
                return te.where(
                    te.all_of(place >= limits[d][0], place <= limits[d][1]), place, te.clamp(place, 0.0, size - 1.0)
                )
            if padding == "reflection":
                inside = te.all_of(place >= limits[d][0], place <= limits[d][1])
                return te.where(inside, place, _reflected(place, *limits[d]))
            return place

        def pixel(n: Expr, c: Expr, places: Sequence[Expr]) -> Expr:
            inside, at = [], []
            for d, place in enumerate(places):
                if padding == "zeros":
                    inside += [place >= 0.0, place <= sizes[d] - 1.0]
                elif padding == "reflection":
                    within = te.all_of(place >= limits[d][0], place <= limits[d][1])
                    place = te.where(within, place, _reflected(place, *limits[d]))
                at.append(te.clamp(te.clamp(place, 0.0, sizes[d] - 1.0).astype("int64"), 0, sizes[d] - 1))
            value = x[(n, c, *at)].astype("float64")
            return te.where(te.all_of(*inside), value, 0.0) if inside else value

        def element(n: Expr, c: Expr, *index: Expr) -> Expr:
            places = [coordinate(n, index, d) for d in range(rank)]
            if mode == "nearest":
                return pixel(n, c, places).astype(x.dtype)
            total: Expr | None = None
            taps = [_taps(mode, place) for place in places]
            for chosen in product(*taps):
                weight: Any = 1.0
                for _, factor in chosen:
                    weight = factor * weight
                term = pixel(n, c, [place for place, _ in chosen]) * weight
                total = term if total is None else total + term
            assert total is not None
            return total.astype(x.dtype)

        return [te.compute((*x.shape[:2], *grid.shape[1:-1]), element)]


def _taps(mode: str, place: Expr) -> list[tuple[Expr, Expr]]:
    """(place, weight) of the neighbours along one dimension."""
    whole = te.floor(place)
    part = place - whole
    if mode == "linear":
        return [(whole, 1.0 - part), (whole + 1.0, part)]
    return [(whole + float(n - 1), weight) for n, weight in enumerate(_cubic(part))]
