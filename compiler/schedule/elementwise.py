"""Element by element: changes of scale and functions by table. Order within the tensor does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...isa.instruction import vector
from ...isa.table import Function, Memory
from ..requantise import Requantiser
from .layout import Blocked
from .loops import Loop
from .residency import Region
from .scope import Need, Scope

__all__ = ["Chunk", "Chunks", "Rescale", "schedule_rescale"]


@dataclass(frozen=True)
class Rescale:
    """int8 `x` → `y`; see the operators qrescale and qtable, whose 256 results are the `table`."""

    x: Blocked
    y: Blocked
    requantiser: Requantiser | None
    x_zero: int
    y_zero: int
    minimum: int
    maximum: int
    table: bytes | None = None


@dataclass(frozen=True)
class Chunk:
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


class Chunks:
    """A tensor in chunks of which four leave room in ACT."""

    def __init__(self, scope: Scope, tensor: Blocked) -> None:
        config = scope.config
        self.scope = scope
        self.tensor = tensor
        self.step = config.block_out // config.granule
        total = tensor.nbytes // config.block_out
        largest = max(1, min(config.act_depth // 8 // self.step, config.acc_depth // 2))
        pixel = config.channels // config.block_out
        largest = max(largest // pixel * pixel, pixel)
        parts = -(-total // (largest * config.rows))
        size = -(-total // (parts * config.rows * pixel)) * pixel
        width = size * config.rows
        self.chunks = [Chunk(first, size, min(width, total - first)) for first in range(0, total, width)]

    def operand(self, tensor: Blocked, name: str, chunk: Chunk, region: Region | None = None) -> Need:
        """The chunk of `tensor`, in ACT: among the inputs, or in another region."""

        def fill(base: int) -> None:
            for row, (first, count) in enumerate(chunk.shares):
                self.load(tensor, first, count, base, row)

        key = (self.scope.layer, name, tensor.offset, chunk)
        return Need(region or self.scope.memories.inputs, key, chunk.count * self.step, fill)

    def load(self, tensor: Blocked, first: int, count: int, base: int, row: int) -> None:
        """Bring `count` vectors of `tensor` to a row of the core."""
        offset = tensor.offset + first * self.scope.config.block_out
        self.scope.load(Memory.ACT, tensor.segment, offset, base, self._run(count), row=row)

    def result(self, chunk: Chunk) -> Need:
        key = (self.scope.layer, "y", self.tensor.offset, chunk)
        return Need(self.scope.memories.outputs, key, chunk.count * self.step)

    def store(self, tensor: Blocked, chunk: Chunk, base: int) -> None:
        for row, (first, count) in enumerate(chunk.shares):
            offset = tensor.offset + first * self.scope.config.block_out
            self.scope.store(Memory.ACT, tensor.segment, offset, base, self._run(count), row=row)

    def _run(self, count: int) -> list[Loop]:
        return [Loop(count * self.step, (self.scope.config.granule, 1))]

    def scale(self, requantiser: Requantiser) -> Need:
        """A SCALE cell with the factor in every channel."""
        content = requantiser.cells(self.scope.config.block_out)
        return self.scope.constant(self.scope.memories.scales, Memory.SCALE, content, content)


def schedule_rescale(scope: Scope, rescale: Rescale) -> None:
    """Add the items of `rescale`: one pass of the vector engine a chunk."""
    chunks = Chunks(scope, rescale.y)
    tables = scope.memories.tables
    for chunk in chunks.chunks:
        needs = [chunks.operand(rescale.x, "x", chunk), chunks.result(chunk)]
        if rescale.requantiser is not None:
            needs.append(chunks.scale(rescale.requantiser))
        if rescale.table is not None:
            needs.append(scope.constant(tables, Memory.TABLE, rescale.table, "table"))

        def work(places: Sequence[int], chunk: Chunk = chunk) -> None:
            scale = places[2] if rescale.requantiser is not None else None
            scope.emit(
                vector(
                    function=Function.SUM,
                    bounds=[chunk.count],
                    a=(Memory.ACT, places[0], [chunks.step]),
                    dst=(Memory.ACT, places[1], [chunks.step]),
                    scale=scale,
                    scale_shared=scale is not None,
                    table=places[-1] // tables.step if rescale.table is not None else None,
                    a_zero=rescale.x_zero,
                    zero_point=rescale.y_zero,
                    minimum=rescale.minimum,
                    maximum=rescale.maximum,
                    row_mask=chunk.row_mask,
                )
            )
            chunks.store(rescale.y, chunk, places[1])

        scope.add(needs, work)
