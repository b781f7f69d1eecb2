"""Bins of loop nests and of the addresses that they walk: opcode × operand × loop depth × corner.

Everything is read off the instruction table: which operands an instruction has, which memories they may name, how deep
its nest is.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config import Config
from .memories import STORABLE, memory_shape
from .table import Function, InstructionSpec, Memory, Opcode

__all__ = ["Fields", "nest_bins", "reached_nests", "reached_walks", "used_operands", "walk_bins"]

Fields = dict[str, np.ndarray]

_CORNERS = ("at cell 0", "at the last cell", "wraps", "stands still", "dense", "backwards", "repeats")
_LEAST_DEPTH = (0, 0, 0, 1, 1, 1, 2)
_WRAPS = _CORNERS.index("wraps")
_SHARED = "channel_stride"


@dataclass(frozen=True)
class _Operand:
    """``base + Σ stride[d] · index[d]``: the names of the fields, the last of `loops` loops being the innermost."""

    name: str
    base: str
    stride: str
    loops: int

    @property
    def in_dram(self) -> bool:
        return self.base == "offset"


def _operands(spec: InstructionSpec) -> Iterator[_Operand]:
    if "offset" in spec.by_name:
        yield _Operand("DRAM", "offset", "dram_stride", spec.dims - 1)
    for name in (field.name.removesuffix("_base") for field in spec.fields if field.name.endswith("_base")):
        own = f"{name}_stride" if f"{name}_stride0" in spec.by_name else _SHARED
        yield _Operand(name, f"{name}_base", own, spec.dims)


def _choices(spec: InstructionSpec, operand: _Operand) -> tuple[str, tuple[Memory, ...]]:
    """The field that chooses the operand's memory, and its values in order; an empty name where there is no choice."""
    if f"{operand.name}_memory" in spec.by_name:
        return f"{operand.name}_memory", (Memory.ACT, Memory.ACC)
    if "memory" in spec.by_name:
        return "memory", tuple(Memory) if spec.opcode is Opcode.LOAD else STORABLE
    return "", (Memory[operand.name.upper()],)


def used_operands(spec: InstructionSpec, fields: Fields) -> dict[str, np.ndarray | bool]:
    """Where each operand's address matters, as the manual has it."""
    if spec.opcode is not Opcode.VECTOR:
        return {operand.name: True for operand in _operands(spec)}
    function = fields["function"]
    return {
        "a": function != Function.ZERO,
        "b": (function == Function.MAC) | (fields["residual"] == 1),
        "dst": True,
        "bias": fields["bias_enable"] == 1,
        "scale": (fields["scale_enable"] == 1) & (fields["scale_shared"] == 0),
    }


def _variants(spec: InstructionSpec) -> tuple[str, ...]:
    return tuple(f" {function.name}" for function in Function) if "function" in spec.by_name else ("",)


def _possible(variant: str, operand: str, memory: Memory) -> bool:
    """MAC takes both operands from ACT; ZERO has no operand A."""
    if variant.strip() == Function.MAC.name and operand in ("a", "b"):
        return memory is Memory.ACT
    return not (variant.strip() == Function.ZERO.name and operand == "a")


def _walk_label(spec: InstructionSpec, variant: str, operand: str, memory: Memory, depth: int, corner: str) -> str:
    return f"{spec.name}{variant} {operand}, {memory.name}, {depth} loops, {corner}"


def walk_bins(spec: InstructionSpec) -> Iterator[str]:
    for operand in _operands(spec):
        for variant in _variants(spec):
            for memory in _choices(spec, operand)[1]:
                if not _possible(variant, operand.name, memory):
                    continue
                for depth in range(operand.loops + 1):
                    for corner, least in zip(_CORNERS, _LEAST_DEPTH, strict=True):
                        if depth >= least and not (operand.in_dram and corner == _CORNERS[_WRAPS]):
                            yield _walk_label(spec, variant, operand.name, memory, depth, corner)


def reached_walks(spec: InstructionSpec, fields: Fields, config: Config, segments: np.ndarray) -> Counter[str]:
    """How often `fields`, those of instructions of the kind `spec`, reach each bin.

    Parameters
    ----------
    segments
        Shape (n, 8): bytes in the segments that each instruction sees.
    """
    reached: Counter[str] = Counter()
    variants = _variants(spec)
    variant = fields.get("function", np.zeros_like(fields["opcode"]))
    for operand in _operands(spec):
        used = used_operands(spec, fields)[operand.name]
        chooser, memories = _choices(spec, operand)
        for number, memory in enumerate(memories):
            where = used & (fields[chooser] == (memory if chooser == "memory" else number)) if chooser else used
            here = np.flatnonzero(np.broadcast_to(where, variant.shape))
            part = {name: column[here] for name, column in fields.items()}
            depth, corners = _corners(spec, operand, memory, part, config, segments[here])
            for place, corner in enumerate(_CORNERS):
                keys = np.stack([variant[here], depth])[:, corners[place]]
                for (kind, loops), count in zip(*_counted(keys), strict=True):
                    reached[_walk_label(spec, variants[kind], operand.name, memory, loops, corner)] += count
    return reached


def _counted(keys: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """The distinct columns of `keys`, and how often each occurs."""
    found, counts = np.unique(keys, axis=1, return_counts=True)
    return found.T.tolist(), counts.tolist()


def _corners(
    spec: InstructionSpec, operand: _Operand, memory: Memory, fields: Fields, config: Config, segments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Loop depth, shape (n,), and bool of shape (corners, n)."""
    bounds = np.stack([fields[f"bound{d}"] for d in range(operand.loops)])
    strides = np.stack([fields[f"{operand.stride}{d}"] for d in range(operand.loops)])
    moving = bounds > 1
    fixed = np.zeros_like(bounds[0])
    if "reduce" in fields and not (operand.name == "a" or operand.name == "b"):
        inner = np.arange(spec.dims)[:, None] >= spec.dims - fields["reduce"]
        fixed = (strides * (bounds - 1) * inner).sum(axis=0)
        moving &= ~inner
    steps = strides * (bounds - 1) * moving
    low = fields[operand.base] + fixed + np.minimum(steps, 0).sum(axis=0)
    high = fields[operand.base] + fixed + np.maximum(steps, 0).sum(axis=0)
    shape = memory_shape(config, memory)
    if operand.in_dram:
        unit = shape.cell_bytes * fields[f"bound{spec.dims - 1}"]
        size = segments[np.arange(len(segments)), fields["segment"]]
        wraps, last = np.zeros_like(moving[0]), high + unit == size
    else:
        unit = np.full_like(high, _width(spec, memory, config))
        wraps, last = (low < 0) | (high >= shape.depth), high // unit == shape.depth // unit - 1
    depth = moving.sum(axis=0)
    innermost = operand.loops - 1 - np.argmax(moving[::-1], axis=0)
    step = strides[innermost, np.arange(len(innermost))]
    zeros, others = (moving & (strides == 0)).any(axis=0), (moving & (strides != 0)).any(axis=0)
    repeats = zeros & others & (depth > 1)
    corners = (low == 0, last, wraps, zeros & ~others, (step == unit) & (depth > 0))
    return depth, np.stack([*corners, (moving & (strides < 0)).any(axis=0), repeats])


def _width(spec: InstructionSpec, memory: Memory, config: Config) -> int:
    """Cells that an operand takes at each point."""
    if memory is not Memory.ACT or "memory" in spec.by_name:
        return 1
    return (config.block_in if spec.opcode is Opcode.GEMM else config.block_out) // config.granule


def nest_bins(spec: InstructionSpec) -> Iterator[str]:
    """Which loops run more than once, and for a reduction which of them it takes."""
    for mask in range(1 << spec.dims if spec.dims else 0):
        for reduce in range(spec.dims + 1) if "reduce" in spec.by_name else (0,):
            yield _nest_label(spec, mask, reduce)
    if "function" in spec.by_name:
        for function in range(len(Function)):
            for depth in range(spec.dims + 1):
                for reduce in range(spec.dims + 1):
                    yield _reduction_label(spec, function, depth, reduce)


def _nest_label(spec: InstructionSpec, mask: int, reduce: int) -> str:
    loops = " ".join(str(d) for d in range(spec.dims) if mask >> d & 1) or "none"
    return f"{spec.name} loops {loops}" + (f", {reduce} reduced" if "reduce" in spec.by_name else "")


def _reduction_label(spec: InstructionSpec, function: int, depth: int, reduce: int) -> str:
    return f"{spec.name} {Function(function).name}, {depth} loops, {reduce} reduced"


def reached_nests(spec: InstructionSpec, fields: Fields) -> Counter[str]:
    if not spec.dims:
        return Counter()
    real = np.stack([fields[f"bound{d}"] > 1 for d in range(spec.dims)])
    mask = (real << np.arange(spec.dims)[:, None]).sum(axis=0)
    reduce = fields.get("reduce", np.zeros_like(mask))
    reached: Counter[str] = Counter()
    for (loops, reduced), count in zip(*_counted(np.stack([mask, reduce])), strict=True):
        reached[_nest_label(spec, loops, reduced)] += count
    if "function" in fields:
        keys = np.stack([fields["function"], real.sum(axis=0), reduce])
        for (function, depth, reduced), count in zip(*_counted(keys), strict=True):
            reached[_reduction_label(spec, function, depth, reduced)] += count
    return reached
