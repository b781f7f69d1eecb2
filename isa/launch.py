"""What a device is told to run, and what it answers: shared by drivers and simulators."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ProgramError
from .registers import SEGMENT_ALIGNMENT
from .table import SEGMENTS, ErrorCode

__all__ = ["DEFAULT_WATCHDOG", "Launch", "Outcome"]

DEFAULT_WATCHDOG = 1 << 20
_REGISTER_BITS = 32
_ADDRESS_BITS = 64


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
    race_free
        Known: whatever order tokens allow, the result is one (see :mod:`.races`). A simulator may make use of it.

    Raises
    ------
    ProgramError
        A number does not fit its register, an address is not aligned, or there are too many segments.
    """

    program: int
    count: int
    segments: tuple[tuple[int, int], ...] = ()
    watchdog: int = DEFAULT_WATCHDOG
    race_free: bool = False

    def __post_init__(self) -> None:
        if len(self.segments) > SEGMENTS:
            raise ProgramError(f"a launch must have at most {SEGMENTS} segments, not {len(self.segments)}")
        _check_address("program address", self.program)
        _check_number("instruction count", self.count)
        _check_number("watchdog", self.watchdog)
        for number, (base, limit) in enumerate(self.segments):
            _check_address(f"base of segment {number}", base)
            _check_number(f"limit of segment {number}", limit)
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


def _check_number(what: str, value: int) -> None:
    if not 0 <= value < 1 << _REGISTER_BITS:
        raise ProgramError(f"a launch's {what} must be from 0 to {(1 << _REGISTER_BITS) - 1}, not {value}")


def _check_address(what: str, value: int) -> None:
    if not 0 <= value < 1 << _ADDRESS_BITS:
        raise ProgramError(f"a launch's {what} must be from 0 to {(1 << _ADDRESS_BITS) - 1:#x}, not {value:#x}")
    if value % SEGMENT_ALIGNMENT:
        raise ProgramError(f"a launch's {what} must be a multiple of {SEGMENT_ALIGNMENT}, not {value:#x}")
