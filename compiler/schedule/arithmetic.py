"""Sums and products of two tensors, of which the second may be one pixel for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from ..requantise import Requantiser
from .elementwise import Chunk, Chunks
from .layout import Blocked
from .loops import Loop, Piece, fit
from .residency import Region
from .scope import Need, Scope

__all__ = ["Addition", "Product", "schedule_addition", "schedule_product"]


@dataclass(frozen=True)
class _Pair:
    """int8 `a` and `b` → `y`: `a` has the shape of `y`, and so has `b`, but for a size of 1 in place of N, or H and W.

    Members
    -------
    requantiser
        From the sum's or product's unit to the result's.
    """

    a: Blocked
    b: Blocked
    y: Blocked
    requantiser: Requantiser
    a_zero: int
    b_zero: int
    y_zero: int
    minimum: int
    maximum: int

    @property
    def spread(self) -> bool:
        """Whether every pixel meets the same one of `b`."""
        return self.b.shape[2:] != self.y.shape[2:]

    def pieces(self) -> Iterator[Self]:
        """The pair itself, or, where `b` is smaller, one for every image and block of channels."""
        if self.b.shape == self.y.shape:
            yield self
            return
        for n in range(self.y.shape[0]):
            for block in range(self.y.blocks):
                a, b, y = self.a.part(n, block), self.b.part(min(n, self.b.shape[0] - 1), block), self.y.part(n, block)
                yield replace(self, a=a, b=b, y=y)


@dataclass(frozen=True)
class Addition(_Pair):
    """See the operator qadd: each term has its factor to the sum's unit."""

    a_requantiser: Requantiser
    b_requantiser: Requantiser


@dataclass(frozen=True)
class Product(_Pair):
    """See the operator qmul."""


def schedule_addition(scope: Scope, add: Addition) -> None:
    """Add the items of `add`: each term is scaled into ACC, then the sum is requantised."""
    for piece in add.pieces():
        _Schedule(scope, piece).add_sums(piece)


def schedule_product(scope: Scope, product: Product) -> None:
    """Add the items of `product`: the vector engine multiplies, and requantises in the same pass."""
    for piece in product.pieces():
        _Schedule(scope, piece).add_products()


class _Schedule:
    def __init__(self, scope: Scope, pair: _Pair) -> None:
        self.scope = scope
        self.pair = pair
        self.chunks = Chunks(scope, pair.y)
        self.pixel = scope.config.channels // scope.config.block_out

    def _terms(self, chunk: Chunk, region: Region) -> list[Need]:
        """Room for both, the second one in `region`."""
        first = self.chunks.operand(self.pair.a, "a", chunk)
        if not self.pair.spread:
            return [first, self.chunks.operand(self.pair.b, "b", chunk, region)]
        bands = len(chunk.shares)

        def fill(base: int) -> None:
            for row in range(bands):
                self.chunks.load(self.pair.b, 0, self.pixel, base, row)

        key = (self.scope.layer, "b", self.pair.b.offset, bands)
        return [first, Need(region, key, self.pixel * self.chunks.step, fill)]

    def _piece(self, chunk: Chunk) -> Piece:
        """The nest over a chunk; steps of the first term and the result, of the second term, and of ACC."""
        step, pixel = self.chunks.step, self.pixel
        whole = (pixel * step, 0 if self.pair.spread else pixel * step, pixel)
        (piece,) = fit([Loop(chunk.count // pixel, whole), Loop(pixel, (step, step, 1))], VECTOR_DIMS)
        return piece

    def add_products(self) -> None:
        """The terms lie in different halves of ACT, so that one step reads both at once."""
        pair = self.pair
        for chunk in self.chunks.chunks:
            terms = self._terms(chunk, self.scope.memories.outputs)
            needs = [*terms, self.chunks.result(chunk), self.chunks.scale(pair.requantiser)]

            def work(places: Sequence[int], chunk: Chunk = chunk) -> None:
                self._multiply(chunk, places)
                self.chunks.store(pair.y, chunk, places[2])

            self.scope.add(needs, work)

    def _multiply(self, chunk: Chunk, places: Sequence[int]) -> None:
        a, b, y, scale = places
        piece, pair = self._piece(chunk), self.pair
        self.scope.emit(
            vector(
                function=Function.MAC,
                bounds=piece.bounds,
                a=(Memory.ACT, a, piece.strides(0)),
                b=(Memory.ACT, b, piece.strides(1)),
                dst=(Memory.ACT, y, piece.strides(0)),
                scale=scale,
                scale_shared=True,
                a_zero=pair.a_zero,
                b_zero=pair.b_zero,
                zero_point=pair.y_zero,
                minimum=pair.minimum,
                maximum=pair.maximum,
                row_mask=chunk.row_mask,
            )
        )

    def add_sums(self, add: Addition) -> None:
        memories = self.scope.memories
        for chunk in self.chunks.chunks:
            needs = [
                *self._terms(chunk, memories.inputs),
                Need(memories.accumulators, (self.scope.layer, "sum", add.y.offset, chunk), chunk.count),
                self.chunks.result(chunk),
                self.chunks.scale(add.a_requantiser),
                self.chunks.scale(add.b_requantiser),
                self.chunks.scale(add.requantiser),
            ]

            def work(places: Sequence[int], chunk: Chunk = chunk) -> None:
                self._sum(add, chunk, places)
                self.chunks.store(add.y, chunk, places[3])

            self.scope.add(needs, work)

    def _sum(self, add: Addition, chunk: Chunk, places: Sequence[int]) -> None:
        a, b, acc, y, *scales = places
        piece = self._piece(chunk)
        total = (Memory.ACC, acc, piece.strides(2))
        terms = ((a, 0, add.a_zero, scales[0], False), (b, 1, add.b_zero, scales[1], True))
        for place, operand, zero, scale, residual in terms:
            self.scope.emit(
                vector(
                    function=Function.SUM,
                    bounds=piece.bounds,
                    a=(Memory.ACT, place, piece.strides(operand)),
                    b=total if residual else None,
                    dst=total,
                    residual=residual,
                    scale=scale,
                    scale_shared=True,
                    a_zero=zero,
                    row_mask=chunk.row_mask,
                )
            )
        self.scope.emit(
            vector(
                function=Function.SUM,
                bounds=piece.bounds,
                a=total,
                dst=(Memory.ACT, y, piece.strides(0)),
                scale=scales[2],
                scale_shared=True,
                zero_point=add.y_zero,
                minimum=add.minimum,
                maximum=add.maximum,
                row_mask=chunk.row_mask,
            )
        )
