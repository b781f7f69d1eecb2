"""What an operator's schedule works with: memories, tensors, constants, and where its work goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ...config import Config
from ...isa.instruction import Instruction, load, store
from ...isa.memories import memory_shape
from ...isa.registers import SEGMENT_ALIGNMENT
from ...isa.table import TRANSFER_DIMS, Memory
from ..graph import Graph
from .builder import ProgramBuilder
from .decision import Choice, Decisions
from .layout import Blocked
from .loops import Loop, fit
from .residency import Fixed, Region

__all__ = [
    "ACTIVATIONS", "CONSTANTS", "TABLE_ENTRIES", "UNBOUNDED", "ConstantPool", "Item", "Need", "OnChip", "Scope",
]  # fmt: skip

CONSTANTS = 0
ACTIVATIONS = 1
TABLE_ENTRIES = 256
UNBOUNDED = 1 << 40

D = TypeVar("D")


class ConstantPool:
    """The constants segment: equal contents are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def add(self, content: bytes) -> int:
        """Byte offset of `content`, aligned for every memory."""
        digest = hashlib.sha256(content).digest()
        if digest not in self._offsets:
            self.data.extend(bytes(-len(self.data) % SEGMENT_ALIGNMENT))
            self._offsets[digest] = len(self.data)
            self.data.extend(content)
        return self._offsets[digest]


class OnChip:
    """The memories divided.

    In ACT lie, from its beginning: `act_constants` granules of constants (weights of depthwise convolutions),
    results on their way to DRAM, images on their way from there, and activations that stay (see resident.py),
    which may leave more or less to the others from layer to layer. Images lie in other banks than constants and
    results, as far as there is room, and neighbouring places in ACC lie in different banks: engines that work
    on different tiles do not disturb each other.
    """

    def __init__(self, config: Config, act_constants: int = 0) -> None:
        self._config = config
        self.act_constants = Region(0, act_constants)
        self._divided: dict[int, tuple[Region, Region]] = {}
        self.divide(config.act_depth)
        acc_step = min(config.acc_depth // config.acc_banks, config.acc_depth // 2)
        self.accumulators = Region(0, config.acc_depth, acc_step)
        self.weights = Region(0, config.wgt_depth)
        self.biases = Region(0, config.bias_depth)
        self.scales = Region(0, config.scale_depth)
        self.tables = Region(0, config.tables * TABLE_ENTRIES, TABLE_ENTRIES)

    def divide(self, limit: int) -> None:
        """Let images and results of tiles have ACT up to granule `limit`."""
        if limit not in self._divided:
            first = self.act_constants.size
            pixel = self._config.channels // self._config.granule
            middle = max(limit // 2, first + (limit - first) // 2) // pixel * pixel
            self._divided[limit] = Region(first, middle - first, pixel), Region(middle, limit - middle, pixel)
        self.outputs, self.inputs = self._divided[limit]


@dataclass(frozen=True)
class Need:
    """Room that an item wants in a region.

    Members
    -------
    key
        What will lie there; the same key means the same content.
    fill
        Brings the content to the address given; None for room that the item itself fills.
    early
        Whether filling may begin before the layer's inputs exist: constants.
    nbytes
        What filling brings from DRAM, for constants.
    """

    region: Region | Fixed
    key: Hashable
    size: int
    fill: Callable[[int], None] | None = None
    early: bool = False
    nbytes: int = 0


@dataclass(frozen=True)
class Item:
    """A tile's work.

    Members
    -------
    work
        What is done once all needs are there; it is given their addresses, in their order.
    cycles
        Estimate of what the busiest engine takes.
    """

    needs: tuple[Need, ...]
    work: Callable[[Sequence[int]], None]
    cycles: int = 0

    @cached_property
    def keys(self) -> frozenset[Hashable]:
        """Those of its needs."""
        return frozenset(need.key for need in self.needs)


@dataclass
class Scope:
    """One run of the accelerator in the making.

    Members
    -------
    tensors
        Where each activation lies in DRAM.
    graph
        What is being scheduled.
    decisions
        What is laid down for schedules, and what they decided.
    items
        The work of the layer that is being scheduled.
    """

    config: Config
    builder: ProgramBuilder
    memories: OnChip
    constants: ConstantPool
    tensors: Mapping[str, Blocked]
    graph: Graph
    decisions: Decisions = field(default_factory=Decisions)
    layer: str = ""
    items: list[Item] = field(default_factory=list)

    def room(self, x: Blocked, y: Blocked) -> tuple[int, int]:
        """Granules of ACT for a tile's image and for its result; UNBOUNDED for what is resident."""
        return (
            UNBOUNDED if x.resident else self.memories.inputs.size,
            UNBOUNDED if y.resident else self.memories.outputs.size,
        )

    def decide(self, choice: Choice[D]) -> D:
        """See :meth:`.decision.Decisions.decide`."""
        return self.decisions.decide(self.layer, choice)

    def constant_data(self, name: str) -> np.ndarray:
        """The elements of the graph's constant `name`."""
        data = self.graph.constant(name)
        assert data is not None
        return data

    def emit(self, instruction: Instruction) -> None:
        self.builder.emit(instruction)

    def add(self, needs: Sequence[Need], work: Callable[[Sequence[int]], None], cycles: int) -> None:
        """See :class:`Item`."""
        self.items.append(Item(tuple(needs), work, cycles))

    def constant(self, region: Region, memory: Memory, content: bytes, key: Hashable) -> Need:
        """The need for a constant that fills whole cells of `memory`."""
        offset = self.constants.add(content)
        cells = len(content) // memory_shape(self.config, memory).cell_bytes

        rows = (1 << self.config.rows) - 1 if memory is Memory.ACT else 1

        def fill(base: int) -> None:
            place = (base, [1])
            self.emit(load(memory=memory, segment=CONSTANTS, offset=offset, bounds=[cells], mem=place, row_mask=rows))

        return Need(region, (self.layer, memory, key), cells, fill, early=True, nbytes=len(content))

    def load(
        self, memory: Memory, segment: int, offset: int, base: int, loops: Sequence[Loop], *, row: int = 0
    ) -> None:
        """LOAD to one row, over `loops` with strides (DRAM bytes, cells), the innermost over neighbouring cells."""
        for transfer in self._transfers(memory, offset, base, loops):
            self.emit(load(memory=memory, segment=segment, row_mask=1 << row, **transfer))

    def store(
        self, memory: Memory, segment: int, offset: int, base: int, loops: Sequence[Loop], *, row: int = 0
    ) -> None:
        """STORE from one row, over `loops` as in :meth:`load`."""
        for transfer in self._transfers(memory, offset, base, loops):
            self.emit(store(memory=memory, segment=segment, row=row, **transfer))

    def _transfers(self, memory: Memory, offset: int, base: int, loops: Sequence[Loop]) -> Iterator[dict[str, Any]]:
        """The operands of each LOAD or STORE; its innermost loop is a run."""
        cell = memory_shape(self.config, memory).cell_bytes
        pieces = list(fit(loops, TRANSFER_DIMS))
        run = pieces[0].loops[-1].strides[0] == cell
        if not run:
            pieces = list(fit(loops, TRANSFER_DIMS - 1))
        for piece in pieces:
            bounds, dram, mem = piece.bounds, piece.strides(0), piece.strides(1)
            if run:
                dram = dram[:-1]
            else:
                bounds, mem = [*bounds, 1], [*mem, 1]
            place = (base + piece.bases[1], mem)
            yield {"offset": offset + piece.bases[0], "bounds": bounds, "dram_strides": dram, "mem": place}
