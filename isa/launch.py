"""What a device is told to run, and what it answers: shared by drivers and simulators."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ProgramError
from .registers import SEGMENT_ALIGNMENT
from .table import SEGMENTS, ErrorCode

__all__ = ["DEFAULT_WATCHDOG", "Launch", "Outcome"]

DEFAULT_WATCHDOG = 1 << 20


@dataclass(frozen=True)
class Launch:
    """One start of the core.

    Parameters
    ----------
    program
        DRAM address of the first instruction, a multiple of 64.
    count
        Number of instructions there.
    segments
        (base address, limit in bytes) of up to 8 segments; the rest are closed.
    watchdog
        Cycles without progress after which the core gives up; 0: never.
    """

    program: int
    count: int
    segments: tuple[tuple[int, int], ...] = ()
    watchdog: int = DEFAULT_WATCHDOG

    def __post_init__(self) -> None:
        if len(self.segments) > SEGMENTS:
            raise ProgramError(f"a launch must have at most {SEGMENTS} segments, not {len(self.segments)}")
        for base in (self.program, *(base for base, _ in self.segments)):
            if base % SEGMENT_ALIGNMENT:
                raise ProgramError(f"a launch address must be a multiple of {SEGMENT_ALIGNMENT}, not {base:#x}")
        closed = ((0, 0),) * (SEGMENTS - len(self.segments))
        object.__setattr__(self, "segments", tuple(self.segments) + closed)


@dataclass(frozen=True)
class Outcome:
    """How a launch ended.

    Members
    -------
    error, index
        ErrorCode.NONE and 0, or why the core stopped and at which instruction.
    counters
        By the names of ``registers.COUNTERS``; a simulator without time leaves out what it can't know.
    """

    error: ErrorCode = ErrorCode.NONE
    index: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
