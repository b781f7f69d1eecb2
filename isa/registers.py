"""The AXI4-Lite register map and the numbers that both sides of it share.

One 4 KiB page of 32-bit registers. Derived from it: the hardware's decoder, the drivers, the
C header and the manual.
"""

from dataclasses import dataclass
from enum import IntFlag

from .table import ENGINES, SEGMENTS

__all__ = [
    "COUNTERS", "COUNTER_BASE", "IDENTITY", "PAGE_BYTES", "REGISTERS", "SEGMENT_ALIGNMENT",
    "SEGMENT_BASE", "SEGMENT_STRIDE", "Control", "Register", "Status", "counter_address",
    "register", "segment_address",
]  # fmt: skip

IDENTITY = 0x54494C45
PAGE_BYTES = 4096
SEGMENT_ALIGNMENT = 64
SEGMENT_BASE = 0x80
SEGMENT_STRIDE = 16
COUNTER_BASE = 0x200


class Control(IntFlag):
    """Bits of CONTROL; writing a one acts, reading gives IRQ_ENABLE only."""

    START = 1
    SOFT_RESET = 2
    IRQ_ENABLE = 4


class Status(IntFlag):
    BUSY = 1
    DONE = 2
    ERROR = 4


@dataclass(frozen=True)
class Register:
    """A 32-bit register; `access` is ``ro`` or ``rw``."""

    name: str
    address: int
    access: str
    meaning: str


REGISTERS: tuple[Register, ...] = (
    Register("IDENTITY", 0x00, "ro", "always 0x54494C45"),
    Register("ISA_VERSION", 0x04, "ro", "version of the instruction set"),
    Register("CONFIG_HASH_LO", 0x08, "ro", "configuration hash, low half"),
    Register("CONFIG_HASH_HI", 0x0C, "ro", "configuration hash, high half"),
    Register("CONTROL", 0x10, "rw", "1 start, 2 soft reset, 4 interrupt enable"),
    Register("STATUS", 0x14, "ro", "1 busy, 2 done, 4 error"),
    Register("ERROR_CODE", 0x18, "ro", "why the core stopped; 0 while there is no error"),
    Register("ERROR_INDEX", 0x1C, "ro", "index of the instruction that the error belongs to"),
    Register("PROGRAM_BASE_LO", 0x20, "rw", "DRAM address of the first instruction, low half; low 6 bits read as 0"),
    Register("PROGRAM_BASE_HI", 0x24, "rw", "DRAM address of the first instruction, high half"),
    Register("PROGRAM_COUNT", 0x28, "rw", "number of instructions"),
    Register("WATCHDOG", 0x2C, "rw", "cycles without progress that end a program; 0 switches it off"),
    *(
        Register(f"SEGMENT{s}_{part}", SEGMENT_BASE + SEGMENT_STRIDE * s + 4 * k, "rw", meaning)
        for s in range(SEGMENTS)
        for k, (part, meaning) in enumerate(
            (
                ("BASE_LO", "DRAM address of the segment, low half; the low 6 bits read as 0"),
                ("BASE_HI", "DRAM address of the segment, high half"),
                ("LIMIT", "bytes in the segment; 0 closes it"),
            )
        )
    ),
)

COUNTERS: tuple[str, ...] = (
    "cycles",
    "instructions",
    "bytes_read",
    "bytes_written",
    *(f"{engine.name.lower()}_{what}" for engine in ENGINES for what in ("busy", "token", "memory", "bank")),
)

_BY_NAME = {entry.name: entry for entry in REGISTERS}


def register(name: str) -> int:
    """Address of the register `name`."""
    return _BY_NAME[name].address


def segment_address(segment: int) -> int:
    """Address of BASE_LO of `segment`; BASE_HI and LIMIT follow."""
    return SEGMENT_BASE + SEGMENT_STRIDE * segment


def counter_address(name: str) -> int:
    """Address of the low half of a 64-bit counter; the high half follows."""
    return COUNTER_BASE + 8 * COUNTERS.index(name)
