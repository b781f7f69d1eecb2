"""Instructions as text and back, exactly.

One instruction a line: the mnemonic and ``name=value`` words in any order; ``;`` begins a comment. ::

    LOAD bounds=2,8 mem=ACT@0:8,1 dram=0@64:32 row_mask=1 wait=GEMM+STORE
    GEMM bounds=4,16 act=0:0,1 wgt=0:1,0 acc=0:0,1 overwrite_mask=16 signal=VECTOR

An operand is ``[memory@]base[:strides]``, of ``dram`` it is ``segment@offset[:strides]``. Loops are
listed outermost first; outer loops left out run once, strides left out are 0, and so is any other
field left out. Numbers may be written 0x1f or 0b101.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from ..errors import ProgramError
from .instruction import Instruction
from .table import ENGINES, INSTRUCTIONS, Engine, Function, InstructionSpec, Memory, Opcode

__all__ = ["assemble", "assemble_line", "disassemble", "disassemble_line"]


@dataclass(frozen=True)
class _Operand:
    """A word that stands for several fields; `space` and `base` are None where it has none."""

    word: str
    space: str | None
    base: str | None
    stride: str


_TRANSFER = (_Operand("mem", "memory", "mem_base", "mem_stride"), _Operand("dram", "segment", "offset", "dram_stride"))
_OPERANDS: dict[Opcode, tuple[_Operand, ...]] = {
    Opcode.LOAD: _TRANSFER,
    Opcode.STORE: _TRANSFER,
    Opcode.GEMM: tuple(_Operand(name, None, f"{name}_base", f"{name}_stride") for name in ("act", "wgt", "acc")),
    Opcode.VECTOR: (
        *(_Operand(name, f"{name}_memory", f"{name}_base", f"{name}_stride") for name in ("a", "b", "dst")),
        _Operand("channel_strides", None, None, "channel_stride"),
    ),
}
_NAMES: dict[str, type[IntEnum]] = {
    "function": Function,
    "engine": Engine,
    "memory": Memory,
    "a_memory": Memory,
    "b_memory": Memory,
    "dst_memory": Memory,
}
_MASKS = ("wait", "signal")


def _grouped(spec: InstructionSpec) -> set[str]:
    """Fields that are not words of their own."""
    names = {f"bound{d}" for d in range(spec.dims)}
    for operand in _OPERANDS.get(spec.opcode, ()):
        names |= {operand.space or "", operand.base or ""}
        names |= {f"{operand.stride}{d}" for d in range(spec.dims)}
    return names


def _shown(field: str, value: int) -> str:
    if field in _NAMES and value in tuple(_NAMES[field]):
        return _NAMES[field](value).name
    if field in _MASKS:
        return "+".join(engine.name for engine in ENGINES if value >> engine & 1)
    return str(value)


def disassemble_line(instruction: Instruction) -> str:
    """One line that :func:`assemble_line` turns back into `instruction`."""
    spec, values = instruction.spec, instruction.values
    operands = _OPERANDS.get(spec.opcode, ())
    strides = [f"{operand.stride}{d}" for operand in operands for d in range(spec.dims)]
    first = 0
    while first < spec.dims and values[f"bound{first}"] == 1:
        if any(values.get(name, 0) for name in strides if name.endswith(str(first))):
            break
        first += 1
    words = [spec.name]
    if first < spec.dims:
        words.append("bounds=" + ",".join(str(values[f"bound{d}"]) for d in range(first, spec.dims)))
    words += [word for operand in operands if (word := _operand_word(spec, values, operand, first))]
    grouped = _grouped(spec)
    words += [f"{name}={_shown(name, value)}" for name, value in values.items() if value and name not in grouped]
    return " ".join(words)


def _operand_word(spec: InstructionSpec, fields: Mapping[str, int], operand: _Operand, first: int) -> str:
    names = [f"{operand.stride}{d}" for d in range(first, spec.dims) if f"{operand.stride}{d}" in fields]
    strides = [fields[name] for name in names]
    text = ",".join(map(str, strides)) if any(strides) else ""
    if operand.base is None:
        return f"{operand.word}={text}" if text else ""
    base = str(fields[operand.base])
    if operand.space:
        base = f"{_shown(operand.space, fields[operand.space])}@{base}"
    return f"{operand.word}={base}" + (f":{text}" if text else "")


def disassemble(instructions: Iterable[Instruction], *, numbered: bool = False) -> str:
    """A line for each instruction; `numbered` adds its index as a comment."""
    lines = []
    for index, instruction in enumerate(instructions):
        line = disassemble_line(instruction)
        lines.append(f"{line}  ; {index}" if numbered else line)
    return "".join(f"{line}\n" for line in lines)


def assemble(text: str) -> list[Instruction]:
    """The instructions in `text`.

    Raises
    ------
    ProgramError
        A line is wrong; the message names line and field.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.split(";")[0].strip()
        if code:
            found.append(assemble_line(code, where=f"line {number}"))
    return found


def assemble_line(code: str, *, where: str = "instruction") -> Instruction:
    """One instruction without comment; `where` names it in errors.

    Raises
    ------
    ProgramError
        It is wrong.
    """
    mnemonic, *words = code.split()
    spec = next((spec for spec in INSTRUCTIONS if spec.name == mnemonic), None)
    if spec is None:
        names = ", ".join(spec.name for spec in INSTRUCTIONS)
        raise ProgramError(f"{where}: an instruction must be one of {names}, not {mnemonic[:40]}")
    return _Line(spec, where).parse(words)


class _Line:
    def __init__(self, spec: InstructionSpec, where: str) -> None:
        self.spec = spec
        self.where = where
        self.fields: dict[str, int] = {f"bound{d}": 1 for d in range(spec.dims)}
        self.loops = 0

    def fail(self, name: str, problem: str) -> NoReturn:
        raise ProgramError(f"{self.where}: {self.spec.name} {name} {problem}")

    def parse(self, words: list[str]) -> Instruction:
        given: dict[str, str] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                self.fail(name[:40], "must be followed by =value")
            if name in given:
                self.fail(name, "is given twice")
            given[name] = value
        if "bounds" in given and self.spec.dims:
            self._bounds(given.pop("bounds"))
        for operand in _OPERANDS.get(self.spec.opcode, ()):
            if operand.word in given:
                self._operand(operand, given.pop(operand.word))
        allowed = {field.name for field in self.spec.fields} - _grouped(self.spec) - {"opcode", "reserved"}
        for name, value in given.items():
            if name not in allowed:
                self.fail(name[:40], "is not a field")
            self.fields[name] = self._value(name, name, value)
        return Instruction(self.spec.opcode, self.fields)

    def _value(self, word: str, field: str, text: str) -> int:
        """The number or names in `text`, checked against the field."""
        if field in _MASKS:
            names = {engine.name: 1 << engine for engine in ENGINES}
            parts = text.split("+")
            if not set(parts) <= set(names) or len(set(parts)) < len(parts):
                self.fail(word, f"must be engines joined by +, not {text[:40]!r}")
            return sum(names[part] for part in parts)
        kind = _NAMES.get(field)
        if kind is not None and text in kind.__members__:
            value = int(kind[text])
        else:
            value = self._number(word, text, [entry.name for entry in kind] if kind else [])
        low, high = self.spec.by_name[field].low, self.spec.by_name[field].high
        if not low <= value <= high:
            self.fail(word if word == field else f"{word} ({field})", f"must be from {low} to {high}, not {text[:40]}")
        return value

    def _number(self, word: str, text: str, names: list[str]) -> int:
        try:
            return int(text[:40], 0)
        except ValueError:
            wanted = f"{', '.join(names)} or a number" if names else "a number"
            self.fail(word, f"must be {wanted}, not {text[:40]!r}")

    def _bounds(self, text: str) -> None:
        parts = text.split(",")
        if len(parts) > self.spec.dims:
            self.fail("bounds", f"must be at most {self.spec.dims} loops, not {len(parts)}")
        self.loops = len(parts)
        for d, part in enumerate(parts, start=self.spec.dims - len(parts)):
            self.fields[f"bound{d}"] = self._value("bounds", f"bound{d}", part)

    def _operand(self, operand: _Operand, text: str) -> None:
        head, colon, steps = text.partition(":") if operand.base else ("", ":", text)
        if operand.base:
            if operand.space:
                space, at, head = head.partition("@")
                if not at:
                    self.fail(operand.word, f"must be place@address[:strides], not {text[:40]!r}")
                self.fields[operand.space] = self._value(operand.word, operand.space, space)
            self.fields[operand.base] = self._value(operand.word, operand.base, head)
        if not colon:
            return
        dims = range(self.spec.dims - self.loops, self.spec.dims)
        names = [name for d in dims if (name := f"{operand.stride}{d}") in self.spec.by_name]
        parts = steps.split(",")
        if len(parts) != len(names):
            self.fail(operand.word, f"must have {len(names)} strides, not {len(parts)}")
        for name, part in zip(names, parts, strict=True):
            self.fields[name] = self._value(operand.word, name, part)
