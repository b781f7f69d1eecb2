"""Compiles the native simulator for one configuration and this CPU, once."""

import ctypes
import os
import platform

from ...config import Config
from ...errors import DeviceError
from ..clibrary import load_c_library

__all__ = ["CPUS", "CPU_VARIABLE", "SANITIZERS", "load_library"]

CPU_VARIABLE = "TILEWRIGHT_CPU"
_SOURCES = (
    "core.c",
    "transfer.c",
    "gemm.c",
    "gemm_plan.c",
    "gemm_blocked.c",
    "vector.c",
    "memories.c",
    "overlap.c",
    "rehearsal.c",
    "helper.c",
)
_SIZES = (
    *("rows", "block_in", "block_out", "act_depth", "wgt_depth", "acc_depth", "bias_depth", "scale_depth", "tables"),
    *("bus_bytes", "queue_depth", "token_bits", "multiplier_bits"),
)
# What the compiler may use: all that this CPU has, AVX2 at most, or nothing but C.
CPUS = {
    "native": ("-march=native",),
    "avx2": ("-march=x86-64-v3",),
    "portable": ("-DPORTABLE",),
}
_ALWAYS = ("-pthread", "-Wno-psabi")
_SANITIZED = ("-fno-sanitize-recover=all", "-O1", "-g1", "-fno-var-tracking")
SANITIZERS = {
    "memory": ("-fsanitize=address,undefined", *_SANITIZED),
    "threads": ("-fsanitize=thread", *_SANITIZED),
}


def load_library(config: Config, *, cpu: str | None = None, sanitize: str | None = None) -> ctypes.CDLL:
    """The compiled simulator.

    Parameters
    ----------
    cpu
        A key of `CPUS`; None for what the environment variable TILEWRIGHT_CPU says, else ``native``.
    sanitize
        A key of `SANITIZERS`: with these, which the process must have loaded before.

    Raises
    ------
    DeviceError
        There is no C compiler, it fails, the cache can't be written, or there is no such kind of CPU here.
    """
    chosen = cpu or os.environ.get(CPU_VARIABLE) or "native"
    here = [name for name in CPUS if name != "avx2" or platform.machine() == "x86_64"]
    if chosen not in here:
        raise DeviceError(
            f"CPU of the native simulator ({CPU_VARIABLE}) must be one of {', '.join(here)}, not {chosen!r}"
        )
    flags = (*CPUS[chosen], *_ALWAYS, *(SANITIZERS[sanitize] if sanitize else ()))
    return load_c_library("tilewright.simulator.native", _SOURCES, config, _SIZES, flags=flags)
