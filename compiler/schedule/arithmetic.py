"""Sums and products of two tensors, of which the second may be one pixel for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...isa.instruction import vector
from ...isa.table import Function, Memory
from ..output import Output
from ..requantise import Requantiser
from .addition import PASSES, Sum, emit_sum
from .elementwise import Part, Parts
from .layout import Blocked
from .loops import Piece
from .places import Target
from .requantisation import settled, shared_scale, table_needs
from .scope import Scope

__all__ = ["Addition", "Product", "schedule_addition", "schedule_product"]


@dataclass(frozen=True)
class Addition:
    """int8 `a` and `b` → `y`; see the operator qadd. `b` may have a size of 1 in place of N, or of H and W."""

    a: Blocked
    b: Blocked
    y: Blocked
    sum: Sum


@dataclass(frozen=True)
class Product:
    """int8 `a` and `b` → `y`; see the operator qmul. `b` may have a size of 1 in place of N, or of H and W.

    Members
    -------
    requantiser
        From the product's unit to the result's.
    """

    a: Blocked
    b: Blocked
    y: Blocked
    requantiser: Requantiser
    a_zero: int
    b_zero: int
    output: Output


def schedule_addition(scope: Scope, add: Addition) -> None:
    """Add the items of `add`."""
    parts = Parts(scope, add.y, [add.a, add.b], sums=True)
    constants = add.sum.needs(scope)
    for part in parts:
        (a, a_steps), (b, b_steps) = parts.operand(add.a, part), parts.operand(add.b, part)
        total, sum_steps = parts.sums(part)
        result, y_steps = parts.result(part)
        nest = parts.nest(part, a_steps, b_steps, sum_steps, y_steps)

        def work(places: Sequence[int], part: Part = part, nest: Piece = nest, result: Target = result) -> None:
            first, second, sums, y, *rest = places
            emit_sum(scope, add.sum, nest, (first, second, sums, y), rest, part.tile.row_mask)
            part.tile.store(scope, add.y, part.blocks, y, result.row, result.block)

        scope.add([a, b, total, result.need, *constants], work, PASSES * part.pixels * parts.vectors)


def schedule_product(scope: Scope, product: Product) -> None:
    """Add the items of `product`: the vector engine multiplies, and requantises in the same pass.

    Factors that pass through ACT lie in different halves of it, so that one step reads both at once.
    """
    parts = Parts(scope, product.y, [product.a], beside=[product.b])
    constants = [shared_scale(scope, product.requantiser), *table_needs(scope, product.output)]
    for part in parts:
        a, a_steps = parts.operand(product.a, part)
        b, b_steps = parts.operand(product.b, part, scope.memories.outputs)
        result, y_steps = parts.result(part)
        nest = parts.nest(part, a_steps, b_steps, y_steps)

        def work(places: Sequence[int], part: Part = part, nest: Piece = nest, result: Target = result) -> None:
            _multiply(scope, product, part, nest, places)
            part.tile.store(scope, product.y, part.blocks, places[2], result.row, result.block)

        scope.add([a, b, result.need, *constants], work, part.pixels * parts.vectors)


def _multiply(scope: Scope, product: Product, part: Part, nest: Piece, places: Sequence[int]) -> None:
    a, b, y, scale, *tables = places
    scope.emit(
        vector(
            function=Function.MAC,
            bounds=nest.bounds,
            a=(Memory.ACT, a, nest.strides(0)),
            b=(Memory.ACT, b, nest.strides(1)),
            dst=(Memory.ACT, y, nest.strides(2)),
            scale=scale,
            scale_shared=True,
            a_zero=product.a_zero,
            b_zero=product.b_zero,
            row_mask=part.tile.row_mask,
            **settled(scope, product.output, tables),
        )
    )
