"""What an operator's schedule works with: memories, tensors, constants, and where its work goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...config import Config
from ...isa.instruction import Instruction, load, store
from ...isa.memories import memory_shape
from ...isa.registers import SEGMENT_ALIGNMENT
from ...isa.table import TRANSFER_DIMS, Memory
from ..graph import Graph
from .builder import ProgramBuilder
from .layout import Blocked
from .loops import Loop, fit
from .residency import Region

__all__ = ["ACTIVATIONS", "CONSTANTS", "TABLE_ENTRIES", "ConstantPool", "Item", "Need", "OnChip", "Scope"]

CONSTANTS = 0
ACTIVATIONS = 1
TABLE_ENTRIES = 256


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
    """The memories divided: half of ACT holds what the engines read, half what the store engine takes away.

    Input and output regions lie in different banks, and so do neighbouring places in ACC: engines that
    work on different tiles do not disturb each other.
    """

    def __init__(self, config: Config) -> None:
        half = config.act_depth // 2
        step = min(config.act_depth // config.act_banks, half // 2)
        self.inputs = Region(0, half, step)
        self.outputs = Region(half, half, step)
        acc_step = min(config.acc_depth // config.acc_banks, config.acc_depth // 2)
        self.accumulators = Region(0, config.acc_depth, acc_step)
        self.weights = Region(0, config.wgt_depth)
        self.biases = Region(0, config.bias_depth)
        self.scales = Region(0, config.scale_depth)
        self.tables = Region(0, config.tables * TABLE_ENTRIES, TABLE_ENTRIES)


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
    """

    region: Region
    key: Hashable
    size: int
    fill: Callable[[int], None] | None = None
    early: bool = False


@dataclass(frozen=True)
class Item:
    """A tile's work: what it needs, and what is done once it is there (the addresses, in the order of `needs`)."""

    needs: tuple[Need, ...]
    work: Callable[[Sequence[int]], None]


@dataclass
class Scope:
    """One run of the accelerator in the making.

    Members
    -------
    tensors
        Where each activation lies in DRAM.
    graph
        What is being scheduled.
    items
        The work of the layer that is being scheduled.
    """

    config: Config
    builder: ProgramBuilder
    memories: OnChip
    constants: ConstantPool
    tensors: Mapping[str, Blocked]
    graph: Graph
    layer: str = ""
    items: list[Item] = field(default_factory=list)

    def constant_data(self, name: str) -> np.ndarray:
        """The elements of the graph's constant `name`."""
        data = self.graph.constant(name)
        assert data is not None
        return data

    def emit(self, instruction: Instruction) -> None:
        self.builder.emit(instruction)

    def add(self, needs: Sequence[Need], work: Callable[[Sequence[int]], None]) -> None:
        self.items.append(Item(tuple(needs), work))

    def constant(self, region: Region, memory: Memory, content: bytes, key: Hashable) -> Need:
        """The need for a constant that fills whole cells of `memory`."""
        offset = self.constants.add(content)
        cells = len(content) // memory_shape(self.config, memory).cell_bytes

        rows = (1 << self.config.rows) - 1 if memory is Memory.ACT else 1

        def fill(base: int) -> None:
            place = (base, [1])
            self.emit(load(memory=memory, segment=CONSTANTS, offset=offset, bounds=[cells], mem=place, row_mask=rows))

        return Need(region, (self.layer, memory, key), cells, fill, early=True)

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
