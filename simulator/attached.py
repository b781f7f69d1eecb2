"""What every simulator does alike: its DRAM, and a run in two halves."""

from collections.abc import Mapping

import numpy as np

from ..config import Config
from ..errors import DeviceError
from ..isa.launch import Launch, Outcome
from ..isa.registers import SEGMENT_ALIGNMENT
from .dram import Dram

__all__ = ["AttachedSimulator"]


class AttachedSimulator:
    """A core with DRAM. A subclass gives the core: `_execute`.

    Members
    -------
    config, dram
        As given; a DRAM of its own where None was given.
    counters
        Those of the last run.
    """

    name = "simulator"

    def __init__(self, config: Config, dram: Dram | None) -> None:
        self.config = config
        self.dram = Dram() if dram is None else dram
        self.counters: Mapping[str, int] = {}
        self._started: Launch | None = None

    def allocate(self, nbytes: int, alignment: int = SEGMENT_ALIGNMENT) -> int:
        """Address of `nbytes` fresh bytes of DRAM."""
        return self.dram.allocate(nbytes, alignment)

    def write(self, address: int, data: bytes | np.ndarray) -> None:
        """Copy bytes, or an array's bytes in C order, to DRAM."""
        array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data).reshape(-1)
        raw = array.view(np.uint8)
        self.dram.view(address, raw.size)[:] = raw

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """A copy of DRAM, uint8, shape (nbytes,)."""
        return self.dram.view(address, nbytes).copy()

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """DRAM in place: uint8, shape (nbytes,)."""
        return self.dram.view(address, nbytes)

    def start(self, launch: Launch) -> None:
        """Take a program. A simulator works while it is waited for.

        Raises
        ------
        DeviceError
            The program started before has not been waited for.
        """
        if self._started is not None:
            raise DeviceError(f"device {self.name} must end its run before the next one: wait for it")
        self._started = launch

    def wait(self) -> Outcome:
        """Run what was started to its end. A program's own errors are in the outcome.

        Raises
        ------
        DeviceError
            Nothing was started.
        """
        if self._started is None:
            raise DeviceError(f"device {self.name} must be started before it is waited for")
        launch, self._started = self._started, None
        outcome = self._execute(launch)
        self.counters = outcome.counters
        return outcome

    def run(self, launch: Launch) -> Outcome:
        """Start and wait."""
        self.start(launch)
        return self.wait()

    def _execute(self, launch: Launch) -> Outcome:
        raise NotImplementedError
