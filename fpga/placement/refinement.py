"""Simulated annealing of a placement by wire length and by the delay of the longest paths."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from ...cache import cached_build
from ...errors import DeviceError
from ...toolchain import file_identity, find_c_compiler, run_tool
from .placed_design import PlacedDesign
from .problem import Problem

_FLAGS = ("-std=gnu11", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra")
_LIBRARY = "placement.so"


class _Round(ctypes.Structure):
    _fields_ = [
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
    ]


class Figures(ctypes.Structure):
    _fields_ = [
        ("wire_length", ctypes.c_double),
        ("timing_cost", ctypes.c_double),
        ("worst", ctypes.c_double),
        ("reference", ctypes.c_double),
        ("beyond", ctypes.c_double),
        ("tried", ctypes.c_int64),
        ("accepted", ctypes.c_int64),
    ]


def load_library() -> ctypes.CDLL:
    compiler = find_c_compiler("refining a placement")
    folder = files(__package__) / "source"
    sources = {item.name: item.read_bytes() for item in sorted(folder.iterdir(), key=lambda item: item.name) if item.name.endswith((".c", ".h"))}
    command = [*_FLAGS, *(name for name in sources if name.endswith(".c")), "-o", _LIBRARY, "-lm"]

    def build(directory: Path) -> None:
        for name, text in sources.items():
            (directory / name).write_bytes(text)
        run_tool([compiler, *command], cwd=directory)

    key = [file_identity(compiler), *command, *(part for item in sources.items() for part in item)]
    library = ctypes.CDLL(str(cached_build(key, build, name="placement") / _LIBRARY))
    library.placement_open.restype = ctypes.c_void_p
    library.placement_open.argtypes = [ctypes.c_void_p, ctypes.c_double]
    library.placement_round.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.placement_round.restype = None
    library.placement_illegal.argtypes = [ctypes.c_void_p]
    library.placement_illegal.restype = ctypes.c_int64
    library.placement_close.argtypes = [ctypes.c_void_p]
    return library
