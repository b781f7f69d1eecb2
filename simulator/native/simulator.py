"""The device on top of the compiled simulator."""

import ctypes
from collections.abc import Callable
from enum import IntEnum

import numpy as np

from ...config import Config
from ...errors import DeviceError
from ...isa.launch import Launch, Outcome
from ...isa.memories import memory_shape
from ...isa.table import ENGINES, SEGMENTS, Engine, ErrorCode, Memory
from ..attached import AttachedSimulator
from ..dram import Dram
from .compile import load_library
from .threads import usable_threads

__all__ = ["NativeSimulator"]

_CHUNK_SECONDS = 0.1  # after which Python may be interrupted


class _Overlap(IntEnum):
    FORBIDDEN = 0
    WHERE_IT_PAYS = 1
    AT_ONCE = 2


class _Launch(ctypes.Structure):
    _fields_ = (
        ("dram", ctypes.c_void_p),
        ("dram_base", ctypes.c_uint64),
        ("dram_size", ctypes.c_uint64),
        ("program", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("segment_base", ctypes.c_uint64 * SEGMENTS),
        ("segment_limit", ctypes.c_uint64 * SEGMENTS),
        ("overlap", ctypes.c_uint32),
    )


class _Outcome(ctypes.Structure):
    _fields_ = (
        ("error", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("retired", ctypes.c_uint64),
        ("oldest", ctypes.c_uint32 * len(ENGINES)),
    )


class NativeSimulator(AttachedSimulator):
    """Runs whole launches in C.

    It has no time: of the counters it knows ``instructions`` (those retired), and a deadlock is the error
    WATCHDOG at once, whatever the launch's watchdog is. Instructions that nothing orders run in program
    order as far as their tokens allow.

    Parameters
    ----------
    config
        The accelerator. The first simulator of a configuration compiles it; later ones find it in
        the build cache.
    dram
        Worked on in place; a fresh one where it is None.
    cpu
        What the compiler may use: ``native`` for all that this CPU has, ``avx2`` for no more than that, ``portable``
        for C alone. None: what the environment variable TILEWRIGHT_CPU says, else ``native``.
    threads
        1, or 2: engines work side by side on two CPUs where that pays and can't be told from the result, that is in a
        program that is known to be free of races, from its first 0.1 ms on. None: what the environment variable
        TILEWRIGHT_THREADS says, else 2 where this process may use two CPUs.
    at_once
        Use two threads from the start on, whether it pays or not. For tests.
    progress
        Called about every tenth of a second of a run with the instructions retired so far, and 0.
    sanitize
        A key of `compile.SANITIZERS`, to compile it with. For tests.

    Raises
    ------
    DeviceError
        No C compiler (gcc, cc or clang) is installed; `open_native` then has an answer. Or `threads` is another number.
    """

    name = "native"

    def __init__(
        self,
        config: Config,
        *,
        dram: Dram | None = None,
        cpu: str | None = None,
        threads: int | None = None,
        at_once: bool = False,
        progress: Callable[[int, int], object] | None = None,
        sanitize: str | None = None,
    ) -> None:
        super().__init__(config, dram)
        self._threads = usable_threads(threads)
        self._at_once = at_once
        self._progress = progress
        self._outcome = _Outcome()
        self._library = _declare(load_library(config, cpu=cpu, sanitize=sanitize))
        self._machine = self._library.machine_create()
        if not self._machine:
            raise DeviceError(f"the native simulator must have {config.on_chip_bytes} bytes of memory, and got none")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memories back; the simulator can't be used afterwards. Safe to repeat."""
        machine, self._machine = getattr(self, "_machine", None), None
        if machine:
            self._library.machine_destroy(machine)

    def _execute(self, launch: Launch) -> Outcome:
        bases, limits = zip(*launch.segments, strict=True)
        native = _Launch(
            self.dram.bytes.ctypes.data,
            self.dram.base,
            self.dram.bytes.size,
            launch.program,
            launch.count,
            (ctypes.c_uint64 * SEGMENTS)(*bases),
            (ctypes.c_uint64 * SEGMENTS)(*limits),
            self._wish(launch),
        )
        self._outcome = outcome = _Outcome()
        if not self._library.machine_begin(self._open(), ctypes.byref(native)):
            raise DeviceError("the native simulator must have memory for a run, and got none: end other programs")
        try:
            while self._library.machine_continue(self._open(), _CHUNK_SECONDS, ctypes.byref(outcome)):
                if self._progress is not None:
                    self._progress(outcome.retired, 0)
        except KeyboardInterrupt:
            self.counters = {"instructions": outcome.retired}
            raise
        counters = {"instructions": outcome.retired}
        return Outcome(error=ErrorCode(outcome.error), index=outcome.index, counters=counters)

    def _wish(self, launch: Launch) -> int:
        if not launch.race_free or self._threads == 1:
            return _Overlap.FORBIDDEN
        return _Overlap.AT_ONCE if self._at_once else _Overlap.WHERE_IT_PAYS

    def unfinished(self) -> dict[Engine, int]:
        """Where the last run stands: the index of each engine's oldest instruction that has not retired."""
        return {engine: self._outcome.oldest[engine] for engine in ENGINES}

    def peek(self, memory: Memory, row: int = 0) -> np.ndarray:
        """A copy of an on-chip memory, uint8, shape (depth, cell_bytes)."""
        array = np.empty(self._shape(memory, row), np.uint8)
        self._library.machine_peek(self._open(), int(memory), row, array.ctypes.data)
        return array

    def poke(self, memory: Memory, array: np.ndarray, row: int = 0) -> None:
        """Replace an on-chip memory; `array` as :meth:`peek` gives it.

        Raises
        ------
        DeviceError
            The array has another shape or dtype, or there is no such row.
        """
        shape = self._shape(memory, row)
        if array.shape != shape or array.dtype != np.uint8:
            raise DeviceError(
                f"{memory.name} must be poked with uint8 of shape {shape}, not {array.dtype} {array.shape}"
            )
        array = np.ascontiguousarray(array)
        self._library.machine_poke(self._open(), int(memory), row, array.ctypes.data)

    def _open(self) -> int:
        if self._machine is None:
            raise DeviceError("the native simulator must be open, and it was closed (make a new one)")
        return int(self._machine)

    def _shape(self, memory: Memory, row: int) -> tuple[int, int]:
        self._open()
        shape = memory_shape(self.config, memory)
        if not 0 <= row < shape.rows:
            raise DeviceError(f"row of {memory.name} must be below {shape.rows}, not {row}")
        return shape.depth, shape.cell_bytes


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    library.machine_create.restype = pointer
    for back_door in (library.machine_peek, library.machine_poke):
        back_door.argtypes = (pointer, number, number, pointer)
        back_door.restype = None
    library.machine_destroy.argtypes = (pointer,)
    library.machine_destroy.restype = None
    library.machine_begin.argtypes = (pointer, pointer)
    library.machine_continue.argtypes = (pointer, ctypes.c_double, pointer)
    return library
