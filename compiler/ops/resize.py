"""Resize and Upsample: one dimension after the other, with tables of places and weights made at compile time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, constant_input, given
from .registry import operator, refuse

__all__: list[str] = []

_LONGEST = 1 << 16


@dataclass(frozen=True)
class _Line:
    """How one dimension is resampled; the region of interest is a part of it, from 0 to 1."""

    size: int
    output: int
    scale: float
    region: tuple[float, float]

    def origin(self, node: Node, place: int) -> float:
        """Where output `place` lies in the input."""
        mode, length = node.get("coordinate_transformation_mode", "half_pixel"), self.scale * self.size
        if mode == "align_corners":
            return 0.0 if length == 1 else place * (self.size - 1) / (length - 1)
        if mode == "asymmetric":
            return place / self.scale
        if mode == "tf_crop_and_resize":
            first, last = self.region
            if length == 1:
                return (last + first) * (self.size - 1) / 2
            return first * (self.size - 1) + place * (last - first) * (self.size - 1) / (length - 1)
        centre = (place + 0.5) / self.scale - 0.5
        if mode == "pytorch_half_pixel":
            return -0.5 if length == 1 else centre
        if mode == "half_pixel_symmetric":
            return self.size / 2 * (1 - self.output / length) + centre
        if mode == "half_pixel":
            return centre
        raise refuse(node, f"its coordinate_transformation_mode {mode} is not known")


def _nearest(node: Node, ratio: float) -> np.ndarray:
    upper = {
        "round_prefer_floor": ratio > 0.5,
        "round_prefer_ceil": ratio >= 0.5,
        "floor": False,
        "ceil": True,
    }.get(node.get("nearest_mode", "round_prefer_floor"))
    if upper is None:
        raise refuse(node, f"its nearest_mode {node['nearest_mode']} is not known")
    return np.array([0.0, 1.0]) if upper or ratio == 1 else np.array([1.0, 0.0])


def _kernel(node: Node, ratio: float, scale: float) -> np.ndarray:
    """Weights of the neighbours; with antialias of as many as one output covers."""
    mode = node.get("mode", "nearest")
    if mode == "nearest":
        return _nearest(node, ratio)
    reach = {"linear": 1, "cubic": 2}.get(mode)
    if reach is None:
        raise refuse(node, f"its mode must be nearest, linear or cubic, not {mode}")
    shrink = min(scale, 1.0) if node.get("antialias", 0) else 1.0
    first = floor(-reach / shrink) + 1
    distance = np.abs((np.arange(first, 2 - first) - ratio) * shrink)
    if mode == "linear":
        weights = np.clip(1 - distance, 0, 1)
    else:
        a = node.get("cubic_coeff_a", -0.75)
        inner = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        outer = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        weights = np.where(distance <= 1, inner, np.where(distance < 2, outer, 0))
    return np.asarray(weights / weights.sum() if shrink < 1 else weights)


def _neighbours(origin: float, count: int, size: int) -> np.ndarray:
    """The `count` places nearest to `origin`, the lower of two equally near first; in order."""
    margin = ceil(count / 2)
    middle = min(max(floor(origin), -margin), size + margin - 1)
    near = range(max(-margin, middle - count), min(size + margin, middle + count + 2))
    places = sorted(near, key=lambda place: (abs(origin - place), place))[:count]
    return np.array(sorted(places))


def _tables(node: Node, line: _Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (outputs, taps), their weights, and which outputs lie outside the input."""
    if line.output > _LONGEST:
        raise refuse(
            node, f"its result must have at most {_LONGEST} elements in a resized dimension, not {line.output}"
        )
    origins = [line.origin(node, place) for place in range(line.output)]
    places, weights = [], []
    for origin in origins:
        ratio = 1.0 if float(origin).is_integer() else origin - floor(origin)
        kernel = _kernel(node, ratio, line.scale)
        near = _neighbours(origin, len(kernel), line.size)
        if node.get("exclude_outside", 0):
            kernel = np.where((near < 0) | (near >= line.size), 0, kernel)
            kernel = kernel / kernel.sum()
        places.append(np.clip(near, 0, line.size - 1))
        weights.append(kernel)
    outside = [not 0 <= origin <= line.size - 1 for origin in origins]
    return np.array(places, np.int64), np.array(weights), np.array(outside)


def _lines(node: Node, shape: Sequence[int], arguments: Tensors) -> list[_Line]:
    rank = len(shape)
    axes = [int(axis) % rank for axis in node.get("axes", range(rank))]
    roi, scales, sizes = (
        None if found is None or not found.size else found.reshape(-1).tolist()
        for found in (constant_input(node, arguments, 1 + n, what) for n, what in enumerate(("roi", "scales", "sizes")))
    )
    by_axis = {d: (shape[d], 1.0) for d in range(rank)}
    if sizes is not None:
        factors = [size / shape[axis] for axis, size in zip(axes, sizes, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            same = min(factors) if policy == "not_larger" else max(factors)
            factors, sizes = [same] * len(axes), [floor(same * shape[axis] + 0.5) for axis in axes]
        by_axis.update(zip(axes, zip(map(int, sizes), factors, strict=True), strict=True))
    elif scales is not None:
        by_axis.update({axis: (floor(shape[axis] * scale), scale) for axis, scale in zip(axes, scales, strict=True)})
    else:
        raise refuse(node, "its scales or sizes must be given")
    regions = dict.fromkeys(range(rank), (0.0, 1.0))
    if roi is not None and len(roi) == 2 * len(axes):
        regions.update({axis: (roi[n], roi[len(axes) + n]) for n, axis in enumerate(axes)})
    return [_Line(shape[d], *by_axis[d], regions[d]) for d in range(rank)]


@operator("Resize", "Upsample")
class Resize(DerivedOperator):
    """Modes nearest, linear and cubic, with every transformation of coordinates; integers round down."""

    parameters = (1, 2, 3)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        lines = _lines(node, x.shape, self._arranged(node, arguments))
        crop = node.get("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
        result, outside = x, {}
        for d, line in enumerate(lines):
            if line.output == line.size and line.scale == 1 and not crop:
                continue
            places, weights, beyond = _tables(node, line)
            result = _resampled(node, result, d, places, weights)
            if crop and beyond.any():
                outside[d] = te.constant(beyond)
        if result is x:
            return [te.compute(x.shape, lambda *index: x[index])]
        if not outside:
            return [te.compute(result.shape, lambda *index: result[index].astype(x.dtype))]
        fill, inner = te.Const(node.get("extrapolation_value", 0.0), result.dtype), result

        def element(*index: Expr) -> Expr:
            value = inner[index]
            for d, table in outside.items():
                value = te.where(table[index[d]], fill, value)
            return value.astype(x.dtype)

        return [te.compute(result.shape, element)]

    def _arranged(self, node: Node, arguments: Tensors) -> Tensors:
        """Inputs as (data, roi, scales, sizes): older forms have the scales second."""
        return [arguments[0], None, *arguments[1:]] if len(arguments) == 2 else arguments


def _resampled(node: Node, x: te.Tensor, d: int, places: np.ndarray, weights: np.ndarray) -> te.Tensor:
    shape = (*x.shape[:d], len(places), *x.shape[d + 1 :])
    limit = x.shape[d] - 1
    if node.get("mode", "nearest") == "nearest":
        chosen = te.constant(places[np.arange(len(places)), weights.argmax(axis=1)])
        return te.compute(shape, lambda *index: x[(*index[:d], te.clamp(chosen[index[d]], 0, limit), *index[d + 1 :])])
    dtype = x.dtype if x.dtype in ("float32", "float64") else "float32"
    near, factor, tap = te.constant(places), te.constant(weights.astype(dtype)), te.reduce_axis(places.shape[1])

    def element(*index: Expr) -> Expr:
        place = te.clamp(near[index[d], tap], 0, limit)
        return te.sum(x[(*index[:d], place, *index[d + 1 :])].astype(dtype) * factor[index[d], tap], tap)

    return te.compute(shape, element)
