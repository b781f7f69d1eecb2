"""The timing model: the compiled C, and what it answers."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...config import Config
from ...errors import DeviceError, ProgramError
from ...isa.columns import raw_instructions
from ...isa.instruction import Instruction
from ...isa.registers import SEGMENT_ALIGNMENT
from ...isa.table import ENGINES, INSTRUCTION_BYTES, SEGMENTS, ErrorCode
from ..clibrary import load_c_library

__all__ = ["DEFAULT_LATENCY", "Timing", "TimingModel"]

DEFAULT_LATENCY = 40
_UNITS = (
    *("core.c", "decode.c", "sequencer.c", "fetch.c", "reads.c", "walk.c", "store.c", "gemm.c", "vector.c"),
    *("vector_glide.c", "vector_log.c", "steady.c"),
)
_SIZES = (
    *("block_in", "block_out", "granule", "act_depth", "act_banks", "acc_depth", "acc_banks", "bus_bytes"),
    *("burst_beats", "reads_outstanding", "queue_depth", "token_bits", "vector_lanes"),
)
_FLAGS = ("-march=native", "-fvisibility=hidden")
_ANY_SIZE = "-DANY_SIZE"
_TOTALS = ("cycles", "instructions", "bytes_read", "bytes_written")
_OF_ENGINE = ("busy", "token", "memory", "bank")


class _Settings(ctypes.Structure):
    _fields_ = (
        ("program", ctypes.c_void_p),
        ("program_address", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("segment_base", ctypes.c_uint64 * SEGMENTS),
        ("segment_limit", ctypes.c_uint64 * SEGMENTS),
        ("latency", ctypes.c_uint64),
        ("stepwise", ctypes.c_uint64),
        ("started", ctypes.c_void_p),
        ("retired", ctypes.c_void_p),
    )


class _Sizes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in _SIZES)


class _Result(ctypes.Structure):
    _fields_ = (
        ("error", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in _TOTALS),
        *((name, ctypes.c_uint64 * len(ENGINES)) for name in _OF_ENGINE),
    )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a program takes.

    Members
    -------
    error, index
        ErrorCode.NONE and 0, or why it does not end; then everything else means nothing. A deadlock is WATCHDOG.
    cycles
        From the start to the end of the run, as the core's counter has it.
    counters
        By the names of ``registers.COUNTERS``.
    started, retired
        int64, one for each instruction: the cycle, counted from the start, in which it took its tokens and began, and
        in which it gave its own; 0 for FINISH. None unless asked for.
    """

    error: ErrorCode = ErrorCode.NONE
    index: int = 0
    cycles: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    started: np.ndarray | None = None
    retired: np.ndarray | None = None


class TimingModel:
    """When every instruction of a program starts and ends, from instructions and addresses alone.

    One model serves one thread at a time.

    Parameters
    ----------
    config
        The hardware. Its first model compiles the C; later ones find it in the build cache.
    latency
        Cycles from a request to DRAM to its first answer.
    shared
        Take the library that serves every configuration: a new one costs nothing, where its own takes seconds to
        compile; each program takes about an eighth longer. What it says is the same.

    Raises
    ------
    DeviceError
        There is no C compiler, or `latency` is out of range.
    """

    def __init__(self, config: Config, *, latency: int = DEFAULT_LATENCY, shared: bool = False) -> None:
        if not 1 <= latency < 1 << 32:
            raise DeviceError(f"latency must be from 1 to {(1 << 32) - 1} cycles, not {latency}")
        self.config = config
        self.latency = latency
        self._core: int | None = None
        constants, flags = ((), (*_FLAGS, _ANY_SIZE)) if shared else (_SIZES, _FLAGS)
        self._library = load_c_library(__package__ or "", _UNITS, config, constants, flags=flags)
        self._sizes = _Sizes(*(getattr(config, name) for name in _SIZES)) if shared else None
        self._library.timing_create.restype = ctypes.c_void_p
        self._library.timing_destroy.argtypes = (ctypes.c_void_p,)
        self._library.timing_run.argtypes = (ctypes.c_void_p,) * 3
        self._core = self._library.timing_create()
        if not self._core:
            raise DeviceError("the timing model must have some megabytes of memory, and got none")

    def __del__(self) -> None:
        core, self._core = getattr(self, "_core", None), None
        if core:
            self._library.timing_destroy(core)

    def time(
        self,
        instructions: np.ndarray | Sequence[Instruction],
        *,
        address: int = 0,
        segments: Sequence[tuple[int, int]] = ((0, (1 << 32) - 1),) * SEGMENTS,
        trace: bool = False,
        stepwise: bool = False,
    ) -> Timing:
        """Time a program that is legal (``isa.checker`` proves it), up to its FINISH.

        Parameters
        ----------
        instructions
            uint8, shape (n, 64), or Instructions.
        address
            Where the program lies in DRAM; bursts of the fetch depend on it.
        segments
            (base, limit) of each; bursts end at multiples of 4096 bytes. By default all begin at 0 and are open.
        trace
            Also say when each instruction started and retired.
        stepwise
            Take every burst of a load, and every cycle of the vector engine, by itself instead of many at once. It says
            the same and takes some ten times as long: tests compare.

        Raises
        ------
        ProgramError
            `address` is not a multiple of 64, or there are too many segments.
        """
        if address % SEGMENT_ALIGNMENT:
            raise ProgramError(f"a program's address must be a multiple of {SEGMENT_ALIGNMENT}, not {address:#x}")
        if len(segments) > SEGMENTS:
            raise ProgramError(f"a program must have at most {SEGMENTS} segments, not {len(segments)}")
        raw = np.ascontiguousarray(raw_instructions(instructions)).reshape(-1, INSTRUCTION_BYTES)
        numbers = ctypes.c_uint64 * SEGMENTS
        events = np.zeros((2, len(raw)), np.int64) if trace else None
        settings = _Settings(
            program=raw.ctypes.data,
            program_address=address,
            count=len(raw),
            segment_base=numbers(*(base for base, _ in segments)),
            segment_limit=numbers(*(limit for _, limit in segments)),
            latency=self.latency,
            stepwise=stepwise,
            started=None if events is None else events[0].ctypes.data,
            retired=None if events is None else events[1].ctypes.data,
        )
        result = _Result()
        if self._sizes is not None:
            self._library.timing_resize(ctypes.byref(self._sizes))
        self._library.timing_run(self._core, ctypes.byref(settings), ctypes.byref(result))
        return Timing(
            error=ErrorCode(result.error),
            index=result.index,
            cycles=result.cycles,
            counters=_counters(result),
            started=None if events is None else events[0],
            retired=None if events is None else events[1],
        )


def _counters(result: _Result) -> dict[str, int]:
    counters = {name: getattr(result, name) for name in _TOTALS}
    for engine in ENGINES:
        counters |= {f"{engine.name.lower()}_{what}": getattr(result, what)[engine] for what in _OF_ENGINE}
    return counters
