"""What the host sees of a DRAM segment: the segment itself, or a copy kept in step by moving only what must move."""

import numpy as np

from .device import Device, Shared

__all__ = ["SegmentMirror", "aligned_bytes"]

_ALIGNMENT = 64


def aligned_bytes(nbytes: int) -> np.ndarray:
    """uint8 zeros from an address that any vector instruction likes."""
    room = np.zeros(nbytes + _ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + nbytes]


class SegmentMirror:
    """A segment of `size` bytes at `address` on `device`, of which the device holds the only copy at first.

    Members
    -------
    in_place
        Whether `bytes` are the device's own; then nothing has to move, ever.
    bytes
        The host's copy, uint8; right only where :meth:`fetch` or :meth:`touched` covered it.
    """

    def __init__(self, device: Device, address: int, size: int) -> None:
        self.in_place = isinstance(device, Shared)
        if isinstance(device, Shared):
            self.bytes = device.view(address, size)
            return
        self.bytes = aligned_bytes(size)
        self._device = device
        self._address = address
        self._right = np.zeros(size, dtype=bool)
        self._ahead = np.zeros(size, dtype=bool)

    def fetch(self, offset: int, nbytes: int) -> np.ndarray:
        """The bytes there, in place, as the last to write them left them."""
        part = slice(offset, offset + nbytes)
        if self.in_place:
            return self.bytes[part]
        wrong = np.flatnonzero(~self._right[part])
        if len(wrong):
            first, end = offset + int(wrong[0]), offset + int(wrong[-1]) + 1
            news = self._device.read(self._address + first, end - first)
            np.copyto(self.bytes[first:end], news, where=~self._right[first:end])
            self._right[first:end] = True
        return self.bytes[part]

    def touched(self, offset: int, nbytes: int) -> None:
        """The host wrote all of this range."""
        if self.in_place:
            return
        self._right[offset : offset + nbytes] = True
        self._ahead[offset : offset + nbytes] = True

    def push(self) -> None:
        """Bring the device up to what the host wrote."""
        if self.in_place:
            return
        edges = np.flatnonzero(np.diff(self._ahead.astype(np.int8), prepend=0, append=0))
        for first, end in edges.reshape(-1, 2).tolist():
            self._device.write(self._address + first, self.bytes[first:end])
        self._ahead[:] = False

    def outdated(self) -> None:
        """The device may have written anywhere in the segment."""
        if not self.in_place:
            self._right[:] = False
