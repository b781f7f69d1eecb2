"""How many threads the native simulator uses."""

import os

from ...errors import DeviceError

__all__ = ["THREADS_VARIABLE", "usable_threads"]

THREADS_VARIABLE = "TILEWRIGHT_THREADS"
_MOST = 2


def usable_threads(threads: int | None = None) -> int:
    """1 or 2: `threads`; None for what the environment variable TILEWRIGHT_THREADS says, else 2 where there are CPUs.

    Raises
    ------
    DeviceError
        It is neither 1 nor 2.
    """
    chosen = os.environ.get(THREADS_VARIABLE) or _cpus() if threads is None else threads
    if str(chosen) not in ("1", "2"):
        raise DeviceError(f"threads of the native simulator ({THREADS_VARIABLE}) must be 1 or 2, not {chosen!r}")
    return int(chosen)


def _cpus() -> int:
    """Those this process may use, but no more than are of use."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(here, _MOST)
