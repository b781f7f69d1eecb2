"""The DRAM that every simulator's core is attached to: an array and a bump allocator."""

import numpy as np

from ..errors import DeviceError
from ..isa.registers import SEGMENT_ALIGNMENT

__all__ = ["Dram"]


class Dram:
    """`size` bytes from address `base` on; what nothing touches takes no memory of the host.

    The base is not 0, so that a forgotten relocation shows.

    Members
    -------
    bytes
        uint8, shape (size,), its start as aligned as segments are. Simulators and host code work on it in place.
    """

    def __init__(self, *, size: int = 1 << 30, base: int = 0x1000_0000) -> None:
        self.base = base
        room = np.zeros(size + SEGMENT_ALIGNMENT, dtype=np.uint8)
        start = -room.ctypes.data % SEGMENT_ALIGNMENT
        self.bytes = room[start : start + size]
        self._next = 0

    def allocate(self, nbytes: int, alignment: int = SEGMENT_ALIGNMENT) -> int:
        """Address of `nbytes` fresh bytes.

        Raises
        ------
        DeviceError
            The memory is full.
        """
        start = -(-self._next // alignment) * alignment
        if start + nbytes > len(self.bytes):
            free = len(self.bytes) - start
            raise DeviceError(f"device memory must hold {nbytes} more bytes, but only {max(free, 0)} are free")
        self._next = start + nbytes
        return self.base + start

    def release_all(self) -> None:
        self._next = 0

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes at `address`, in place.

        Raises
        ------
        DeviceError
            They do not all exist.
        """
        start = address - self.base
        if start < 0 or nbytes < 0 or start + nbytes > len(self.bytes):
            raise DeviceError(
                f"device memory ends at {self.base + len(self.bytes):#x}; {address:#x}+{nbytes} is outside"
            )
        return self.bytes[start : start + nbytes]
