"""What instructions touch, and which of them tokens order: by this, tokens are placed (`races` judges the result).

A *position* is an instruction's place among those of its engine, from 0. A *clock* holds, for every engine,
how many of its instructions are certain to be complete; it is the vector clock of the token network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from .instruction import Instruction
from .memories import ROW_MEMORIES, memory_shape
from .nest import Access
from .table import ENGINES, Engine, Function, Memory, Opcode

__all__ = ["AccessHistory", "Clock", "Footprint", "Region", "TokenClocks", "footprint"]

Clock = tuple[int, ...]
_NOTHING: Clock = (0,) * len(ENGINES)


@dataclass(frozen=True)
class Region:
    """Cells of one memory, or bytes of one DRAM segment.

    Members
    -------
    memory
        The on-chip memory; None for DRAM.
    number
        The segment for DRAM; on chip a mask of rows, 1 for memories that the rows share.
    cells
        int64, any order, possibly with repetitions; on chip already modulo the depth.
    """

    memory: Memory | None
    number: int
    cells: np.ndarray

    @property
    def spaces(self) -> list[tuple[Memory | None, int]]:
        """(memory, row) or (None, segment) for each copy that the region lies in."""
        if self.memory is None:
            return [(None, self.number)]
        return [(self.memory, row) for row in range(self.number.bit_length()) if self.number >> row & 1]


@dataclass(frozen=True)
class Footprint:
    """All that an instruction reads and writes. What it both reads and writes may be listed as written only."""

    reads: tuple[Region, ...] = ()
    writes: tuple[Region, ...] = ()


def _addresses(access: Access, bounds: Sequence[int], last: int = 0) -> np.ndarray:
    """Addresses over all loops but the `last` innermost, which stand at their last iteration."""
    total = np.array([access.base], dtype=np.int64)
    split = len(bounds) - last
    for bound, stride in zip(bounds[split:], access.strides[split:], strict=True):
        total = total + (bound - 1) * stride
    for bound, stride in zip(bounds[:split], access.strides[:split], strict=True):
        if bound > 1 and stride:
            total = (total[:, None] + np.arange(bound, dtype=np.int64) * stride).reshape(-1)
    return total


def _on_chip(config: Config, memory: Memory, cells: np.ndarray, row_mask: int = 1, width: int = 1) -> Region:
    """The region of `cells`, each of them `width` neighbouring cells aligned to `width`."""
    if width > 1:
        cells = (np.unique(cells & -width)[:, None] + np.arange(width)).reshape(-1)
    mask = row_mask & ((1 << config.rows) - 1) if memory in ROW_MEMORIES else 1
    return Region(memory, mask, cells % memory_shape(config, memory).depth)


def _transfer(instruction: Instruction, config: Config) -> Footprint:
    memory = Memory(instruction["memory"])
    bounds = instruction.nest.bounds
    run_bytes = bounds[-1] * memory_shape(config, memory).cell_bytes
    starts = np.unique(_addresses(instruction.dram, bounds[:-1]) & 0xFFFF_FFFF)
    dram = Region(None, instruction["segment"], (starts[:, None] + np.arange(run_bytes)).reshape(-1))
    cells = _addresses(instruction.access("mem"), bounds)
    if instruction.opcode is Opcode.LOAD:
        return Footprint((dram,), (_on_chip(config, memory, cells, instruction["row_mask"]),))
    return Footprint((_on_chip(config, memory, cells, 1 << instruction["row"] % config.rows),), (dram,))


def _gemm(instruction: Instruction, config: Config) -> Footprint:
    bounds, rows = instruction.nest.bounds, (1 << config.rows) - 1
    act, wgt, acc = (_addresses(instruction.access(name), bounds) for name in ("act", "wgt", "acc"))
    return Footprint(
        (
            _on_chip(config, Memory.ACT, act, rows, config.block_in // config.granule),
            _on_chip(config, Memory.WGT, wgt),
        ),
        (_on_chip(config, Memory.ACC, acc, rows),),
    )


def _vector(instruction: Instruction, config: Config) -> Footprint:
    bounds, reduce, mask = instruction.nest.bounds, instruction["reduce"], instruction["row_mask"]

    def operand(name: str, last: int) -> Region:
        memory = Memory.ACC if instruction[f"{name}_memory"] else Memory.ACT
        width = 1 if memory is Memory.ACC else config.block_out // config.granule
        return _on_chip(config, memory, _addresses(instruction.access(name), bounds, last), mask, width)

    def channels(memory: Memory, base: str, shared: bool) -> Region:
        access = Access(instruction[base], (0,) * len(bounds)) if shared else instruction.channel_access(base)
        return _on_chip(config, memory, _addresses(access, bounds, reduce))

    reads = []
    if instruction["function"] != Function.ZERO:
        reads.append(operand("a", 0))
    if instruction["function"] == Function.MAC:
        reads.append(operand("b", 0))
    elif instruction["residual"]:
        reads.append(operand("b", reduce))
    if instruction["bias_enable"]:
        reads.append(channels(Memory.BIAS, "bias_base", False))
    if instruction["scale_enable"]:
        reads.append(channels(Memory.SCALE, "scale_base", bool(instruction["scale_shared"])))
    if instruction["table_enable"]:
        entries = np.arange(256) + 256 * (instruction["table"] % config.tables)
        reads.append(Region(Memory.TABLE, 1, entries))
    return Footprint(tuple(reads), (operand("dst", reduce),))


def footprint(instruction: Instruction, config: Config) -> Footprint:
    """What `instruction`, which must be legal, touches.

    A VECTOR counts as reading only the rows that it writes: what it reads of others has no effect.
    """
    if instruction.opcode in (Opcode.LOAD, Opcode.STORE):
        return _transfer(instruction, config)
    if instruction.opcode is Opcode.GEMM:
        return _gemm(instruction, config)
    if instruction.opcode is Opcode.VECTOR:
        return _vector(instruction, config)
    return Footprint()


class AccessHistory:
    """For every cell, row and byte: the latest access by each engine.

    Instructions are recorded in an order that agrees with every engine's own; then the latest access
    of an engine speaks for all its earlier ones.

    Parameters
    ----------
    segments
        Bytes in each segment.
    """

    def __init__(self, config: Config, segments: Sequence[int]) -> None:
        self.config = config
        self.segments = tuple(segments)
        self._latest: dict[tuple[Memory | None, int, Engine, bool], np.ndarray] = {}

    def _array(self, key: tuple[Memory | None, int, Engine, bool]) -> np.ndarray:
        if key not in self._latest:
            memory, number = key[:2]
            size = self.segments[number] if memory is None else memory_shape(self.config, memory).depth
            self._latest[key] = np.zeros(size, dtype=np.int32)
        return self._latest[key]

    def conflicts(self, engine: Engine, touched: Footprint) -> Clock:
        """For each other engine how many of its instructions must be complete before `touched` is; 0 for `engine`."""
        needed = [0] * len(ENGINES)
        for written, regions in ((False, touched.reads), (True, touched.writes)):
            for region in regions:
                for other in ENGINES:
                    if other is not engine:
                        needed[other] = max(needed[other], self._newest(other, region, reads_too=written))
        return tuple(needed)

    def _newest(self, engine: Engine, region: Region, *, reads_too: bool) -> int:
        newest = 0
        for memory, number in region.spaces:
            for kind in (True, False) if reads_too else (True,):
                latest = self._latest.get((memory, number, engine, kind))
                if latest is not None and region.cells.size:
                    newest = max(newest, int(latest[region.cells].max()))
        return newest

    def record(self, engine: Engine, position: int, touched: Footprint) -> None:
        for kind, regions in ((False, touched.reads), (True, touched.writes)):
            for region in regions:
                for memory, number in region.spaces:
                    self._array((memory, number, engine, kind))[region.cells] = position + 1


class TokenClocks:
    """What is certain to be complete before each instruction starts.

    Instructions are added in an order in which every token is given before it is taken.
    """

    def __init__(self) -> None:
        self.after: dict[Engine, list[Clock]] = {engine: [] for engine in ENGINES}

    def count(self, engine: Engine) -> int:
        """How many instructions of `engine` were added."""
        return len(self.after[engine])

    def before(self, engine: Engine, tokens: Iterable[tuple[Engine, int]] = ()) -> Clock:
        """The clock of the next instruction of `engine`, which takes `tokens`: (engine, position) of who gives them."""
        own = self.after[engine]
        clocks = [own[-1] if own else _NOTHING, *(self.after[giver][position] for giver, position in tokens)]
        return tuple(max(parts) for parts in zip(*clocks, strict=True))

    def add(self, engine: Engine, before: Clock) -> None:
        """Append an instruction that starts with the clock `before`."""
        after = list(before)
        after[engine] = self.count(engine) + 1
        self.after[engine].append(tuple(after))
