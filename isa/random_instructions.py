"""Random single instructions, each legal, with a bias towards what goes wrong in hardware.

Loops of every depth, strides of 0 and below, nests that hit one cell in consecutive cycles, operands
that overlap, corner values in every field; sizes stay small so that a program ends soon.
"""

from collections.abc import Sequence

import numpy as np

from ..config import Config
from .instruction import Instruction
from .memories import STORABLE, memory_shape, transfer_unit
from .table import ENGINES, GEMM_DIMS, TRANSFER_DIMS, VECTOR_DIMS, Engine, Function, Memory, Opcode

__all__ = ["LARGEST_BOUND", "InstructionMaker"]

LARGEST_BOUND = (1 << 16) - 1

_ZONES = 4
_INT8_CORNERS = (-128, -1, 0, 0, 1, 127)


class InstructionMaker:
    """Makes instructions one after the other.

    Memories are divided into zones. Each engine has a home zone in each memory that moves on every few
    instructions, so that engines mostly work side by side and sometimes collide.

    Parameters
    ----------
    segments
        DRAM segments; their lengths bound the transfers.
    points
        About how many cycles the largest nests take.
    strict
        Whether the static checker must accept the instructions; otherwise they may also rely on what hardware
        masks: addresses beyond the depth, low address bits, rows and tables that do not exist.
    """

    def __init__(
        self, rng: np.random.Generator, config: Config, segments: Sequence[np.ndarray], *, points: int, strict: bool
    ) -> None:
        self.rng = rng
        self.config = config
        self.sizes = [len(data) for data in segments]
        self.points = points
        self.strict = strict
        self.made = 0
        self._home = {(engine, memory): int(rng.integers(_ZONES)) for engine in ENGINES for memory in Memory}
        self._stay = int(rng.integers(2, 8))
        self._crowding = float(rng.choice([0.05, 0.3, 0.8]))
        weights = np.array([4, 2, 5, 5, 0.6]) * rng.choice([0.3, 1.0, 3.0], 5)
        self._weights = weights / weights.sum()
        self._last_vector: dict[str, int] = {}

    def instruction(self) -> Instruction:
        """The next one, with no tokens."""
        self.made += 1
        opcodes = (Opcode.LOAD, Opcode.STORE, Opcode.GEMM, Opcode.VECTOR, Opcode.SYNC)
        opcode = opcodes[int(self.rng.choice(len(opcodes), p=self._weights))]
        if opcode is Opcode.SYNC:
            return Instruction(opcode, {"engine": int(self.rng.integers(len(ENGINES)))})
        make = {Opcode.GEMM: self._gemm, Opcode.VECTOR: self._vector}.get(opcode)
        return Instruction(opcode, make() if make else self._transfer(opcode))

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _one_of(self, values: Sequence[int]) -> int:
        """As NumPy's `choice`, which takes several times as long for so few."""
        return values[int(self.rng.integers(len(values)))]

    def _bounds(self, dims: int, points: int) -> list[int]:
        """Bounds of a nest of 1 to `dims` loops with about 1 to `points` points; often every loop is a real one.

        Where `self.points` allows it, most nests are one loop with the highest bound there is.
        """
        if self.points >= LARGEST_BOUND and self._chance(0.8):
            bounds = [1] * dims
            bounds[int(self.rng.integers(dims))] = LARGEST_BOUND
            return bounds
        if self._chance(0.03):
            return [1] * dims
        left = max(float(np.exp(self.rng.uniform(0, np.log(max(points, 2))))), 1.0)
        real = dims if self._chance(0.25) else int(self.rng.integers(1, dims + 1))
        loops = self.rng.permutation(dims)[:real]
        least = 2 if self._chance(0.5) else 1
        left = max(left, least ** len(loops))
        bounds = [1] * dims
        for rest, loop in zip(range(len(loops), 0, -1), loops, strict=True):
            most = max(int(left / least ** (rest - 1)), 1)
            usual = max(int(2 * left ** (1 / rest)), least)
            bounds[loop] = min(int(self.rng.integers(least, usual + 1)), most) if rest > 1 else most
            left = max(left / bounds[loop], 1.0)
        return bounds

    def _walk(self, bounds: Sequence[int], extent: int, unit: int = 1, limit: int = 1 << 15) -> tuple[int, list[int]]:
        """(base, strides), multiples of `unit`, of a nest that stays within 0 to `extent` inclusive."""
        left, lowest = extent // unit, 0
        still = self._chance(0.08)
        strides = [0] * len(bounds)
        dense = 1
        order = range(len(bounds) - 1, -1, -1) if self._chance(0.6) else self.rng.permutation(len(bounds))
        for loop in order:
            steps = bounds[loop] - 1
            if not steps:
                strides[loop] = self._idle_stride(limit)
                continue
            most = 0 if still else min(left // steps, (limit - 1) // unit)
            stride = self._one_of([0, 1, dense, int(self.rng.integers(0, most + 1)), min(2, most)])
            stride = min(stride, most) * (-1 if self._chance(0.25) else 1)
            dense *= bounds[loop]
            left -= abs(stride) * steps
            lowest += min(stride * steps, 0)
            strides[loop] = stride * unit
        slack = self._one_of([0, left, int(self.rng.integers(0, left + 1))])
        return (slack - lowest) * unit, strides

    def _idle_stride(self, limit: int) -> int:
        """A stride that is never taken: the loop runs once."""
        if self._chance(0.8):
            return 0
        corners = (-limit, -1, 1, limit - 1)
        return self._one_of(corners) if self._chance(0.3) else int(self.rng.integers(-limit, limit))

    def _on_chip(self, engine: Engine, memory: Memory, bounds: Sequence[int], width: int = 1) -> tuple[int, list[int]]:
        """(base, strides) of an on-chip operand that takes `width` cells at each point."""
        depth = memory_shape(self.config, memory).depth
        unit = width if self.strict else 1
        zone, low = max(depth // _ZONES, width), 0
        narrow = self._chance(self._crowding)
        if self._chance(0.75):
            low = (self._home[engine, memory] + self.made // self._stay) % _ZONES * zone % depth
        else:
            zone, narrow = depth, False
        size = min(zone, int(self.rng.integers(1, 9)) * width) if narrow else zone
        base, strides = self._walk(bounds, size - width, unit)
        base += low
        return self._beyond(base, depth) & 0xFFFF, strides

    def _beyond(self, base: int, depth: int) -> int:
        """Where the checker is not asked, often an address that only means something modulo `depth`."""
        if self.strict or self._chance(0.5):
            return base
        return base + int(self.rng.integers(0, (1 << 16) // depth)) * depth + int(self.rng.integers(-depth, depth))

    def _width(self, memory: Memory, channels: int) -> int:
        return channels // self.config.granule if memory is Memory.ACT else 1

    @staticmethod
    def _fields(name: str, access: tuple[int, list[int]]) -> dict[str, int]:
        base, strides = access
        return {f"{name}_base": base} | {f"{name}_stride{d}": stride for d, stride in enumerate(strides)}

    @staticmethod
    def _bound_fields(bounds: Sequence[int]) -> dict[str, int]:
        return {f"bound{d}": bound for d, bound in enumerate(bounds)}

    def _transfer(self, opcode: Opcode) -> dict[str, int]:
        config, rng, loading = self.config, self.rng, opcode is Opcode.LOAD
        engine = Engine.LOAD if loading else Engine.STORE
        memory = Memory(self._one_of(tuple(Memory if loading else STORABLE)))
        segment = int(memory) if loading and self._chance(0.8) else int(rng.integers(len(self.sizes)))
        beats = -(-memory_shape(config, memory).cell_bytes // config.bus_bytes)
        bounds = self._bounds(TRANSFER_DIMS, max(self.points // beats // 2, 2))
        if bounds[-1] == LARGEST_BOUND:
            memory, segment = Memory.ACT, int(np.argmax(self.sizes))
        cell, unit = memory_shape(config, memory).cell_bytes, transfer_unit(config, memory)
        size = self.sizes[segment]
        bounds[-1] = min(bounds[-1], size // cell)
        extent = size - bounds[-1] * cell
        offset, strides = self._walk(bounds[:-1], extent, unit if self._chance(0.3) or extent < cell else cell, 1 << 31)
        if self._chance(0.2):
            slack = extent - self._highest(offset, strides, bounds)
            offset += slack // unit * unit
        fields = self._bound_fields(bounds) | self._fields("mem", self._on_chip(engine, memory, bounds))
        fields |= {f"dram_stride{d}": stride for d, stride in enumerate(strides)}
        fields |= {"memory": memory, "segment": segment, "offset": offset}
        return fields | (
            {"row_mask": self._row_mask()} if loading else {"row": int(rng.integers(config.rows if self.strict else 8))}
        )

    @staticmethod
    def _highest(base: int, strides: Sequence[int], bounds: Sequence[int]) -> int:
        return base + sum(max(s * (b - 1), 0) for s, b in zip(strides, bounds, strict=False))

    def _row_mask(self) -> int:
        return 0xFF if self._chance(0.6) else int(self.rng.integers(256))

    def _gemm(self) -> dict[str, int]:
        bounds = self._bounds(GEMM_DIMS, self.points)
        fields = self._bound_fields(bounds)
        for name, memory in (("act", Memory.ACT), ("wgt", Memory.WGT), ("acc", Memory.ACC)):
            width = self._width(memory, self.config.block_in)
            fields |= self._fields(name, self._on_chip(Engine.GEMM, memory, bounds, width))
        still = sum(1 << d for d in range(GEMM_DIMS) if not fields[f"acc_stride{d}"])
        mask = self._one_of([0, still, int(self.rng.integers(1 << GEMM_DIMS))])
        return fields | {"accumulate": int(self._chance(0.3)), "overwrite_mask": mask}

    def _vector(self) -> dict[str, int]:
        rng = self.rng
        cost = self.config.block_out // self.config.vector_lanes
        bounds = self._bounds(VECTOR_DIMS, max(self.points // cost, 4))
        fields = {
            "function": int(rng.integers(len(Function))),
            "reduce": 0 if self._chance(0.2) else int(rng.integers(VECTOR_DIMS + 1)),
            **self._bound_fields(bounds),
            **self._vector_switches(),
        }
        if fields["function"] == Function.MAC:
            fields |= {"a_memory": 0, "b_memory": 0}
        if fields["table_enable"]:
            fields |= {"dst_memory": 0}
        memories = [Memory.ACC if fields[f"{name}_memory"] else Memory.ACT for name in ("a", "b", "dst")]
        for name, memory in zip(("a", "b", "dst"), memories, strict=True):
            width = self._width(memory, self.config.block_out)
            fields |= self._fields(name, self._on_chip(Engine.VECTOR, memory, bounds, width))
        self._overlap(fields, memories)
        fields |= self._channels(bounds)
        self._last_vector = fields
        return fields

    def _vector_switches(self) -> dict[str, int]:
        names = ("a_memory", "b_memory", "dst_memory", "residual", "bias_enable", "scale_enable")
        fields = {name: int(self._chance(0.5)) for name in names}
        fields |= {
            "scale_shared": int(self._chance(0.25)),
            "table_enable": int(self._chance(0.2)),
            "table": int(self.rng.integers(self.config.tables if self.strict else 8)),
            "row_mask": self._row_mask(),
        }
        for name in ("a_zero", "b_zero", "zero_point"):
            corner = self._chance(0.5)
            fields[name] = self._one_of(_INT8_CORNERS) if corner else int(self.rng.integers(-128, 128))
        minimum, maximum = sorted(int(value) for value in self.rng.integers(-128, 128, 2))
        limits = [(-128, 127), (-128, 127), (minimum, maximum), (maximum, minimum), (0, 127)]
        fields["minimum"], fields["maximum"] = limits[int(self.rng.integers(len(limits)))]
        return fields

    def _overlap(self, fields: dict[str, int], memories: Sequence[Memory]) -> None:
        """Sometimes place operands where the destination is, or the previous instruction's was."""
        for name, memory in zip(("a", "b"), memories, strict=False):
            if memory is memories[2] and self._chance(0.25):
                shift = self._one_of([0, 0, 1, 2, -1]) * self._width(memory, self.config.block_out)
                self._copy(fields, name, fields, shift=shift, memory=memory)
            last = self._last_vector
            same = last and last["dst_memory"] == fields[f"{name}_memory"]
            if same and all(last[f"bound{d}"] >= fields[f"bound{d}"] for d in range(VECTOR_DIMS)) and self._chance(0.5):
                self._copy(fields, name, last, shift=0, memory=memory)

    def _copy(self, fields: dict[str, int], name: str, source: dict[str, int], *, shift: int, memory: Memory) -> None:
        base, strides = source["dst_base"] + shift, [source[f"dst_stride{d}"] for d in range(VECTOR_DIMS)]
        steps = [s * (fields[f"bound{d}"] - 1) for d, s in enumerate(strides)]
        low, high = base + sum(min(s, 0) for s in steps), base + sum(max(s, 0) for s in steps)
        if not self.strict or (low >= 0 and high < memory_shape(self.config, memory).depth):
            fields |= self._fields(name, (base & 0xFFFF, strides))

    def _channels(self, bounds: Sequence[int]) -> dict[str, int]:
        """BIAS and SCALE share their strides, so both walk within the smaller memory."""
        depth = min(self.config.bias_depth, self.config.scale_depth)
        extent = 0 if self._chance(0.1) else min(depth - 1, int(self.rng.integers(0, depth)))
        base, strides = self._walk(bounds, extent, limit=1 << 7)
        walk = {f"channel_stride{d}": stride for d, stride in enumerate(strides)}
        top = depth - 1 - self._highest(base, strides, bounds)
        for name in ("bias_base", "scale_base"):
            own = Memory.BIAS if name == "bias_base" else Memory.SCALE
            slack = self._one_of([0, top, int(self.rng.integers(0, top + 1))])
            walk[name] = self._beyond(base + slack, memory_shape(self.config, own).depth) & 0xFFF
        return walk
