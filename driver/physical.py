"""Physical memory of a Linux system, from user space: register pages, and buffers that hardware can reach.

Registers come from a UIO device or /dev/mem, buffers from the kernel module u-dma-buf or from a region that Linux
was told to leave alone.
"""

import fcntl
import mmap
import os
import re
import select
import struct
from pathlib import Path
from time import sleep
from typing import Protocol

import numpy as np

from ..errors import DeviceError
from ..isa.registers import PAGE_BYTES, SEGMENT_ALIGNMENT

__all__ = ["Attributes", "Buffer", "DmaBuffer", "MemRegisters", "Registers", "ReservedMemory", "UioRegisters"]

_LINE = SEGMENT_ALIGNMENT  # no CPU's cache lines are longer than that
_POLL_SECONDS = 0.0005
_INTERRUPT_SECONDS = 0.1  # then STATUS is looked at all the same
_MAP = "maps/map0"


class Registers(Protocol):
    """The core's register page."""

    def read32(self, address: int) -> int: ...

    def write32(self, address: int, value: int) -> None: ...

    def pause(self) -> None:
        """Let time pass: until the core's interrupt where there is one, but never long."""

    def close(self) -> None: ...


class Buffer(Protocol):
    """Contiguous physical memory that the core and this process share.

    Members
    -------
    address, size
        Its physical address and bytes.
    """

    address: int
    size: int

    def write(self, offset: int, data: np.ndarray) -> None:
        """Put bytes, uint8, where the core will find them."""

    def read(self, offset: int, nbytes: int) -> np.ndarray:
        """A copy of what the core sees there, uint8."""

    def close(self) -> None: ...


class Attributes:
    """A device's folder below /sys/class."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def number(self, name: str, default: int | None = None) -> int:
        """An attribute that holds a number.

        Raises
        ------
        DeviceError
            It is missing, without a default, or holds something else.
        """
        path = self._folder / name
        try:
            return int(path.read_text(encoding="ascii").strip(), 0)
        except OSError as error:
            if default is not None:
                return default
            raise DeviceError(f"attribute {path} must be readable: {error.strerror}") from None
        except ValueError:
            raise DeviceError(f"attribute {path} must hold a number, and does not") from None

    def write(self, name: str, value: int) -> None:
        """Set an attribute. Raises DeviceError where that is not allowed."""
        path = self._folder / name
        try:
            path.write_text(f"{value}", encoding="ascii")
        except OSError as error:
            raise DeviceError(f"attribute {path} must be writable: {error.strerror}; run as root") from None


def _open(path: Path, flags: int, way_out: str) -> int:
    """A descriptor of a device file, or one line about why there is none."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)
    except FileNotFoundError:
        raise DeviceError(f"device file {path} must be there, and is not: {way_out}") from None
    except PermissionError:
        raise DeviceError(f"device file {path} must be open to this user, and is not: run as root") from None
    except OSError as error:
        raise DeviceError(f"device file {path} must be usable: {error.strerror}") from None


def _map(descriptor: int, nbytes: int, offset: int, path: Path) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, nbytes, offset=offset)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeviceError(f"{nbytes} bytes at {offset:#x} of device file {path} must be mapped: {reason}") from None


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DeviceError(f"device file {path} must be free, but is in use already: end what uses it") from None


class _MappedRegisters:
    """A register page in this process; each access is one 32-bit access to the bus."""

    def __init__(self, path: Path, offset: int, way_out: str, *, alone: bool) -> None:
        self._descriptor = _open(path, os.O_SYNC, way_out)
        try:
            if alone:
                _lock(self._descriptor, path)
            self._page = _map(self._descriptor, PAGE_BYTES, offset, path)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._words = np.frombuffer(self._page, np.uint32)

    def read32(self, address: int) -> int:
        return int(self._words[address // 4])

    def write32(self, address: int, value: int) -> None:
        self._words[address // 4] = value

    def pause(self) -> None:
        sleep(_POLL_SECONDS)

    def close(self) -> None:
        if self._descriptor >= 0:
            del self._words
            self._page.close()
            os.close(self._descriptor)
            self._descriptor = -1


class UioRegisters(_MappedRegisters):
    """The registers, and the interrupt, of a UIO device.

    Parameters
    ----------
    name
        ``uio0`` and so on, or the name of its node in the device tree.
    root
        Where /dev and /sys are.

    Raises
    ------
    DeviceError
        There is none, it is another's, or its registers are no whole page.
    """

    def __init__(self, name: str, *, root: Path) -> None:
        node = _uio_node(name, root)
        way_out = "load the device tree overlay, and uio_pdrv_genirq with of_id=generic-uio"
        super().__init__(root / "dev" / node, 0, way_out, alone=True)
        size = Attributes(root / "sys/class/uio" / node).number(f"{_MAP}/size", PAGE_BYTES)
        if size < PAGE_BYTES:
            self.close()
            raise DeviceError(f"UIO device {node} must map {PAGE_BYTES} bytes, not {size}: it is not this core's")

    def pause(self) -> None:
        """Until the interrupt. The kernel masks it when it comes; writing 1 lets the next one through."""
        try:
            os.write(self._descriptor, struct.pack("=i", 1))
        except OSError:  # its node in the device tree has no interrupt
            super().pause()
            return
        if select.select([self._descriptor], [], [], _INTERRUPT_SECONDS)[0]:
            os.read(self._descriptor, 4)


def _uio_node(name: str, root: Path) -> str:
    if re.fullmatch(r"uio\d+", name):
        return name
    for entry in sorted((root / "sys/class/uio").glob("uio*/name")):
        if entry.read_text(encoding="utf-8", errors="replace").strip() == name:
            return entry.parent.name
    raise DeviceError(
        f"a UIO device named {name} must be there, and is not: load the device tree overlay, or name one as in "
        "linux:uio0,udmabuf0"
    )


class MemRegisters(_MappedRegisters):
    """The registers at a physical address, through /dev/mem."""

    def __init__(self, address: int, *, root: Path) -> None:
        if address % PAGE_BYTES:
            raise DeviceError(f"register address must be a multiple of {PAGE_BYTES}, not {address:#x}")
        super().__init__(root / "dev/mem", address, "the kernel must have CONFIG_DEVMEM; or use UIO", alone=False)


class _MappedBuffer:
    """A buffer in this process, used in whole cache lines: uncached memory takes only aligned accesses too."""

    def __init__(self, path: Path, flags: int, *, address: int, size: int, offset: int, way_out: str) -> None:
        if address % SEGMENT_ALIGNMENT:
            raise DeviceError(
                f"the buffer of {path} must begin at a multiple of {SEGMENT_ALIGNMENT}, not at {address:#x}: "
                "set aside another one"
            )
        self.address, self.size = address, size - size % _LINE
        if not self.size:
            raise DeviceError(f"the buffer of {path} must hold at least {_LINE} bytes, not {size}")
        descriptor = _open(path, flags, way_out)
        try:
            self._mapping = _map(descriptor, self.size, offset, path)
        finally:
            os.close(descriptor)
        self._bytes = np.frombuffer(self._mapping, np.uint8)

    def write(self, offset: int, data: np.ndarray) -> None:
        first, end = offset - offset % _LINE, -(-(offset + data.size) // _LINE) * _LINE
        if first == end:
            return
        self.to_cpu(first, end - first)
        lines = self._bytes[first:end].copy()
        lines[offset - first :][: data.size] = data
        self._bytes[first:end] = lines
        self.to_device(first, end - first)

    def read(self, offset: int, nbytes: int) -> np.ndarray:
        first, end = offset - offset % _LINE, -(-(offset + nbytes) // _LINE) * _LINE
        self.to_cpu(first, end - first)
        return self._bytes[first:end].copy()[offset - first :][:nbytes]

    def to_cpu(self, offset: int, nbytes: int) -> None:
        """Let the CPU see what the core wrote into these lines."""

    def to_device(self, offset: int, nbytes: int) -> None:
        """Let the core see what the CPU wrote into these lines."""

    def close(self) -> None:
        if not self._mapping.closed:
            del self._bytes
            self._mapping.close()


class DmaBuffer(_MappedBuffer):
    """A buffer of the kernel module u-dma-buf, cached, its cache lines handed over by hand.

    The processing system's HP ports see memory past the CPU's caches.

    Parameters
    ----------
    name
        ``udmabuf0``, or as the device tree calls it.
    root
        Where /dev and /sys are.
    attributes
        The device's, where they are not those below `root`.
    """

    def __init__(self, name: str, *, root: Path, attributes: Attributes | None = None) -> None:
        path = root / "dev" / name
        way_out = "load the kernel module u-dma-buf and the device tree overlay"
        if not path.exists():
            raise DeviceError(f"device file {path} must be there, and is not: {way_out}")
        self._attributes = attributes or Attributes(root / "sys/class/u-dma-buf" / name)
        address, size = self._attributes.number("phys_addr"), self._attributes.number("size")
        super().__init__(path, 0, address=address, size=size, offset=0, way_out=way_out)
        self._coherent = self._attributes.number("dma_coherent", 0) == 1

    def to_cpu(self, offset: int, nbytes: int) -> None:
        self._hand_over("sync_for_cpu", offset, nbytes)

    def to_device(self, offset: int, nbytes: int) -> None:
        self._hand_over("sync_for_device", offset, nbytes)

    def _hand_over(self, action: str, offset: int, nbytes: int) -> None:
        if self._coherent or not nbytes:
            return
        both_ways = 0
        for name, value in (("sync_offset", offset), ("sync_size", nbytes), ("sync_direction", both_ways), (action, 1)):
            self._attributes.write(name, value)


class ReservedMemory(_MappedBuffer):
    """A region that Linux does not use, through /dev/mem, uncached.

    Raises
    ------
    DeviceError
        It is not aligned to pages, or Linux uses it.
    """

    def __init__(self, address: int, size: int, *, root: Path) -> None:
        if address % mmap.PAGESIZE:
            raise DeviceError(f"reserved memory must begin at a multiple of {mmap.PAGESIZE}, not at {address:#x}")
        _require_unused(address, size, root / "proc/iomem")
        way_out = "the kernel must have CONFIG_DEVMEM; or use u-dma-buf"
        super().__init__(root / "dev/mem", os.O_SYNC, address=address, size=size, offset=address, way_out=way_out)

    def to_device(self, offset: int, nbytes: int) -> None:
        """Reading back lets writes leave the CPU's write buffer."""
        self._bytes[offset + nbytes - _LINE : offset + nbytes].copy()


def _require_unused(address: int, size: int, iomem: Path) -> None:
    try:
        lines = iomem.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        found = re.fullmatch(r"([0-9a-f]+)-([0-9a-f]+) : System RAM", line)
        if found and int(found[1], 16) < address + size and address <= int(found[2], 16):
            raise DeviceError(
                f"reserved memory must be out of Linux' own use, but {address:#x}+{size:#x} lies in its RAM "
                f"{found[1]}-{found[2]}: reserve it with no-map in the device tree, or use u-dma-buf"
            )
