"""A program's host functions: object code linked into this process."""

import ctypes
from collections.abc import Callable, Sequence

import llvmlite.binding as llvm
import numpy as np

from ..errors import DeviceError
from ..isa.program import HostCode

__all__ = ["HostFunctions"]

_GENERIC = ("", "generic", "x86-64")


class HostFunctions:
    """Functions ``void f(void **buffers)`` by their symbols.

    Raises
    ------
    DeviceError
        The code is for another machine, damaged, or needs what this process does not have.
    """

    def __init__(self, code: HostCode) -> None:
        triple, cpu = llvm.get_process_triple(), llvm.get_host_cpu_name()
        if code.triple != triple or (code.cpu not in _GENERIC and code.cpu != cpu):
            raise DeviceError(
                f"host code must be for {triple} ({cpu}), not {code.triple} ({code.cpu}): "
                "compile the model on this machine"
            )
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_triple(triple).create_target_machine(codemodel="default", jit=True)
        builder = llvm.JITLibraryBuilder().add_object_img(code.object).add_current_process()
        for symbol in code.symbols:
            builder.export_symbol(symbol)
        self._compiler = llvm.create_lljit_compiler(machine)
        try:
            self._library = builder.link(self._compiler, "host")
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise DeviceError(f"host code must link, but it does not ({reason}): compile the model again") from None
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._functions: dict[str, Callable[[int], None]] = {
            symbol: kind(self._library[symbol]) for symbol in code.symbols
        }

    def call(self, symbol: str, buffers: Sequence[np.ndarray]) -> None:
        """Pass the addresses of `buffers`."""
        pointers = (ctypes.c_void_p * max(len(buffers), 1))(*(buffer.ctypes.data for buffer in buffers))
        self._functions[symbol](ctypes.addressof(pointers))
