"""Instructions that no compiler writes: what simulators and hardware must refuse alike, or do alike."""

import numpy as np

from .instruction import Instruction
from .table import ENGINES, INSTRUCTION_BYTES, INSTRUCTIONS, Opcode

__all__ = ["hostile_instruction", "hostile_tokens"]

_LONGEST_PROGRAM = 23


def hostile_instruction(rng: np.random.Generator) -> bytes:
    """Any value in any field but for short loops, now and then a reserved bit or an unknown opcode."""
    spec = INSTRUCTIONS[int(rng.integers(1, len(INSTRUCTIONS)))]
    word = int(spec.opcode) if rng.random() < 0.95 else int(rng.integers(16))
    for field in spec.fields[1:]:
        value = int.from_bytes(rng.bytes(8), "little") % (1 << field.width)
        if field.name.startswith("bound"):
            value = int(rng.choice([1, 2, 3, 0], p=[0.5, 0.3, 0.19, 0.01]))
        elif field.name in ("wait", "signal", "reserved") and rng.random() < 0.95:
            value = 0
        elif field.name.startswith(("offset", "dram_stride")):
            value = int(rng.integers(0, 64)) * 4 if rng.random() < 0.9 else value
        word |= value << spec.offsets[field.name]
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def hostile_tokens(rng: np.random.Generator) -> list[Instruction]:
    """SYNCs that wait and signal as chance has it; most such programs never end."""
    program = []
    for _ in range(int(rng.integers(1, _LONGEST_PROGRAM + 1))):
        engine = int(rng.integers(len(ENGINES)))
        wait, signal = (sum(1 << e for e in ENGINES if e != engine and rng.random() < 0.25) for _ in range(2))
        program.append(Instruction(Opcode.SYNC, {"engine": engine, "wait": wait, "signal": signal}))
    return program
