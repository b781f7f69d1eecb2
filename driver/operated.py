"""What devices behind a register driver do alike: memory from one region, and a run in two halves."""

from collections.abc import Mapping
from typing import Self

from ..errors import DeviceError
from ..isa.launch import Launch, Outcome
from ..isa.registers import SEGMENT_ALIGNMENT
from .registers import RegisterDriver

__all__ = ["OperatedDevice"]


class OperatedDevice:
    """A core that a RegisterDriver operates. A subclass gives the accesses to its memory, and what `close` does.

    Parameters
    ----------
    driver
        Operates it.
    base, size
        Its memory: from this address on, so many bytes.
    way_out
        What to do when the memory is too small.

    Members
    -------
    counters
        Those of the last run.
    """

    name = "operated"

    def __init__(self, driver: RegisterDriver, *, base: int, size: int, way_out: str) -> None:
        self.config = driver.config
        self.counters: Mapping[str, int] = {}
        self._driver = driver
        self._base, self._size, self._way_out = base, size, way_out
        self._next = base
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the core and of what leads to it."""
        raise NotImplementedError

    def allocate(self, nbytes: int, alignment: int = SEGMENT_ALIGNMENT) -> int:
        """Address of `nbytes` bytes of the device's memory.

        Raises
        ------
        DeviceError
            There are not enough.
        """
        start = -(-self._next // alignment) * alignment
        needed = start + nbytes - self._base
        if needed > self._size:
            raise DeviceError(
                f"the memory of device {self.name} must hold {needed} bytes for this program, "
                f"but has {self._size}: {self._way_out}"
            )
        self._next = start + nbytes
        return start

    def start(self, launch: Launch) -> None:
        """Begin a program.

        Raises
        ------
        DeviceError
            The one before has not been waited for.
        """
        if self._started:
            raise DeviceError(f"device {self.name} must end its run before the next one: wait for it")
        self._driver.start(launch)
        self._started = True

    def wait(self) -> Outcome:
        """Stay until the started program ends. Its own errors are in the outcome.

        Raises
        ------
        DeviceError
            Nothing was started, or the core does not come to an end in time.
        """
        if not self._started:
            raise DeviceError(f"device {self.name} must be started before it is waited for")
        self._started = False
        outcome = self._driver.wait()
        self.counters = outcome.counters
        return outcome

    def run(self, launch: Launch) -> Outcome:
        """Start and wait."""
        self.start(launch)
        return self.wait()

    def _offset(self, address: int, nbytes: int) -> int:
        """Where the bytes lie in the memory; DeviceError where they do not all exist."""
        offset = address - self._base
        if offset < 0 or nbytes < 0 or offset + nbytes > self._size:
            raise DeviceError(
                f"the memory of device {self.name} is from {self._base:#x} to {self._base + self._size:#x}; "
                f"{address:#x}+{nbytes} is outside"
            )
        return offset
