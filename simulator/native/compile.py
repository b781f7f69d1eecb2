"""Compiles the native simulator for one configuration and this CPU, once."""

import ctypes

from ...config import Config
from ..clibrary import load_c_library

__all__ = ["load_library"]

_SOURCES = ("core.c", "transfer.c", "gemm.c", "gemm_plan.c", "gemm_blocked.c", "vector.c", "memories.c")
_SIZES = (
    *("rows", "block_in", "block_out", "act_depth", "wgt_depth", "acc_depth", "bias_depth", "scale_depth", "tables"),
    *("bus_bytes", "queue_depth", "token_bits", "multiplier_bits"),
)


def load_library(config: Config, *, portable: bool = False) -> ctypes.CDLL:
    """The compiled simulator; `portable` leaves out this CPU's own instructions.

    Raises
    ------
    DeviceError
        There is no C compiler, it fails, or the cache can't be written.
    """
    flags = ("-DPORTABLE", "-Wno-psabi") if portable else ("-march=native",)
    return load_c_library("tilewright.simulator.native", _SOURCES, config, _SIZES, flags=flags)
