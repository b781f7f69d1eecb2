"""Amaranth layouts derived from the instruction table."""

from functools import cache

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from ..isa.table import INSTRUCTION_BITS, InstructionSpec, Opcode, spec_of

__all__ = ["INDEX_BITS", "instruction_layout", "queued"]

INDEX_BITS = 32


@cache
def instruction_layout(opcode: Opcode) -> data.StructLayout:
    """One member a field, in the table's order and widths."""
    spec = spec_of(opcode)
    assert isinstance(spec, InstructionSpec)
    return data.StructLayout(
        {field.name: signed(field.width) if field.signed else unsigned(field.width) for field in spec.fields}
    )


def queued(opcode: Opcode) -> data.StructLayout:
    """What waits in an engine's queue: the instruction and its index in the program.

    `word` holds the engine's own instruction, or a SYNC, which shares its header: look at `sync` before reading
    further fields. `free` tells that it waits for no token, bit d of `single` that its loop d has one iteration.
    """
    layout = instruction_layout(opcode)
    assert layout.size == INSTRUCTION_BITS
    spec = spec_of(opcode)
    assert isinstance(spec, InstructionSpec)
    return data.StructLayout({"index": INDEX_BITS, "word": layout, "sync": 1, "free": 1, "single": spec.dims})
