"""One instruction as a value: build, read, encode, decode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import ProgramError
from .nest import Access, Nest
from .table import (
    GEMM_DIMS,
    INSTRUCTION_BYTES,
    TRANSFER_DIMS,
    VECTOR_DIMS,
    Engine,
    Function,
    InstructionSpec,
    Memory,
    Opcode,
    spec_of,
)

__all__ = ["Instruction", "decode", "finish", "gemm", "load", "mask_of", "store", "sync", "vector"]


@dataclass(frozen=True)
class Instruction:
    """An opcode and the values of its fields; fields left out are 0.

    Raises
    ------
    ProgramError
        A field is unknown or its value does not fit.
    """

    opcode: Opcode
    values: Mapping[str, int]

    def __post_init__(self) -> None:
        spec = self.spec
        full = dict(spec.zeros)
        for name, value in self.values.items():
            if name not in full:
                raise ProgramError(f"{spec.name} has no field {name}")
            field = spec.by_name[name]
            if not field.low <= value <= field.high:
                raise ProgramError(f"{spec.name}.{name} must be from {field.low} to {field.high}, not {value}")
            full[name] = int(value)
        object.__setattr__(self, "values", MappingProxyType(full))

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def __hash__(self) -> int:
        return hash(self.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instruction) and self.encode() == other.encode()

    @property
    def spec(self) -> InstructionSpec:
        spec = spec_of(self.opcode)
        assert spec is not None
        return spec

    @property
    def engine(self) -> Engine | None:
        """The engine whose queue it goes through; None for FINISH."""
        return Engine(self["engine"]) if self.opcode is Opcode.SYNC else self.spec.engine

    @property
    def nest(self) -> Nest:
        return Nest(tuple(self.values[f"bound{d}"] for d in range(self.spec.dims)))

    def access(self, operand: str) -> Access:
        """The operand ``act``, ``wgt``, ``acc``, ``mem``, ``a``, ``b`` or ``dst``."""
        strides = tuple(self.values[f"{operand}_stride{d}"] for d in range(self.spec.dims))
        return Access(self.values[f"{operand}_base"], strides)

    @property
    def dram(self) -> Access:
        """Byte addresses of a transfer's runs, relative to its segment (the innermost loop is one run)."""
        strides = tuple(self.values[f"dram_stride{d}"] for d in range(TRANSFER_DIMS - 1))
        return Access(self.values["offset"], strides)

    def channel_access(self, base: str) -> Access:
        """BIAS or SCALE cells of a VECTOR; `base` is ``bias_base`` or ``scale_base``."""
        strides = tuple(self.values[f"channel_stride{d}"] for d in range(VECTOR_DIMS))
        return Access(self.values[base], strides)

    def replace(self, **changes: int) -> "Instruction":
        replaced = Instruction(self.opcode, changes)
        checked = {name: replaced.values[name] for name in changes}
        object.__setattr__(replaced, "values", MappingProxyType({**self.values, **checked}))
        return replaced

    def encode(self) -> bytes:
        spec, word = self.spec, int(self.opcode)
        for name, value in self.values.items():
            word |= (value & ((1 << spec.by_name[name].width) - 1)) << spec.offsets[name]
        return word.to_bytes(INSTRUCTION_BYTES, "little")


def decode(raw: bytes, *, where: str = "instruction") -> Instruction:
    """The inverse of :meth:`Instruction.encode`.

    Raises
    ------
    ProgramError
        Wrong length, unknown opcode, or reserved bits set; `where` names the place.
    """
    if len(raw) != INSTRUCTION_BYTES:
        raise ProgramError(f"{where} must be {INSTRUCTION_BYTES} bytes, not {len(raw)}")
    word = int.from_bytes(raw, "little")
    spec = spec_of(word & 0xF)
    if spec is None:
        raise ProgramError(f"{where} has the unknown opcode {word & 0xF}")
    values = {}
    for field in spec.fields:
        value = word >> spec.offsets[field.name] & ((1 << field.width) - 1)
        if field.signed and value >> (field.width - 1):
            value -= 1 << field.width
        values[field.name] = value
    if values.pop("reserved"):
        raise ProgramError(f"{where} ({spec.name}) has reserved bits set")
    del values["opcode"]
    return Instruction(spec.opcode, values)


def mask_of(engines: Sequence[Engine]) -> int:
    """The ``wait`` or ``signal`` mask that names `engines`."""
    return sum({1 << engine for engine in engines})


def _nest_fields(bounds: Sequence[int], dims: int, **operands: tuple[int, Sequence[int]]) -> dict[str, int]:
    """Fields of a nest of up to `dims` loops; missing outer loops run once."""
    missing = dims - len(bounds)
    if missing < 0:
        raise ProgramError(f"a nest must have at most {dims} loops, not {len(bounds)}")
    fields = {f"bound{d}": bound for d, bound in enumerate([1] * missing + list(bounds))}
    for name, (base, strides) in operands.items():
        if len(strides) != len(bounds):
            raise ProgramError(f"operand {name} must have {len(bounds)} strides, not {len(strides)}")
        fields[f"{name}_base"] = base
        fields |= {f"{name}_stride{missing + d}": stride for d, stride in enumerate(strides)}
    return fields


def finish() -> Instruction:
    return Instruction(Opcode.FINISH, {})


def sync(engine: Engine, *, wait: Sequence[Engine] = (), signal: Sequence[Engine] = ()) -> Instruction:
    return Instruction(Opcode.SYNC, {"engine": engine, "wait": mask_of(wait), "signal": mask_of(signal)})


def _transfer(
    opcode: Opcode,
    memory: Memory,
    segment: int,
    offset: int,
    bounds: Sequence[int],
    dram_strides: Sequence[int],
    mem: tuple[int, Sequence[int]],
    selectors: dict[str, int],
) -> Instruction:
    if len(dram_strides) != len(bounds) - 1:
        raise ProgramError(f"a transfer of {len(bounds)} loops must have {len(bounds) - 1} DRAM strides")
    fields = _nest_fields(bounds, TRANSFER_DIMS, mem=mem)
    missing = TRANSFER_DIMS - len(bounds)
    fields |= {f"dram_stride{missing + d}": stride for d, stride in enumerate(dram_strides)}
    return Instruction(opcode, {"memory": memory, "segment": segment, "offset": offset, **fields, **selectors})


def load(
    *,
    memory: Memory,
    segment: int,
    offset: int,
    bounds: Sequence[int],
    dram_strides: Sequence[int] = (),
    mem: tuple[int, Sequence[int]],
    row_mask: int = 1,
    wait: Sequence[Engine] = (),
    signal: Sequence[Engine] = (),
) -> Instruction:
    """A LOAD of up to 4 loops, outermost first; `mem` is (base, strides), DRAM strides leave out the innermost."""
    selectors = {"row_mask": row_mask, "wait": mask_of(wait), "signal": mask_of(signal)}
    return _transfer(Opcode.LOAD, memory, segment, offset, bounds, dram_strides, mem, selectors)


def store(
    *,
    memory: Memory,
    segment: int,
    offset: int,
    bounds: Sequence[int],
    dram_strides: Sequence[int] = (),
    mem: tuple[int, Sequence[int]],
    row: int = 0,
    wait: Sequence[Engine] = (),
    signal: Sequence[Engine] = (),
) -> Instruction:
    """A STORE of up to 4 loops, outermost first; `mem` is (base, strides), DRAM strides leave out the innermost."""
    selectors = {"row": row, "wait": mask_of(wait), "signal": mask_of(signal)}
    return _transfer(Opcode.STORE, memory, segment, offset, bounds, dram_strides, mem, selectors)


def gemm(
    *,
    bounds: Sequence[int],
    act: tuple[int, Sequence[int]],
    wgt: tuple[int, Sequence[int]],
    acc: tuple[int, Sequence[int]],
    accumulate: bool = False,
    overwrite: Sequence[int] = (),
    wait: Sequence[Engine] = (),
    signal: Sequence[Engine] = (),
) -> Instruction:
    """A GEMM of up to 6 loops, outermost first; `overwrite` lists positions in `bounds`."""
    missing = GEMM_DIMS - len(bounds)
    fields = _nest_fields(bounds, GEMM_DIMS, act=act, wgt=wgt, acc=acc)
    fields |= {"accumulate": int(accumulate), "overwrite_mask": sum({1 << (missing + d) for d in overwrite})}
    return Instruction(Opcode.GEMM, {**fields, "wait": mask_of(wait), "signal": mask_of(signal)})


def vector(
    *,
    function: Function,
    bounds: Sequence[int],
    dst: tuple[Memory, int, Sequence[int]],
    a: tuple[Memory, int, Sequence[int]] | None = None,
    b: tuple[Memory, int, Sequence[int]] | None = None,
    reduce: int = 0,
    residual: bool = False,
    bias: int | None = None,
    scale: int | None = None,
    scale_shared: bool = False,
    channel_strides: Sequence[int] | None = None,
    table: int | None = None,
    row_mask: int = 0xFF,
    a_zero: int = 0,
    b_zero: int = 0,
    zero_point: int = 0,
    minimum: int = -128,
    maximum: int = 127,
    wait: Sequence[Engine] = (),
    signal: Sequence[Engine] = (),
) -> Instruction:
    """A VECTOR of up to 5 loops, outermost first; operands are (memory, base, strides)."""
    still: tuple[Memory, int, Sequence[int]] = (Memory.ACT, 0, [0] * len(bounds))
    operands = {"a": a or still, "b": b or still, "dst": dst}
    fields = _nest_fields(bounds, VECTOR_DIMS, **{name: operand[1:] for name, operand in operands.items()})
    missing = VECTOR_DIMS - len(bounds)
    for d, stride in enumerate(channel_strides or [0] * len(bounds)):
        fields[f"channel_stride{missing + d}"] = stride
    fields |= {f"{name}_memory": int(operand[0]) for name, operand in operands.items()}
    fields |= {
        "function": function,
        "reduce": reduce,
        "residual": int(residual),
        "bias_enable": int(bias is not None),
        "bias_base": bias or 0,
        "scale_enable": int(scale is not None),
        "scale_base": scale or 0,
        "scale_shared": int(scale_shared),
        "table_enable": int(table is not None),
        "table": table or 0,
        "row_mask": row_mask,
        "a_zero": a_zero,
        "b_zero": b_zero,
        "zero_point": zero_point,
        "minimum": minimum,
        "maximum": maximum,
        "wait": mask_of(wait),
        "signal": mask_of(signal),
    }
    return Instruction(Opcode.VECTOR, fields)
