"""Host code linked by the system's own linker into a shared library, once, and kept in the cache."""

import ctypes
from pathlib import Path

from ..cache import cached_build
from ..errors import DeviceError
from ..isa.program import HostCode
from ..toolchain import cpu_identity, file_identity, find_c_compiler, run_tool

__all__ = ["FUNCTION", "HostLibrary"]

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_OBJECT, _LIBRARY = "host.o", "host.so"


class HostLibrary:
    """
    Members
    -------
    functions
        Those of `code` by their symbols.

    Raises
    ------
    DeviceError
        There is no linker, it fails, the code is for another machine, or the cache can't be used.
    """

    def __init__(self, code: HostCode) -> None:
        linker = find_c_compiler("host code")

        def build(directory: Path) -> None:
            from .host_jit import require_this_machine  # loads LLVM, which knows what CPU this is

            require_this_machine(code)
            (directory / _OBJECT).write_bytes(code.object)
            run_tool([linker, "-shared", "-o", _LIBRARY, _OBJECT], cwd=directory)
            (directory / _OBJECT).unlink()

        key: list[str | bytes] = [
            file_identity(linker),
            cpu_identity(),
            code.triple,
            code.cpu,
            code.object,
            *code.symbols,
        ]
        library = cached_build(key, build, name="host") / _LIBRARY
        try:
            loaded = ctypes.CDLL(str(library))
            self.functions = {symbol: FUNCTION((symbol, loaded)) for symbol in code.symbols}
        except (OSError, AttributeError) as error:
            raise DeviceError(f"host code in {library} must load, but it does not: {error}") from None
