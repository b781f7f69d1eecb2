"""The native simulator: whole programs in C, compiled for one configuration and this CPU."""

from collections.abc import Callable

from ...config import Config
from ...toolchain import has_compiler
from ..attached import AttachedSimulator
from ..dram import Dram
from .simulator import NativeSimulator

__all__ = ["NativeSimulator", "open_native"]


def open_native(
    config: Config,
    *,
    dram: Dram | None = None,
    cpu: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> AttachedSimulator:
    """The native simulator, as :class:`NativeSimulator`; without a C compiler its twin in NumPy, and a notice."""
    if has_compiler():
        return NativeSimulator(config, dram=dram, cpu=cpu, progress=progress)
    from .fallback import NumpySimulator, say_what_is_missing

    say_what_is_missing()
    return NumpySimulator(config, dram=dram, progress=progress)
