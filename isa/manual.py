"""Writes the tables of docs/isa.md: ``python -m tilewright.isa.manual``."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .generated_page import updated
from .registers import COUNTER_BASE, COUNTERS, PAGE_BYTES, REGISTERS, SEGMENT_STRIDE, counter_address
from .table import INSTRUCTIONS, ISA_VERSION, SEGMENTS, Engine, ErrorCode, Field, Function, InstructionSpec, Memory

__all__ = ["PATH", "generated"]

PATH = Path(__file__).parent.parent / "docs" / "isa.md"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _runs(spec: InstructionSpec) -> Iterator[list[Field]]:
    """Fields one by one, but numbered ones of one name and width together."""
    run: list[Field] = []
    for field in spec.fields:
        stem = re.sub(r"\d+$", "", field.name)
        if run and (stem == field.name or stem != re.sub(r"\d+$", "", run[0].name)):
            yield run
            run = []
        run.append(field)
    yield run


def _field_rows(spec: InstructionSpec) -> Iterator[list[str]]:
    for run in _runs(spec):
        first, last = run[0], run[-1]
        low, high = spec.offsets[first.name], spec.offsets[last.name] + last.width - 1
        bits = str(low) if low == high else f"{high}:{low}"
        many = len(run) > 1
        name = f"`{first.name}` … `{last.name}`" if many else f"`{first.name}`"
        meaning = first.meaning.replace("loop 0", "each loop") if many else first.meaning
        width = f"{len(run)} × {first.width}" if many else str(first.width)
        kind = "signed" if first.signed else ""
        yield [bits, width, name, kind, meaning]


def _instruction(spec: InstructionSpec) -> str:
    engine = f" Engine: {spec.engine.name}." if spec.engine is not None else ""
    rows = _field_rows(spec)
    return f"### {spec.name} (opcode {int(spec.opcode)})\n\n{spec.meaning}{engine}\n\n" + _table(
        ("bits", "width", "field", "", "meaning"), rows
    )


def _numbers() -> str:
    text = ""
    for title, kind in (("engine", Engine), ("memory", Memory), ("function", Function), ("error code", ErrorCode)):
        text += _table((title, "number"), ([entry.name, str(int(entry))] for entry in kind)) + "\n"
    return text


def _registers() -> str:
    plain = [r for r in REGISTERS if not r.name.startswith("SEGMENT") or r.name.startswith("SEGMENT0")]
    rows = []
    for entry in plain:
        of_segment = entry.name.startswith("SEGMENT0")
        address = f"`{entry.address:#05x}` + {SEGMENT_STRIDE}·s" if of_segment else f"`{entry.address:#05x}`"
        name = entry.name.replace("SEGMENT0", "SEGMENTs")
        rows.append([address, f"`{name}`", entry.access, entry.meaning])
    return _table(("address", "register", "access", "meaning"), rows)


def generated() -> str:
    """What stands below the marker."""
    counters = _table(("address", "counter"), ([f"`{counter_address(name):#05x}`", f"`{name}`"] for name in COUNTERS))
    return "\n".join(
        (
            f"## Encoding (version {ISA_VERSION})\n",
            "Bits are counted from the lowest of the 512-bit little-endian instruction. Fields not listed for an\n"
            "instruction do not exist in it.\n",
            *(_instruction(spec) for spec in INSTRUCTIONS),
            "## Numbers\n",
            _numbers() + "## Registers\n",
            f"One page of {PAGE_BYTES} bytes, 32-bit accesses; s is a segment, 0 to {SEGMENTS - 1}.\n",
            _registers(),
            f"## Counters\n\n64 bits each from `{COUNTER_BASE:#05x}` on: the low half, then the high half.\n"
            "A high half that is read right after its low half belongs to it.\n",
            counters,
        )
    )


if __name__ == "__main__":
    PATH.write_text(updated(PATH, generated()), encoding="utf-8")
