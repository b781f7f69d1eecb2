"""What encoded instructions touch, as sets of cells. Written from the manual, apart from `dependence.footprint`.

The compiler places tokens by that footprint; here is what judges its programs, so they share no code.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config import Config
from .cell_sets import CellSet, nest_cells
from .columns import field_matrix, opcodes
from .memories import ROW_MEMORIES, memory_shape
from .table import GEMM_DIMS, SEGMENTS, TRANSFER_DIMS, VECTOR_DIMS, Function, Memory, Opcode, spec_of

__all__ = ["DRAM", "Touch", "Touches"]

DRAM = len(Memory)
_DRAM_BYTES = 1 << 32
_ENTRIES = 256


class Touch(NamedTuple):
    """An instruction's access to one memory.

    Members
    -------
    space
        A Memory, or ``DRAM + segment``.
    rows
        A mask of the memory's rows; 1 for what the rows share, and for DRAM.
    cells
        Of DRAM ``byte // unit`` (see `Touches.units`).
    written
        What is both read and written counts as written.
    """

    space: int
    rows: int
    cells: CellSet
    written: bool


def _fields(*parts: str | tuple[str, int]) -> tuple[str, ...]:
    """Names of fields; a pair stands for as many numbered ones."""
    names: list[str] = []
    for part in parts:
        names += [part] if isinstance(part, str) else [f"{part[0]}{d}" for d in range(part[1])]
    return tuple(names)


_TRANSFER = _fields(
    "memory", "segment", "offset", "mem_base",
    ("bound", TRANSFER_DIMS), ("dram_stride", TRANSFER_DIMS - 1), ("mem_stride", TRANSFER_DIMS),
)  # fmt: skip
_GEMM = _fields(
    "act_base", "wgt_base", "acc_base",
    ("bound", GEMM_DIMS), ("act_stride", GEMM_DIMS), ("wgt_stride", GEMM_DIMS), ("acc_stride", GEMM_DIMS),
)  # fmt: skip
_VECTOR = _fields(
    "function", "reduce", "row_mask", "a_memory", "b_memory", "dst_memory", "residual", "bias_enable", "scale_enable",
    "scale_shared", "table_enable", "table", "a_base", "b_base", "dst_base", "bias_base", "scale_base",
    ("bound", VECTOR_DIMS), ("a_stride", VECTOR_DIMS), ("b_stride", VECTOR_DIMS), ("dst_stride", VECTOR_DIMS),
    ("channel_stride", VECTOR_DIMS),
)  # fmt: skip


class Touches:
    """What each of `raw`, legal instructions as uint8 of shape (n, 64), touches.

    Members
    -------
    units
        Bytes of each segment that a bit stands for: the most that all transfers of the segment allow.
    """

    def __init__(self, raw: np.ndarray, config: Config) -> None:
        self.config = config
        self._depth = {memory: memory_shape(config, memory).depth for memory in Memory}
        self._cell_bytes = {memory: memory_shape(config, memory).cell_bytes for memory in Memory}
        self._rows = (1 << config.rows) - 1
        self.units = [0] * SEGMENTS
        self._shared: set[int] = set()
        kinds = opcodes(raw)
        self._values: list[tuple[Opcode, tuple[int, ...]] | None] = [None] * len(raw)
        for opcode, names in (
            (Opcode.LOAD, (*_TRANSFER, "row_mask")),
            (Opcode.STORE, (*_TRANSFER, "row")),
            (Opcode.GEMM, _GEMM),
            (Opcode.VECTOR, _VECTOR),
        ):
            where = np.flatnonzero(kinds == opcode)
            spec = spec_of(opcode)
            assert spec is not None
            for place, values in zip(where.tolist(), field_matrix(raw[where], spec, names).tolist(), strict=True):
                self._values[place] = opcode, tuple(values)
        self._find_units()

    def of(self, index: int) -> list[Touch]:
        """Those of instruction `index`; DRAM only where both loads and stores use the segment."""
        decoded = self._values[index]
        if decoded is None:
            return []
        opcode, values = decoded
        if opcode is Opcode.GEMM:
            return self._gemm(values)
        if opcode is Opcode.VECTOR:
            return list(self._vector(values))
        return list(self._transfer(values, loads=opcode is Opcode.LOAD))

    def _find_units(self) -> None:
        used: dict[Opcode, set[int]] = {Opcode.LOAD: set(), Opcode.STORE: set()}
        numbers: list[set[int]] = [set() for _ in range(SEGMENTS)]
        for decoded in self._values:
            if decoded is None or decoded[0] not in used:
                continue
            memory, segment, offset, _, *loops = decoded[1]
            used[decoded[0]].add(segment)
            run = loops[TRANSFER_DIMS - 1] * self._cell_bytes[Memory(memory)]
            numbers[segment] |= {offset, run, *loops[TRANSFER_DIMS : 2 * TRANSFER_DIMS - 1]}
        self._shared = used[Opcode.LOAD] & used[Opcode.STORE]
        self.units = [int(np.gcd.reduce([0, *found])) for found in numbers]

    def _on_chip(
        self,
        memory: Memory,
        base: int,
        bounds: tuple[int, ...],
        strides: tuple[int, ...],
        written: bool = False,
        *,
        rows: int = 1,
        width: int = 1,
    ) -> Touch:
        cells = nest_cells(base, bounds, strides, size=self._depth[memory], width=width)
        return Touch(memory, rows & self._rows if memory in ROW_MEMORIES else 1, cells, written)

    def _transfer(self, values: Sequence[int], *, loads: bool) -> Iterator[Touch]:
        number, segment, offset, base, *loops, rows = values
        memory, bounds = Memory(number), tuple(loops[:TRANSFER_DIMS])
        outer, strides = bounds[:-1], tuple(loops[TRANSFER_DIMS : 2 * TRANSFER_DIMS - 1])
        if segment in self._shared:
            unit = self.units[segment]
            in_units = tuple(stride // unit for stride in strides)
            run = bounds[-1] * self._cell_bytes[memory] // unit
            cells = nest_cells(offset // unit, outer, in_units, size=_DRAM_BYTES // unit, run=run)
            yield Touch(DRAM + segment, 1, cells, not loads)
        chosen = rows if loads else 1 << rows % self.config.rows
        yield self._on_chip(memory, base, bounds, tuple(loops[2 * TRANSFER_DIMS - 1 :]), loads, rows=chosen)

    def _gemm(self, values: tuple[int, ...]) -> list[Touch]:
        dims, config = GEMM_DIMS, self.config
        act, wgt, acc = values[:3]
        bounds, a, w, c = (values[3 + dims * n : 3 + dims * (n + 1)] for n in range(4))
        wide = config.block_in // config.granule
        return [
            self._on_chip(Memory.ACT, act, bounds, a, rows=self._rows, width=wide),
            self._on_chip(Memory.WGT, wgt, bounds, w),
            self._on_chip(Memory.ACC, acc, bounds, c, True, rows=self._rows),
        ]

    def _vector(self, values: tuple[int, ...]) -> Iterator[Touch]:
        function, reduce, rows, a_acc, b_acc, dst_acc, residual, bias, scale, shared, look, table = values[:12]
        a, b, dst, bias_base, scale_base = values[12:17]
        dims = VECTOR_DIMS
        bounds, a_strides, b_strides, dst_strides, walk = (
            values[17 + dims * n : 17 + dims * (n + 1)] for n in range(5)
        )
        config = self.config

        def touch(memory: Memory, base: int, strides: tuple[int, ...], last: bool, written: bool = False) -> Touch:
            split = dims - reduce if last else dims
            base += sum((bounds[d] - 1) * strides[d] for d in range(split, dims))
            width = config.block_out // config.granule if memory is Memory.ACT else 1
            return self._on_chip(memory, base, bounds[:split], strides[:split], written, rows=rows, width=width)

        mac = function == Function.MAC
        if function != Function.ZERO:
            yield touch(Memory.ACC if a_acc else Memory.ACT, a, a_strides, False)
        if mac or residual:
            yield touch(Memory.ACC if b_acc else Memory.ACT, b, b_strides, not mac)
        if bias:
            yield touch(Memory.BIAS, bias_base, walk, True)
        if scale:
            yield touch(Memory.SCALE, scale_base, (0,) * dims if shared else walk, True)
        if look:
            entries = table % config.tables * _ENTRIES
            yield self._on_chip(Memory.TABLE, entries, (_ENTRIES,), (1,))
        yield touch(Memory.ACC if dst_acc else Memory.ACT, dst, dst_strides, True, True)
