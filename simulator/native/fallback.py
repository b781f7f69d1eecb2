"""The native simulator where there is no C compiler: the oracle's NumPy, with BLAS for matrix products."""

import logging
from functools import cache

from ...isa.instruction import Instruction
from ...isa.launch import Launch
from ...isa.table import Opcode
from ...toolchain import COMPILERS
from ..oracle import OracleSimulator
from .product import multiply

__all__ = ["NumpySimulator", "say_what_is_missing"]


class NumpySimulator(OracleSimulator):
    """Exact, and many times slower than C."""

    name = "native"

    def _carry_out(self, launch: Launch, instruction: Instruction) -> None:
        if instruction.opcode is not Opcode.GEMM or not multiply(self.memories, instruction):
            super()._carry_out(launch, instruction)


@cache
def say_what_is_missing() -> None:
    """Log, once in a process, what the user may do about the slowness."""
    logging.getLogger("tilewright").warning(
        "tilewright: no C compiler (%s) is on PATH, so the native simulator works in NumPy, "
        "many times slower (apt-get install gcc)",
        " or ".join(COMPILERS),
    )
