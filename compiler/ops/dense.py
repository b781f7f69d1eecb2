"""Fully connected layers: Gemm and MatMul in a quantised model, and the integer qdense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ...config import Config
from .. import te
from ..expressions import requantised
from ..graph import Node, Value
from ..output import Output
from ..schedule.conv import Convolution, schedule_convolution
from ..schedule.layout import pack
from ..schedule.resident import Reading
from ..schedule.scope import Scope
from ..te import layout, nn
from ..window import Window
from .matmul import gemm, matmul
from .registry import Arrays, Operator, Signature, operator, refuse
from .site import Lowered, Site


def _lowered(site: Site, transposed: bool, bias: int) -> Lowered:
    """`transposed`: the weights are (outputs, inputs)."""
    data, x = site.activation(0)
    weight, scales = site.weight(1, axis=0 if transposed else 1)
    if len(data.shape) != 2 or weight.ndim != 2:
        raise site.refuse(f"it must multiply matrices (2 dimensions), not {list(data.shape)} and {list(weight.shape)}")
    rows = weight if transposed else np.ascontiguousarray(weight.T)
    scale = x.scale * scales
    attributes = {
        "x_zero": x.zero_point,
        "requantiser": site.requantiser(scale / site.output.scale),
        **site.clamp(),
    }
    return Lowered("qdense", (data.name, rows, site.bias(bias, scale, len(rows)).astype(np.int32)), attributes)


@operator("Gemm")
class Gemm(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        a, b = arguments[:2]
        assert a is not None and b is not None
        if len(a.known_shape) != 2 or len(b.known_shape) != 2:
            raise refuse(node, "it must multiply matrices (2 dimensions)")
        left = a.known_shape[::-1] if node.get("transA", 0) else a.known_shape
        right = b.known_shape[::-1] if node.get("transB", 0) else b.known_shape
        if left[1] != right[0]:
            raise refuse(node, f"its factors {list(left)} and {list(right)} must match")
        return [Signature((left[0], right[1]), a.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments[:2]
        assert a is not None and b is not None
        product = (a.T if node.get("transA", 0) else a) @ (b.T if node.get("transB", 0) else b)
        term = arguments[2] if len(arguments) > 2 else None
        total = node.get("alpha", 1.0) * product + (0 if term is None else node.get("beta", 1.0) * term)
        return [np.asarray(total, a.dtype)]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        weight = arguments[1]
        assert weight is not None
        return prod(results[0].known_shape) * weight.known_shape[1 if node.get("transB", 0) else 0]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        return [gemm(node, arguments)]

    def quantise(self, site: Site) -> Lowered | None:
        node = site.node
        if (
            node.get("transA", 0)
            or node.get("alpha", 1.0) != 1.0
            or (node.get("beta", 1.0) != 1.0 and len(node.inputs) > 2)
        ):
            raise site.refuse("it must have transA 0, alpha 1 and beta 1")
        return _lowered(site, bool(node.get("transB", 0)), 2)


@operator("MatMul")
class MatMul(Operator):
    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        a, b = arguments
        assert a is not None and b is not None
        left, right = te.placeholder(a.known_shape), te.placeholder(b.known_shape)
        return [Signature(matmul(node, left, right).shape, a.known_dtype)]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        a, b = arguments
        assert a is not None and b is not None
        return [np.asarray(np.matmul(a, b))]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        assert arguments[0] is not None
        return prod(results[0].known_shape) * arguments[0].known_shape[-1]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        a, b = arguments
        assert a is not None and b is not None
        return [matmul(node, a, b)]

    def quantise(self, site: Site) -> Lowered | None:
        return _lowered(site, False, 2)


@operator("qdense")
class QuantisedDense(Operator):
    """int8 (N, …), weights (O, …) as those of qconv, int32 bias (O,) → int8 (N, O).

    The input may have any rank; the weights have its shape behind the first dimension. So a flattening
    before it costs nothing.
    """

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        data, weight = arguments[:2]
        assert data is not None and weight is not None
        if data.known_shape[1:] != weight.known_shape[1:]:
            raise refuse(node, f"its weights {list(weight.known_shape)} must match its input {list(data.known_shape)}")
        return [Signature((data.known_shape[0], weight.known_shape[0]), np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data, weight, bias = arguments
        assert data is not None and weight is not None and bias is not None
        centred = data.reshape(len(data), -1).astype(np.float64) - node["x_zero"]
        sums = (centred @ weight.reshape(len(weight), -1).astype(np.float64).T).astype(np.int64)
        return [Output.of(node.attributes).apply(node["requantiser"].apply(sums + bias))]

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        weight = arguments[1]
        assert weight is not None
        return results[0].known_shape[0] * prod(weight.known_shape)

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data, weight, bias = arguments
        assert data is not None and weight is not None and bias is not None
        width = prod(weight.shape[1:])
        rows = layout.reshape(data, (data.shape[0], width)) if len(data.shape) > 2 else data
        table = layout.reshape(weight, (weight.shape[0], width)) if len(weight.shape) > 2 else weight
        sums = nn.dense(rows, table, x_zero_point=node["x_zero"])
        biased = te.compute(sums.shape, lambda n, c: sums[n, c] + bias[c])
        return [Output.of(node.attributes).expression(requantised(biased, node["requantiser"]))]

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        assert arguments[0] is not None
        return Reading(flat=prod(arguments[0].known_shape[2:]) > 1)

    def schedule(self, node: Node, scope: Scope) -> None:
        """A convolution of one pixel: in memory, an image in blocks of channels is a long row of them."""
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        weight, bias = scope.constant_data(node.inputs[1]), scope.constant_data(node.inputs[2])
        place = x.resident and replace(x.resident, height=1, width=1)
        flat = (x.shape[0], x.blocks * prod(x.shape[2:]) * scope.config.channels, 1, 1)
        row = replace(x, shape=flat, resident=place)
        table = pack(weight.reshape(len(weight), *x.shape[1:]), scope.config.channels).reshape(len(weight), -1, 1, 1)
        if x.shape[2:] == (1, 1):
            row, table = x, weight.reshape(len(weight), -1, 1, 1)
        window = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
        output = (node["requantiser"], node["x_zero"], Output.of(node.attributes))
        schedule_convolution(scope, Convolution(row, y, table, bias, window, *output))
