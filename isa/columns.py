"""Fields of many encoded instructions at once, as arrays."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from .instruction import Instruction
from .table import INSTRUCTION_BYTES, InstructionSpec, Opcode, spec_of

__all__ = ["column", "columns", "field_matrix", "opcodes", "raw_instructions", "reserved_bits", "token_masks"]

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


def token_masks(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64, shape (n,) each: `wait` and `signal`, which all kinds of instructions have in the same place."""
    return (raw[:, 0] >> 4).astype(np.int64), (raw[:, 1] & 0xF).astype(np.int64)


@cache
def _places(opcode: Opcode, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each field: its window of bytes, its shift there, its mask, and what a set sign bit is worth (0: unsigned)."""
    spec = spec_of(opcode)
    assert spec is not None
    fields = [spec.by_name[name] for name in names]
    offsets = np.array([spec.offsets[name] for name in names])
    starts = np.minimum(offsets // 8, INSTRUCTION_BYTES - _WINDOW)
    masks = np.array([(1 << field.width) - 1 for field in fields], dtype=np.uint64)
    signs = np.array([1 << field.width - 1 if field.signed else 0 for field in fields], dtype=np.int64)
    return starts[:, None] + np.arange(_WINDOW), (offsets - 8 * starts).astype(np.uint64), masks, signs


def field_matrix(raw: np.ndarray, spec: InstructionSpec, names: tuple[str, ...]) -> np.ndarray:
    """int64, shape (n, len(names)): fields of instructions that are all of the kind `spec`."""
    windows, shifts, masks, signs = _places(spec.opcode, names)
    values: np.ndarray = (np.take(raw, windows, axis=1).view("<u8")[:, :, 0] >> shifts & masks).astype(np.int64)
    signed: np.ndarray = values - ((values & signs) << 1)
    return signed


def column(raw: np.ndarray, spec: InstructionSpec, name: str) -> np.ndarray:
    """int64, shape (n,): field `name` of instructions that are all of the kind `spec`."""
    values: np.ndarray = field_matrix(raw, spec, (name,))[:, 0]
    return values


def columns(raw: np.ndarray, spec: InstructionSpec) -> dict[str, np.ndarray]:
    """Every field but ``reserved`` of instructions that are all of the kind `spec`."""
    names = tuple(field.name for field in spec.fields if field.name != "reserved")
    return dict(zip(names, np.ascontiguousarray(field_matrix(raw, spec, names).T), strict=True))


def reserved_bits(raw: np.ndarray, spec: InstructionSpec) -> np.ndarray:
    """bool, shape (n,): whether a reserved bit is set."""
    field = spec.by_name["reserved"]
    mask = ((1 << field.width) - 1) << spec.offsets["reserved"]
    bits = np.frombuffer(mask.to_bytes(INSTRUCTION_BYTES, "little"), dtype=np.uint8)
    return np.asarray((raw & bits).any(axis=1))
