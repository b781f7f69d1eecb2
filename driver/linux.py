"""A core in the FPGA of the very system that this process runs on, as on a Zynq board under Linux."""

import re
from pathlib import Path

import numpy as np

from ..config import Config
from ..errors import DeviceError
from .operated import OperatedDevice
from .physical import Buffer, DmaBuffer, MemRegisters, Registers, ReservedMemory, UioRegisters
from .registers import RegisterDriver

__all__ = ["LinuxDevice", "MappedDevice"]

_DEFAULT_PLACE = "tilewright,udmabuf0"


class MappedDevice(OperatedDevice):
    """A core whose registers and memory this process can reach.

    Parameters
    ----------
    config
        The hardware that it must be.
    registers, buffer
        How it is reached. They are closed with the device, and where it can't be opened.
    patience
        Seconds after which a core that stays busy is given up.

    Raises
    ------
    DeviceError
        No core answers, it is another one, or the buffer is out of its reach.
    """

    name = "linux"

    def __init__(self, config: Config, registers: Registers, buffer: Buffer, *, patience: float = 60.0) -> None:
        self._registers, self._buffer = registers, buffer
        try:
            end = buffer.address + buffer.size
            if end > 1 << config.address_bits:
                raise DeviceError(
                    f"the buffer must lie below {1 << config.address_bits:#x} (address_bits {config.address_bits}), "
                    f"but ends at {end:#x}: set aside memory further down"
                )
            driver = RegisterDriver(registers, config, idle=registers.pause, timeout=patience, interrupt=True)
            driver.reset()  # whatever the last process left
        except BaseException:
            self.close()
            raise
        way_out = "set aside a larger buffer, or take a smaller network"
        super().__init__(driver, base=buffer.address, size=buffer.size, way_out=way_out)

    def write(self, address: int, data: bytes | np.ndarray) -> None:
        """Put the bytes of `data`, an array's in C order, into the buffer."""
        raw = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data).reshape(-1)
        content = raw.view(np.uint8)
        self._buffer.write(self._offset(address, content.size), content)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """A copy of the buffer, uint8, shape (nbytes,)."""
        return self._buffer.read(self._offset(address, nbytes), nbytes)

    def close(self) -> None:
        """Let go of both; more than once does no harm."""
        self._registers.close()
        self._buffer.close()


class LinuxDevice(MappedDevice):
    """The core that a place names.

    Parameters
    ----------
    config
        The hardware that it must be.
    place
        ``REGISTERS,BUFFER``. Registers: a UIO device's name, or their physical address as in 0x43c00000, through
        /dev/mem. Buffer: the name of a u-dma-buf device, or address and bytes of memory that Linux leaves alone, as
        in 0x1e000000+0x2000000.
    patience
        Seconds after which a core that stays busy is given up.
    root
        Where /dev, /sys and /proc are.

    Raises
    ------
    DeviceError
        There is no such core, or no right to use it.
    """

    def __init__(self, config: Config, *, place: str = "", patience: float = 60.0, root: str = "/") -> None:
        where, comma, memory = (place or _DEFAULT_PLACE).partition(",")
        if not (where and comma and memory):
            raise DeviceError(
                f"device linux must be at REGISTERS,BUFFER as in linux:uio0,udmabuf0 or "
                f"linux:0x43c00000,0x1e000000+0x2000000, not at {place!r}"
            )
        registers = _open_registers(where, Path(root))
        try:
            buffer = _open_buffer(memory, Path(root))
        except BaseException:
            registers.close()
            raise
        super().__init__(config, registers, buffer, patience=patience)


def _open_registers(where: str, root: Path) -> Registers:
    if re.fullmatch(r"0x[0-9a-fA-F]{1,16}", where):
        return MemRegisters(int(where, 16), root=root)
    return UioRegisters(_plain(where), root=root)


def _open_buffer(memory: str, root: Path) -> Buffer:
    if region := re.fullmatch(r"(0x[0-9a-fA-F]{1,16})\+(0x[0-9a-fA-F]{1,16})", memory):
        return ReservedMemory(int(region[1], 16), int(region[2], 16), root=root)
    return DmaBuffer(_plain(memory), root=root)


def _plain(name: str) -> str:
    """The name without a leading /dev/; it must not lead anywhere else."""
    plain = name.removeprefix("/dev/")
    if "/" in plain or plain.startswith("."):
        raise DeviceError(f"device linux must be at names of devices, such as uio0, or 0x addresses, not {name!r}")
    return plain
