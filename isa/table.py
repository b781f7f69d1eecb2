"""The instruction set, once: every other form of it is derived from this table.

An instruction is 64 bytes, little-endian, fields packed from bit 0 upwards in the order given
here. docs/isa.md states what each means.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from functools import cached_property

__all__ = [
    "ENGINES",
    "GEMM_DIMS",
    "INSTRUCTIONS",
    "INSTRUCTION_BITS",
    "INSTRUCTION_BYTES",
    "ISA_VERSION",
    "SEGMENTS",
    "TRANSFER_DIMS",
    "VECTOR_DIMS",
    "Engine",
    "ErrorCode",
    "Field",
    "Function",
    "InstructionSpec",
    "Memory",
    "Opcode",
    "spec_of",
]

ISA_VERSION = 1
INSTRUCTION_BITS = 512
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
SEGMENTS = 8
GEMM_DIMS = 6
VECTOR_DIMS = 5
TRANSFER_DIMS = 4


@unique
class Opcode(IntEnum):
    """0 is illegal, so that memory full of zeros is no program."""

    FINISH = 1
    LOAD = 2
    STORE = 3
    GEMM = 4
    VECTOR = 5
    SYNC = 6


@unique
class Engine(IntEnum):
    """The engines that run instructions; bit numbers of the ``wait`` and ``signal`` masks."""

    LOAD = 0
    GEMM = 1
    VECTOR = 2
    STORE = 3


ENGINES = tuple(Engine)


@unique
class Memory(IntEnum):
    """The on-chip memories; numbers of the ``memory`` field."""

    ACT = 0
    ACC = 1
    WGT = 2
    BIAS = 3
    SCALE = 4
    TABLE = 5


@unique
class Function(IntEnum):
    """What the vector engine does with each step of a reduction."""

    ZERO = 0
    SUM = 1
    MAX = 2
    MIN = 3
    MAC = 4


@unique
class ErrorCode(IntEnum):
    """Why the core stopped. Sticky until a soft reset."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    SEGMENT_LIMIT = 2
    ALIGNMENT = 3
    BUS_READ = 4
    BUS_WRITE = 5
    WATCHDOG = 6
    PROGRAM_END = 7


@dataclass(frozen=True)
class Field:
    """`width` bits of an instruction; two's complement where `signed`."""

    name: str
    width: int
    meaning: str
    signed: bool = False

    @cached_property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @cached_property
    def high(self) -> int:
        return (1 << (self.width - self.signed)) - 1


@dataclass(frozen=True)
class InstructionSpec:
    """One row of the table.

    Raises
    ------
    TypeError
        The fields' widths don't add up to an instruction, or two share a name.
    """

    opcode: Opcode
    engine: Engine | None
    meaning: str
    fields: tuple[Field, ...]
    dims: int = 0

    def __post_init__(self) -> None:
        total = sum(field.width for field in self.fields)
        if total != INSTRUCTION_BITS:
            raise TypeError(f"{self.opcode.name}: field widths must add up to {INSTRUCTION_BITS}, not {total}")
        if len({field.name for field in self.fields}) != len(self.fields):
            raise TypeError(f"{self.opcode.name}: field names must be distinct")

    @property
    def name(self) -> str:
        return self.opcode.name

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Position of each field's lowest bit."""
        offsets, position = {}, 0
        for field in self.fields:
            offsets[field.name] = position
            position += field.width
        return offsets

    @cached_property
    def zeros(self) -> dict[str, int]:
        """0 for each field whose value an instruction chooses."""
        return {field.name: 0 for field in self.fields if field.name not in ("opcode", "reserved")}

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}


def _header() -> tuple[Field, ...]:
    return (
        Field("opcode", 4, "which instruction"),
        Field("wait", 4, "engines of which one token each is taken before the start"),
        Field("signal", 4, "engines to which one token each is given after the last write"),
    )


def _bounds(dims: int) -> tuple[Field, ...]:
    return tuple(Field(f"bound{d}", 16, f"iterations of loop {d}, at least 1") for d in range(dims))


def _operand(name: str, dims: int, what: str) -> tuple[Field, ...]:
    return (
        Field(f"{name}_base", 16, f"{what}: address at the nest's start"),
        *(Field(f"{name}_stride{d}", 16, f"{what}: step of loop {d}", signed=True) for d in range(dims)),
    )


def _padded(*fields: Field) -> tuple[Field, ...]:
    used = sum(field.width for field in fields)
    return (*fields, Field("reserved", INSTRUCTION_BITS - used, "must be zero"))


def _transfer(*selectors: Field) -> tuple[Field, ...]:
    return _padded(
        *_header(),
        *selectors,
        Field("segment", 3, "DRAM segment"),
        Field("offset", 32, "byte offset in the segment"),
        *_bounds(TRANSFER_DIMS),
        *(
            Field(f"dram_stride{d}", 32, f"DRAM: bytes per step of loop {d}", signed=True)
            for d in range(TRANSFER_DIMS - 1)
        ),
        *_operand("mem", TRANSFER_DIMS, "on-chip memory"),
    )


INSTRUCTIONS: tuple[InstructionSpec, ...] = (
    InstructionSpec(
        Opcode.FINISH,
        None,
        "Wait until every engine is idle, then end the program.",
        _padded(Field("opcode", 4, "which instruction")),
    ),
    InstructionSpec(
        Opcode.LOAD,
        Engine.LOAD,
        "Copy cells from DRAM to an on-chip memory.",
        _transfer(
            Field("memory", 3, "destination memory"),
            Field("row_mask", 8, "rows that are written; ACT and ACC only"),
        ),
        TRANSFER_DIMS,
    ),
    InstructionSpec(
        Opcode.STORE,
        Engine.STORE,
        "Copy cells from ACT or ACC to DRAM.",
        _transfer(Field("memory", 3, "source memory, ACT or ACC"), Field("row", 3, "row that is read")),
        TRANSFER_DIMS,
    ),
    InstructionSpec(
        Opcode.GEMM,
        Engine.GEMM,
        "Multiply activation rows by weight tiles and accumulate, one tile a cycle.",
        _padded(
            *_header(),
            Field("accumulate", 1, "1: every product is added to ACC; 0: see overwrite_mask"),
            Field("overwrite_mask", GEMM_DIMS, "loops; when all of them are at 0, the product replaces ACC"),
            *_bounds(GEMM_DIMS),
            *_operand("act", GEMM_DIMS, "ACT"),
            *_operand("wgt", GEMM_DIMS, "WGT"),
            *_operand("acc", GEMM_DIMS, "ACC"),
        ),
        GEMM_DIMS,
    ),
    InstructionSpec(
        Opcode.VECTOR,
        Engine.VECTOR,
        "Reduce, combine, requantise and write vectors of block_out channels.",
        _padded(
            *_header(),
            Field("function", 3, "ZERO, SUM, MAX, MIN or MAC"),
            Field("reduce", 3, "how many of the innermost loops are reduced"),
            Field("a_memory", 1, "operand A: 0 ACT, 1 ACC"),
            Field("b_memory", 1, "operand B: 0 ACT, 1 ACC"),
            Field("dst_memory", 1, "destination: 0 ACT, 1 ACC"),
            Field("residual", 1, "add operand B after scaling"),
            Field("bias_enable", 1, "add a BIAS cell before scaling"),
            Field("scale_enable", 1, "requantise with a SCALE cell"),
            Field("scale_shared", 1, "use the SCALE cell at scale_base throughout"),
            Field("table_enable", 1, "look the result up in a table"),
            Field("table", 3, "which table"),
            Field("row_mask", 8, "rows that are written"),
            Field("a_zero", 8, "subtracted from operand A", signed=True),
            Field("b_zero", 8, "subtracted from operand B under MAC", signed=True),
            Field("zero_point", 8, "added to a result bound for ACT", signed=True),
            Field("minimum", 8, "lower clamp of a result bound for ACT", signed=True),
            Field("maximum", 8, "upper clamp of a result bound for ACT", signed=True),
            *_bounds(VECTOR_DIMS),
            *_operand("a", VECTOR_DIMS, "operand A"),
            *_operand("b", VECTOR_DIMS, "operand B"),
            *_operand("dst", VECTOR_DIMS, "destination"),
            Field("bias_base", 12, "BIAS address at the nest's start"),
            Field("scale_base", 12, "SCALE address at the nest's start"),
            *(
                Field(f"channel_stride{d}", 8, f"BIAS and SCALE: step of loop {d}", signed=True)
                for d in range(VECTOR_DIMS)
            ),
        ),
        VECTOR_DIMS,
    ),
    InstructionSpec(
        Opcode.SYNC,
        None,
        "Take and give tokens, and nothing else, in the queue of one engine.",
        _padded(*_header(), Field("engine", 2, "the engine whose queue it goes through")),
    ),
)

_BY_OPCODE: dict[int, InstructionSpec] = {spec.opcode: spec for spec in INSTRUCTIONS}


def spec_of(opcode: int) -> InstructionSpec | None:
    """The table's row for `opcode`, or None where it is illegal."""
    return _BY_OPCODE.get(opcode)
