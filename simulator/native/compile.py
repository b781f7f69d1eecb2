"""Compiles the native simulator for one configuration and this CPU, once."""

import ctypes
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from ...config import Config
from ...isa.header import c_header
from ..build import cached_build, cpu_identity, find_tool, run_tool, tool_identity

__all__ = ["COMPILERS", "load_library"]

COMPILERS = ("gcc", "cc", "clang")
_LIBRARY = "native.so"
_SOURCES = ("core.c", "transfer.c", "gemm.c", "gemm_blocked.c", "vector.c")
_FLAGS = ("-std=gnu11", "-O3", "-fwrapv", "-fPIC", "-shared", "-Wall", "-Wextra")


def load_library(config: Config, *, portable: bool = False) -> ctypes.CDLL:
    """The compiled simulator; `portable` leaves out this CPU's own instructions.

    Raises
    ------
    DeviceError
        There is no C compiler, it fails, or the cache can't be written.
    """
    compiler = find_tool(COMPILERS, purpose="the native simulator", package="gcc")
    flags = [*_FLAGS, *(() if portable else ("-march=native",)), *_sizes(config)]
    sources = {**_source_files(), "tilewright.h": c_header().encode()}

    def build(directory: Path) -> None:
        for name, text in sources.items():
            (directory / name).write_bytes(text)
        run_tool([compiler, *flags, "-o", _LIBRARY, *_SOURCES], cwd=directory)

    key = [tool_identity(compiler), cpu_identity(), *flags, *(part for item in sources.items() for part in item)]
    return ctypes.CDLL(str(cached_build(key, build, name="native") / _LIBRARY))


def _source_files() -> dict[str, bytes]:
    folder = files(__package__) / "source"
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith((".c", ".h"))
    }


def _sizes(config: Config) -> Iterator[str]:
    names = "rows block_in block_out act_depth wgt_depth acc_depth bias_depth scale_depth tables"
    for name in (*names.split(), "bus_bytes", "queue_depth", "token_bits", "multiplier_bits"):
        yield f"-D{name.upper()}={getattr(config, name)}"
