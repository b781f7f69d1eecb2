"""A board at the end of a serial line, as a device."""

from collections.abc import Callable
from time import monotonic, sleep

import numpy as np

from ..config import Config
from ..errors import DeviceError
from ..isa.launch import Launch
from .frames import PAYLOAD_BYTES, SYSTEM_PAGE, System
from .link import HostLink, Line
from .operated import OperatedDevice
from .registers import RegisterDriver

__all__ = ["BoardDevice"]

_SHORTEST_LOOK, _LONGEST_LOOK = 0.0002, 0.02


class BoardDevice(OperatedDevice):
    """The system of ``fpga/soc`` behind a serial port.

    Parameters
    ----------
    config
        The hardware that the board must have.
    port
        The serial port, for example /dev/ttyUSB0.
    baud
        Bits per second of the line.
    patience, clock
        As of :class:`HostLink`.

    Members
    -------
    clock_hz
        The board's clock.
    repeats
        Requests that had to be sent again so far, since something on the line was lost or damaged.

    Raises
    ------
    DeviceError
        The port can't be opened, no board answers, or it is another one.
    """

    name = "uart"

    def __init__(
        self,
        config: Config,
        *,
        port: str = "",
        baud: int = 3_000_000,
        patience: float = 5.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._look = _SHORTEST_LOOK
        self._link = HostLink(_open_line(port, baud), baud=baud, patience=patience, name=port, clock=clock)
        try:
            base, size, self._word, self.clock_hz = (self._link.read32(SYSTEM_PAGE + place) for place in System)
            driver = RegisterDriver(self._link, config, idle=self._idle, interrupt=True)
            driver.reset()  # whatever the last session left
        except BaseException:
            self._link.close()
            raise
        super().__init__(driver, base=base, size=size, way_out="take a smaller network, or a system with more memory")

    @property
    def repeats(self) -> int:
        return self._link.repeats

    def write(self, address: int, data: bytes | np.ndarray) -> None:
        """Put the bytes of `data`, an array's in C order, into the board's memory."""
        raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        self._offset(address, len(raw))
        while raw:
            head = address % self._word
            part, raw = raw[: PAYLOAD_BYTES - head], raw[PAYLOAD_BYTES - head :]
            tail = -(head + len(part)) % self._word
            self._link.write_memory(address - head, bytes(head) + part + bytes(tail), head=head, tail=tail)
            address += len(part)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """A copy of the board's memory, uint8, shape (nbytes,)."""
        self._offset(address, nbytes)
        first, end = address - address % self._word, -(-(address + nbytes) // self._word) * self._word
        steps = range(first, end, PAYLOAD_BYTES)
        parts = [self._link.read_memory(place, min(PAYLOAD_BYTES, end - place)) for place in steps]
        return np.frombuffer(b"".join(parts), np.uint8)[address - first :][:nbytes].copy()

    def start(self, launch: Launch) -> None:
        """Begin a program.

        Raises
        ------
        DeviceError
            The one before has not been waited for, or the link is lost.
        """
        self._look = _SHORTEST_LOOK
        super().start(launch)

    def close(self) -> None:
        self._link.close()

    def _idle(self) -> None:
        sleep(self._look)
        self._look = min(1.5 * self._look, _LONGEST_LOOK)


def _open_line(port: str, baud: int) -> Line:
    if not port:
        raise DeviceError("device uart must have a serial port: name it as in uart:/dev/ttyUSB0")
    try:
        import serial
    except ImportError:
        raise DeviceError(
            "device uart must have the Python package pyserial, which is not installed: pip install 'tilewright[board]'"
        ) from None
    try:
        line: Line = serial.Serial(port, baud, exclusive=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeviceError(f"serial port {port} must be there to open at {baud} baud: {reason}") from None
    return line
