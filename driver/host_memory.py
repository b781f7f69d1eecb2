"""Memory for programs that run on the host alone."""

from collections.abc import Mapping

import numpy as np

from ..config import Config
from ..errors import DeviceError
from ..isa.launch import Launch, Outcome
from ..isa.registers import SEGMENT_ALIGNMENT

__all__ = ["HostMemory"]


class HostMemory:
    """A device without a core: what a program without instructions needs of one."""

    name = "host"

    def __init__(self, config: Config) -> None:
        self.config = config
        self._parts: dict[int, np.ndarray] = {}
        self._end = 0

    def allocate(self, nbytes: int, alignment: int = SEGMENT_ALIGNMENT) -> int:
        address = -(-self._end // alignment) * alignment
        self._parts[address] = np.zeros(nbytes, np.uint8)
        self._end = address + nbytes
        return address

    def _part(self, address: int, nbytes: int) -> np.ndarray:
        start = max((first for first in self._parts if first <= address), default=0)
        return self._parts[start][address - start : address - start + nbytes]

    def write(self, address: int, data: bytes | np.ndarray) -> None:
        content = np.frombuffer(bytes(data), np.uint8)
        if len(content):
            self._part(address, len(content))[:] = content

    def read(self, address: int, nbytes: int) -> np.ndarray:
        return self._part(address, nbytes).copy()

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def start(self, launch: Launch) -> None:
        raise DeviceError("a program with instructions must run on a device, not on the host alone: choose --device")

    def wait(self) -> Outcome:
        raise DeviceError("nothing was started, and the host alone starts nothing: choose --device")

    def run(self, launch: Launch) -> Outcome:
        self.start(launch)
        return self.wait()

    def close(self) -> None:
        self._parts.clear()
