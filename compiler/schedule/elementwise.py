"""Element by element: sums of two tensors, and changes of scale. Order within the tensors does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...isa.instruction import vector
from ...isa.table import Function, Memory
from ..requantise import Requantiser
from .layout import Blocked
from .loops import Loop
from .scope import Need, Scope

__all__ = ["Addition", "Rescale", "schedule_addition", "schedule_rescale"]


@dataclass(frozen=True)
class Rescale:
    """int8 `x` → `y`; see the operator qrescale."""

    x: Blocked
    y: Blocked
    requantiser: Requantiser | None
    x_zero: int
    y_zero: int
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Addition:
    """int8 `a` + `b` → `y`; see the operator qadd."""

    a: Blocked
    b: Blocked
    y: Blocked
    a_requantiser: Requantiser
    b_requantiser: Requantiser
    requantiser: Requantiser
    a_zero: int
    b_zero: int
    y_zero: int
    minimum: int
    maximum: int


@dataclass(frozen=True)
class _Chunk:
    """`count` vectors of `block_out` channels for each row of the core, from `first` on; `total` in all."""

    first: int
    count: int
    total: int

    @property
    def shares(self) -> list[tuple[int, int]]:
        """(first, count) of each row of the core that has any."""
        starts = range(0, self.total, self.count)
        return [(self.first + start, min(self.count, self.total - start)) for start in starts]

    @property
    def row_mask(self) -> int:
        return (1 << len(self.shares)) - 1


class _Chunks:
    """A tensor in chunks of which four leave room in ACT."""

    def __init__(self, scope: Scope, tensor: Blocked) -> None:
        config = scope.config
        self.scope = scope
        self.step = config.block_out // config.granule
        total = tensor.nbytes // config.block_out
        largest = max(1, min(config.act_depth // 8 // self.step, config.acc_depth // 2))
        pixel = config.channels // config.block_out
        largest = max(largest // pixel * pixel, pixel)
        parts = -(-total // (largest * config.rows))
        size = -(-total // (parts * config.rows * pixel)) * pixel
        width = size * config.rows
        self.chunks = [_Chunk(first, size, min(width, total - first)) for first in range(0, total, width)]

    def operand(self, tensor: Blocked, name: str, chunk: _Chunk) -> Need:
        """The chunk of `tensor`, in ACT."""
        block = self.scope.config.block_out

        def fill(base: int) -> None:
            for row, (first, count) in enumerate(chunk.shares):
                offset = tensor.offset + first * block
                self.scope.load(Memory.ACT, tensor.segment, offset, base, self._run(count), row=row)

        return Need(self.scope.memories.inputs, (self.scope.layer, name, chunk), chunk.count * self.step, fill)

    def result(self, chunk: _Chunk) -> Need:
        return Need(self.scope.memories.outputs, (self.scope.layer, "y", chunk), chunk.count * self.step)

    def store(self, tensor: Blocked, chunk: _Chunk, base: int) -> None:
        for row, (first, count) in enumerate(chunk.shares):
            offset = tensor.offset + first * self.scope.config.block_out
            self.scope.store(Memory.ACT, tensor.segment, offset, base, self._run(count), row=row)

    def _run(self, count: int) -> list[Loop]:
        return [Loop(count * self.step, (self.scope.config.granule, 1))]

    def scale(self, requantiser: Requantiser, name: str) -> Need:
        """A SCALE cell with the factor in every channel."""
        content = requantiser.cells(self.scope.config.block_out)
        return self.scope.constant(self.scope.memories.scales, Memory.SCALE, content, name)


def schedule_rescale(scope: Scope, rescale: Rescale) -> None:
    """Add the items of `rescale`: one pass of the vector engine a chunk."""
    chunks = _Chunks(scope, rescale.y)
    for chunk in chunks.chunks:
        needs = [chunks.operand(rescale.x, "x", chunk), chunks.result(chunk)]
        if rescale.requantiser is not None:
            needs.append(chunks.scale(rescale.requantiser, "scale"))

        def work(places: Sequence[int], chunk: _Chunk = chunk) -> None:
            x, y, *scale = places
            scope.emit(
                vector(
                    function=Function.SUM,
                    bounds=[chunk.count],
                    a=(Memory.ACT, x, [chunks.step]),
                    dst=(Memory.ACT, y, [chunks.step]),
                    scale=scale[0] if scale else None,
                    scale_shared=bool(scale),
                    a_zero=rescale.x_zero,
                    zero_point=rescale.y_zero,
                    minimum=rescale.minimum,
                    maximum=rescale.maximum,
                    row_mask=chunk.row_mask,
                )
            )
            chunks.store(rescale.y, chunk, y)

        scope.add(needs, work, chunk.count)


def schedule_addition(scope: Scope, add: Addition) -> None:
    """Add the items of `add`: each term is scaled into ACC, then the sum is requantised."""
    chunks = _Chunks(scope, add.y)
    for chunk in chunks.chunks:
        needs = [
            chunks.operand(add.a, "a", chunk),
            chunks.operand(add.b, "b", chunk),
            Need(scope.memories.accumulators, (scope.layer, "sum", chunk), chunk.count),
            chunks.result(chunk),
            chunks.scale(add.a_requantiser, "a scale"),
            chunks.scale(add.b_requantiser, "b scale"),
            chunks.scale(add.requantiser, "y scale"),
        ]

        def work(places: Sequence[int], chunk: _Chunk = chunk) -> None:
            _add_chunk(scope, add, chunk, chunks.step, places)
            chunks.store(add.y, chunk, places[3])

        scope.add(needs, work, 3 * chunk.count)


def _add_chunk(scope: Scope, add: Addition, chunk: _Chunk, step: int, places: Sequence[int]) -> None:
    a, b, acc, y, *scales = places
    total = (Memory.ACC, acc, [1])
    for operand, zero, scale, residual in ((a, add.a_zero, scales[0], False), (b, add.b_zero, scales[1], True)):
        scope.emit(
            vector(
                function=Function.SUM,
                bounds=[chunk.count],
                a=(Memory.ACT, operand, [step]),
                b=total if residual else None,
                dst=total,
                residual=residual,
                scale=scale,
                scale_shared=True,
                a_zero=zero,
                row_mask=chunk.row_mask,
            )
        )
    scope.emit(
        vector(
            function=Function.SUM,
            bounds=[chunk.count],
            a=total,
            dst=(Memory.ACT, y, [step]),
            scale=scales[2],
            scale_shared=True,
            zero_point=add.y_zero,
            minimum=add.minimum,
            maximum=add.maximum,
            row_mask=chunk.row_mask,
        )
    )
