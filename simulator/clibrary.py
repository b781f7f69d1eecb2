"""C sources of this package as a shared library for one configuration, compiled once and kept."""

import ctypes
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ..cache import cached_build
from ..config import Config
from ..isa.header import c_header
from ..toolchain import cpu_identity, file_identity, find_c_compiler, run_tool

__all__ = ["load_c_library"]

_FLAGS = ("-std=gnu11", "-O3", "-fwrapv", "-fPIC", "-shared", "-Wall", "-Wextra")
_HEADER = "tilewright.h"


def load_c_library(
    package: str,
    units: Sequence[str],
    config: Config,
    sizes: Sequence[str],
    *,
    flags: Sequence[str] = ("-march=native",),
) -> ctypes.CDLL:
    """The library of ``<package>/source``, with the generated header of the instruction set beside its sources.

    Parameters
    ----------
    package
        The Python package that holds the folder; its last part names the library in the cache and in errors.
    units
        The files that are compiled; all .c and .h files of the folder count for the cache.
    sizes
        Attributes of `config` that are defined for the compiler, in capitals.
    flags
        Further flags of the compiler.

    Raises
    ------
    DeviceError
        There is no C compiler, it fails, or the cache can't be written.
    """
    name = package.rpartition(".")[2]
    compiler = find_c_compiler(f"the {name} simulator")
    command = [*_FLAGS, *flags, *(f"-D{size.upper()}={getattr(config, size)}" for size in sizes), *units]
    sources = {**_source_files(package), _HEADER: c_header().encode()}
    library = f"{name}.so"

    def build(directory: Path) -> None:
        for file_name, text in sources.items():
            (directory / file_name).write_bytes(text)
        run_tool([compiler, *command, "-o", library], cwd=directory)

    key = [file_identity(compiler), cpu_identity(), *command, *(part for item in sources.items() for part in item)]
    return ctypes.CDLL(str(cached_build(key, build, name=name) / library))


def _source_files(package: str) -> dict[str, bytes]:
    folder = files(package) / "source"
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith((".c", ".h"))
    }
