"""Matrix products on the host: float MatMul and Gemm, their integer forms, Einsum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, broadcast, elementwise, given, optional
from .quantised import Parameter, quantised
from .registry import operator, refuse

__all__ = ["gemm", "matmul"]


def matmul(
    node: Node, a: te.Tensor, b: te.Tensor, product: Callable[[Expr, Expr, Expr, Expr], Expr] | None = None
) -> te.Tensor:
    """As numpy.matmul; `product` gets both elements, and the row and column of the result."""
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise refuse(node, f"it must multiply matching matrices, not {list(a.shape)} and {list(b.shape)}")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    k = te.reduce_axis(left[-1])
    rows, columns = left[-2:-1] if len(a.shape) > 1 else (), right[-1:] if len(b.shape) > 1 else ()

    def at(tensor: te.Tensor, outer: tuple[Expr, ...], inner: tuple[Expr, ...]) -> Expr:
        sizes = tensor.shape[: len(tensor.shape) - len(inner)]
        tail = outer[len(outer) - len(sizes) :]
        return tensor[(*(0 if size == 1 else i for size, i in zip(sizes, tail, strict=True)), *inner)]

    def element(*index: Expr) -> Expr:
        outer, place = index[: len(batch)], list(index[len(batch) :])
        row = place.pop(0) if rows else te.Const(0, "int64")
        column = place.pop(0) if columns else te.Const(0, "int64")
        x = at(a, outer, (row, k) if rows else (k,))
        y = at(b, outer, (k, column) if columns else (k,))
        return te.sum(x * y if product is None else product(x, y, row, column), k)

    return te.compute((*batch, *rows, *columns), element)


def gemm(node: Node, arguments: Tensors) -> te.Tensor:
    """alpha · A · B + beta · C, A and B transposed as asked."""
    a, b, c = given(node, arguments), given(node, arguments, 1), optional(arguments, 2)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    flip_a, flip_b = node.get("transA", 0), node.get("transB", 0)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise refuse(node, "it must multiply matrices (2 dimensions)")
    rows, inner = a.shape[::-1] if flip_a else a.shape
    other, columns = b.shape[::-1] if flip_b else b.shape
    if inner != other:
        raise refuse(node, f"its factors {list(a.shape)} and {list(b.shape)} must match")
    k = te.reduce_axis(inner)
    total = te.compute(
        (rows, columns),
        lambda i, j: te.sum((a[k, i] if flip_a else a[i, k]) * (b[j, k] if flip_b else b[k, j]), k),
    )

    def scaled(x: Expr, factor: float) -> Expr:
        if factor == 1.0:
            return x
        return x * factor if x.dtype.startswith("float") else (x.astype("float64") * factor).astype(x.dtype)

    def element(*index: Expr) -> Expr:
        value = scaled(total[index], alpha)
        return value if c is None else value + scaled(broadcast(c, index), beta)

    return te.compute(total.shape, element)


@operator("MatMulInteger")
class MatMulInteger(DerivedOperator):
    """8-bit integers less their zero points, in int32."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        a, b = given(node, arguments), given(node, arguments, 1)
        x_zero, y_zero = Parameter(optional(arguments, 2)), Parameter(optional(arguments, 3))

        def product(x: Expr, y: Expr, row: Expr, column: Expr) -> Expr:
            return (x.astype("int32") - x_zero.at(row)) * (y.astype("int32") - y_zero.at(column))

        return [matmul(node, a, b, product)]


@operator("QLinearMatMul")
class QLinearMatMul(DerivedOperator):
    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = (
            given(node, arguments, position) for position in range(8)
        )
        x_zero, y_zeros = Parameter(a_zero), Parameter(b_zero)

        def product(x: Expr, y: Expr, row: Expr, column: Expr) -> Expr:
            return (x.astype("int32") - x_zero.at(row)) * (y.astype("int32") - y_zeros.at(column))

        total = matmul(node, a, b, product)

        def scaled(*index: Expr) -> Expr:
            factor = Parameter(a_scale, "float32").at(index[-2]) * Parameter(b_scale, "float32").at(index[-1])
            return total[index].astype("float32") * (factor / Parameter(y_scale, "float32").at(index[-2]))

        return [quantised(te.compute(total.shape, scaled), y_zero)]


@operator("Einsum")
class Einsum(DerivedOperator):
    """A product of elements for every letter, summed over those that the result lacks."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        tensors = [given(node, arguments, position) for position in range(len(arguments))]
        terms, result = _letters(node, [len(tensor.shape) for tensor in tensors])
        sizes: dict[str, int] = {}
        for letters, tensor in zip(terms, tensors, strict=True):
            for letter, size in zip(letters, tensor.shape, strict=True):
                sizes[letter] = max(sizes.get(letter, 1), size)
        summed = {letter: te.reduce_axis(size) for letter, size in sizes.items() if letter not in result}

        def element(*index: Expr) -> Expr:
            places: dict[str, Expr] = {**dict(zip(result, index, strict=True)), **summed}
            value: Expr | None = None
            for letters, tensor in zip(terms, tensors, strict=True):
                at = [0 if size == 1 else places[letter] for letter, size in zip(letters, tensor.shape, strict=True)]
                factor = tensor[tuple(at)]
                value = factor if value is None else value * factor
            assert value is not None
            return te.sum(value, list(summed.values())) if summed else value

        return [te.compute([sizes[letter] for letter in result], element)]


def _letters(node: Node, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each term and of the result; dimensions of an ellipsis get letters of their own."""
    left, arrow, result = node["equation"].replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise refuse(node, f"its equation {node['equation']!r} must have {len(ranks)} terms")
    dots = "".join(chr(0x3B1 + place) for place in range(24))
    widths = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    widest = max((width for term, width in zip(terms, widths, strict=True) if "..." in term), default=0)
    spread = [
        term.replace("...", dots[widest - width : widest] if width else "")
        for term, width in zip(terms, widths, strict=True)
    ]
    if not arrow:
        every = "".join(terms).replace(".", "")
        result = "..." * ("..." in left) + "".join(sorted(c for c in set(every) if every.count(c) == 1))
    return spread, result.replace("...", dots[:widest])


@operator("Det")
class Determinant(DerivedOperator):
    """Of small matrices, by expansion along the first row."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x = given(node, arguments)
        size = x.shape[-1]
        if size > 5 or x.shape[-2] != size:
            raise refuse(node, f"its matrices must be square and at most 5 × 5, not {list(x.shape[-2:])}")

        def minor(outer: tuple[Expr, ...], row: int, columns: tuple[int, ...]) -> Expr:
            if row == size - 1:
                return x[(*outer, row, columns[0])]
            total: Expr | None = None
            for place, column in enumerate(columns):
                rest = columns[:place] + columns[place + 1 :]
                term = x[(*outer, row, column)] * minor(outer, row + 1, rest)
                signed = term if place % 2 == 0 else term * -1.0
                total = signed if total is None else total + signed
            assert total is not None
            return total

        return [te.compute(x.shape[:-2], lambda *outer: minor(outer, 0, tuple(range(size))))]


def scaled_sum(a: te.Tensor, b: te.Tensor) -> te.Tensor:
    return elementwise(lambda x, y: x + y, a, b)
