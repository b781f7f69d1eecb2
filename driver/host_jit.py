"""Host code linked by LLVM, in memory."""

import llvmlite.binding as llvm

from ..errors import DeviceError
from ..isa.program import HostCode
from .host_library import FUNCTION

__all__ = ["JitLibrary", "require_this_machine"]

_GENERIC = ("", "generic", "x86-64")


def require_this_machine(code: HostCode) -> None:
    """Raise DeviceError where `code` is for another machine or CPU."""
    triple, cpu = llvm.get_process_triple(), llvm.get_host_cpu_name()
    if code.triple != triple or (code.cpu not in _GENERIC and code.cpu != cpu):
        raise DeviceError(
            f"host code must be for {triple} ({cpu}), not {code.triple} ({code.cpu}): compile the model on this machine"
        )


class JitLibrary:
    """
    Members
    -------
    functions
        Those of `code` by their symbols, alive as long as this object.

    Raises
    ------
    DeviceError
        As :class:`.HostFunctions`.
    """

    def __init__(self, code: HostCode) -> None:
        require_this_machine(code)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_triple(code.triple).create_target_machine(codemodel="default", jit=True)
        builder = llvm.JITLibraryBuilder().add_object_img(code.object).add_current_process()
        for symbol in code.symbols:
            builder.export_symbol(symbol)
        self._compiler = llvm.create_lljit_compiler(machine)
        try:
            self._library = builder.link(self._compiler, "host")
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise DeviceError(f"host code must link, but it does not ({reason}): compile the model again") from None
        self.functions = {symbol: FUNCTION(self._library[symbol]) for symbol in code.symbols}
