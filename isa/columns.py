"""Fields of many encoded instructions at once, as arrays."""

from collections.abc import Sequence

import numpy as np

from .instruction import Instruction
from .table import INSTRUCTION_BYTES, Field, InstructionSpec

__all__ = ["column", "columns", "opcodes", "raw_instructions", "reserved_bits"]

_WINDOW = 8


def raw_instructions(instructions: Sequence[Instruction] | np.ndarray) -> np.ndarray:
    """uint8, shape (n, 64), from instructions in either form."""
    if isinstance(instructions, np.ndarray):
        return instructions
    raw = b"".join(instruction.encode() for instruction in instructions)
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, INSTRUCTION_BYTES)


def opcodes(raw: np.ndarray) -> np.ndarray:
    """int64, shape (n,)."""
    return (raw[:, 0] & 0xF).astype(np.int64)


def column(raw: np.ndarray, spec: InstructionSpec, name: str) -> np.ndarray:
    """int64, shape (n,): field `name` of instructions that are all of the kind `spec`."""
    field, offset = spec.by_name[name], spec.offsets[name]
    start = min(offset // 8, INSTRUCTION_BYTES - _WINDOW)
    window = np.ascontiguousarray(raw[:, start : start + _WINDOW]).view("<u8")[:, 0]
    value = (window >> np.uint64(offset - 8 * start) & np.uint64((1 << field.width) - 1)).astype(np.int64)
    return _signed(value, field) if field.signed else value


def _signed(value: np.ndarray, field: Field) -> np.ndarray:
    return np.where(value > field.high, value - (1 << field.width), value)


def columns(raw: np.ndarray, spec: InstructionSpec) -> dict[str, np.ndarray]:
    """Every field but ``reserved`` of instructions that are all of the kind `spec`."""
    return {field.name: column(raw, spec, field.name) for field in spec.fields if field.name != "reserved"}


def reserved_bits(raw: np.ndarray, spec: InstructionSpec) -> np.ndarray:
    """bool, shape (n,): whether a reserved bit is set."""
    field = spec.by_name["reserved"]
    mask = ((1 << field.width) - 1) << spec.offsets["reserved"]
    bits = np.frombuffer(mask.to_bytes(INSTRUCTION_BYTES, "little"), dtype=np.uint8)
    return np.asarray((raw & bits).any(axis=1))
