"""Races by their definition, for short programs: every point of every nest, every pair, every path of tokens.

What the race checker must agree with. It shares no code with that, nor with the footprints by which the compiler places
tokens.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..config import Config
from .instruction import Instruction
from .memories import ROW_MEMORIES, memory_shape
from .nest import Access
from .table import ENGINES, Engine, Function, Memory, Opcode

__all__ = ["RaceReference", "matched_tokens", "without_token"]

Place = tuple[Memory | None, int, int]


def matched_tokens(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """(giver, taker) of every token: the n-th that is taken from a counter is the n-th given to it.

    Tokens must be given before they are taken, as written.
    """
    given: dict[tuple[Engine, Engine], list[int]] = defaultdict(list)
    pairs = []
    for index, instruction in enumerate(instructions):
        engine = instruction.engine
        if engine is None:
            continue
        for other in ENGINES:
            if instruction["wait"] >> other & 1:
                pairs.append((given[other, engine].pop(0), index))
            if instruction["signal"] >> other & 1:
                given[engine, other].append(index)
    return pairs


def without_token(instructions: Sequence[Instruction], giver: int, taker: int) -> list[Instruction]:
    """`instructions` without the token that `taker` takes from `giver`; all others keep their ends."""
    changed = list(instructions)
    one, other = changed[giver].engine, changed[taker].engine
    assert one is not None and other is not None
    changed[giver] = changed[giver].replace(signal=changed[giver]["signal"] & ~(1 << other))
    changed[taker] = changed[taker].replace(wait=changed[taker]["wait"] & ~(1 << one))
    return changed


class RaceReference:
    """What each of `instructions`, legal ones without FINISH, touches; tokens may be changed afterwards.

    Members
    -------
    reads, writes
        For each instruction its places: (memory, row, cell), or (None, segment, byte). Memories that the rows share
        have row 0.
    """

    def __init__(self, instructions: Sequence[Instruction], config: Config) -> None:
        self.config = config
        self.reads: list[set[Place]] = []
        self.writes: list[set[Place]] = []
        for instruction in instructions:
            accesses = list(self._accesses(instruction))
            self.reads.append({place for place, written in accesses if not written})
            self.writes.append({place for place, written in accesses if written})
        self._meet = [(i, j) for j in range(len(instructions)) for i in range(j) if any(self.meetings(i, j))]

    def meetings(self, first: int, second: int) -> tuple[set[Place], set[Place], set[Place]]:
        """Places that `first` writes and `second` reads, that both write, that `first` reads and `second` writes."""
        writes, reads = self.writes, self.reads
        return writes[first] & reads[second], writes[first] & writes[second], reads[first] & writes[second]

    def races(self, instructions: Sequence[Instruction]) -> set[tuple[int, int]]:
        """Every racing (earlier, later), where `instructions` are those from before, with any tokens."""
        edges: dict[int, set[int]] = defaultdict(set)
        for giver, taker in matched_tokens(instructions):
            edges[taker].add(giver)
        for engine in ENGINES:
            own = [n for n, instruction in enumerate(instructions) if instruction.engine is engine]
            for before, after in pairwise(own):
                edges[after].add(before)
        past: list[set[int]] = []
        for index in range(len(instructions)):
            past.append(set().union(*({n} | past[n] for n in edges[index])))
        return {(i, j) for i, j in self._meet if i not in past[j]}

    def _accesses(self, instruction: Instruction) -> Iterator[tuple[Place, bool]]:
        """(place, written)"""
        if instruction.opcode in (Opcode.LOAD, Opcode.STORE):
            yield from self._transfer(instruction)
        elif instruction.opcode is Opcode.GEMM:
            rows, nest = range(self.config.rows), instruction.nest
            act, wgt, acc = (instruction.access(name).addresses(nest) for name in ("act", "wgt", "acc"))
            yield from self._cells(Memory.ACT, act, rows, False, self.config.block_in)
            yield from self._cells(Memory.WGT, wgt, rows, False)
            yield from self._cells(Memory.ACC, acc, rows, True)
        elif instruction.opcode is Opcode.VECTOR:
            yield from self._vector(instruction)

    def _cells(
        self, memory: Memory, addresses: np.ndarray, rows: Sequence[int], written: bool, channels: int = 0
    ) -> Iterator[tuple[Place, bool]]:
        wide = channels // self.config.granule if memory is Memory.ACT and channels else 1
        depth = memory_shape(self.config, memory).depth
        for address in np.unique(addresses).tolist():
            first = address // wide * wide
            for cell in range(first, first + wide):
                for row in rows if memory in ROW_MEMORIES else (0,):
                    yield (memory, row, cell % depth), written

    def _transfer(self, instruction: Instruction) -> Iterator[tuple[Place, bool]]:
        memory, nest, loads = Memory(instruction["memory"]), instruction.nest, instruction.opcode is Opcode.LOAD
        rows = self._rows(instruction["row_mask"]) if loads else [instruction["row"] % self.config.rows]
        yield from self._cells(memory, instruction.access("mem").addresses(nest), rows, loads)
        cell = memory_shape(self.config, memory).cell_bytes
        dram = Access(instruction.dram.base, (*instruction.dram.strides, cell))
        for start in np.unique(dram.addresses(nest)).tolist():
            for byte in range(start, start + cell):
                yield (None, instruction["segment"], byte), not loads

    def _rows(self, mask: int) -> list[int]:
        return [row for row in range(self.config.rows) if mask >> row & 1]

    def _vector(self, instruction: Instruction) -> Iterator[tuple[Place, bool]]:
        nest, rows = instruction.nest, self._rows(instruction["row_mask"])
        last: Any = (..., *(-1,) * instruction["reduce"])
        mac = instruction["function"] == Function.MAC

        def operand(name: str, addresses: np.ndarray, written: bool = False) -> Iterator[tuple[Place, bool]]:
            memory = Memory.ACC if instruction[f"{name}_memory"] else Memory.ACT
            yield from self._cells(memory, addresses, rows, written, self.config.block_out)

        a, b, dst = (instruction.access(name).addresses(nest) for name in ("a", "b", "dst"))
        if instruction["function"] != Function.ZERO:
            yield from operand("a", a)
        if mac or instruction["residual"]:
            yield from operand("b", b if mac else b[last])
        if instruction["bias_enable"]:
            yield from self._cells(
                Memory.BIAS, instruction.channel_access("bias_base").addresses(nest)[last], rows, False
            )
        if instruction["scale_enable"]:
            walk = instruction.channel_access("scale_base").addresses(nest)[last]
            used = np.array([instruction["scale_base"]]) if instruction["scale_shared"] else walk
            yield from self._cells(Memory.SCALE, used, rows, False)
        if instruction["table_enable"]:
            first = instruction["table"] % self.config.tables * 256
            yield from self._cells(Memory.TABLE, np.arange(first, first + 256), rows, False)
        yield from operand("dst", dst[last], True)
