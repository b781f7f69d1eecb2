"""What a system on the chip has around its core."""

from dataclasses import dataclass

from ..errors import ConfigError
from .sdram_chip import SdramChip

__all__ = ["SystemConfig"]

_LEAST_MEMORY = 4096


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """What a system has around its core.

    Parameters
    ----------
    memory_bytes
        A power of two of at least 4096; for SDRAM the chip's size.
    memory_base
        Where the memory begins, for core and host alike; a multiple of its size. Not 0 by default, so that a
        forgotten relocation shows.
    clock_hz
        The clock of everything.
    baud
        The host link's bits per second.
    sdram
        The memory's chip; None: block RAM.

    Raises
    ------
    ConfigError
        A number breaks a rule.
    """

    memory_bytes: int = 1 << 16
    memory_base: int = 0x4000_0000
    clock_hz: int = 50_000_000
    baud: int = 3_000_000
    sdram: SdramChip | None = None

    def __post_init__(self) -> None:
        size = self.memory_bytes
        if size < _LEAST_MEMORY or size & (size - 1):
            raise ConfigError(f"memory_bytes must be a power of two of at least {_LEAST_MEMORY}, not {size}")
        if self.memory_base % size or not 0 <= self.memory_base <= (1 << 32) - size:
            raise ConfigError(
                f"memory_base must be a multiple of {size} and leave room below 4 GiB, not {self.memory_base:#x}"
            )
        if self.sdram is not None and size != self.sdram.size:
            raise ConfigError(f"memory_bytes must be the SDRAM's size, {self.sdram.size}, not {size}")
        if not 0 < 4 * self.baud <= self.clock_hz:
            raise ConfigError(f"baud must be at most a quarter of the clock ({self.clock_hz} Hz), not {self.baud}")
