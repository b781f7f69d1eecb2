"""The annealer that is compiled from source/ for this machine, once, and kept."""

import ctypes
import weakref
from importlib.resources import files
from pathlib import Path

from ...cache import cached_build
from ...errors import DeviceError
from ...toolchain import file_identity, find_c_compiler, run_tool
from .problem import Problem

__all__ = ["Annealer", "Figures", "Round", "native_sources"]

# No -ffast-math, no fused operations: the same placement on every machine.
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
_LIBRARY = "placement.so"


class Round(ctypes.Structure):
    """How moves are tried at one temperature: ``struct round`` of source/placement.h, which explains the members."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("per_ns", ctypes.c_double),
        ("memory", ctypes.c_double),
        ("ends_beyond", ctypes.c_double),
        ("exponent", ctypes.c_int32),
        ("range", ctypes.c_int32),
        ("critical_percent", ctypes.c_int32),
        ("moves", ctypes.c_int32),
        ("moves_per_analysis", ctypes.c_int32),
        ("seed", ctypes.c_uint64),
    )


class Figures(ctypes.Structure):
    """What a placement is worth: ``struct figures`` of source/placement.h."""

    _fields_ = (
        ("wire_length", ctypes.c_double),
        ("timing_cost", ctypes.c_double),
        ("worst", ctypes.c_double),
        ("reference", ctypes.c_double),
        ("tried", ctypes.c_int64),
        ("accepted", ctypes.c_int64),
    )


class Annealer:
    """The native annealer at work on `problem`, whose `cell_slot` it changes.

    Raises
    ------
    DeviceError
        There is no C compiler, it fails, or there is no memory.
    """

    def __init__(self, problem: Problem) -> None:
        self._library, self._problem = _load(), problem
        layout = problem.layout()
        self._state = self._library.placement_open(ctypes.byref(layout))
        if not self._state:
            raise DeviceError(f"refining a placement must have memory for {len(problem.cell_slot):,} cells")
        self._end = weakref.finalize(self, self._library.placement_close, self._state)

    def run(self, chosen: Round) -> Figures:
        """Try moves; what the placement is worth then."""
        figures = Figures()
        self._library.placement_round(self._state, ctypes.byref(chosen), ctypes.byref(figures))
        return figures

    def illegal_tiles(self) -> int:
        """How many tiles and blocks of multipliers hold what nextpnr would not accept."""
        return int(self._library.placement_illegal(self._state))


def native_sources() -> dict[str, bytes]:
    """The C files by name: part of a key for what is made with them."""
    folder = files(__package__) / "source"
    found = {item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith((".c", ".h"))}
    return dict(sorted(found.items()))


def _load() -> ctypes.CDLL:
    compiler, sources = find_c_compiler("refining a placement"), native_sources()
    command = [*_FLAGS, *(name for name in sources if name.endswith(".c")), "-o", _LIBRARY, "-lm"]

    def build(directory: Path) -> None:
        for name, text in sources.items():
            (directory / name).write_bytes(text)
        run_tool([compiler, *command], cwd=directory)

    key = [file_identity(compiler), *command, *(part for item in sources.items() for part in item)]
    library = ctypes.CDLL(str(cached_build(key, build, name="placement") / _LIBRARY))
    library.placement_open.restype = ctypes.c_void_p
    library.placement_open.argtypes = [ctypes.c_void_p]
    library.placement_round.restype = library.placement_close.restype = None
    library.placement_round.argtypes = [ctypes.c_void_p] * 3
    library.placement_close.argtypes = [ctypes.c_void_p]
    library.placement_illegal.restype = ctypes.c_int64
    library.placement_illegal.argtypes = [ctypes.c_void_p]
    return library
