"""A program's host functions: object code linked into this process."""

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from ..errors import DeviceError
from ..isa.program import HostCode

__all__ = ["HostFunctions"]

_LLVM = "llvmlite.binding"


class HostFunctions:
    """Functions ``void f(void **buffers)`` by their symbols.

    Raises
    ------
    DeviceError
        The code is for another machine, damaged, or needs what this process does not have.
    """

    def __init__(self, code: HostCode) -> None:
        self._library = _linked(code)

    def call(self, symbol: str, buffers: Sequence[np.ndarray]) -> None:
        """Pass the addresses of `buffers`."""
        pointers = (ctypes.c_void_p * max(len(buffers), 1))(*(buffer.ctypes.data for buffer in buffers))
        self._library.functions[symbol](ctypes.addressof(pointers))


class _Library(Protocol):
    @property
    def functions(self) -> Mapping[str, Callable[[int], None]]: ...


def _linked(code: HostCode) -> _Library:
    """In memory where LLVM is loaded already, else a library in the cache where possible: LLVM takes long to load."""
    if _LLVM not in sys.modules:
        from .host_library import HostLibrary

        with suppress(DeviceError):
            return HostLibrary(code)
    from .host_jit import JitLibrary

    return JitLibrary(code)
