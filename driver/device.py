"""What every device can do, and how to open one by name."""

from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..config import Config
from ..errors import DeviceError
from ..isa.launch import Launch, Outcome
from ..isa.registers import SEGMENT_ALIGNMENT
from ..isa.table import Engine, Memory

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CYCLE_DEVICES", "DEVICES", "Device", "Shared", "Simulator", "Stoppable", "Traced", "open_device"]


@runtime_checkable
class Device(Protocol):
    """A core with memory, behind whatever connects us to it.

    Members
    -------
    name
        How it is opened.
    config
        The hardware's configuration.
    """

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> Config: ...

    def allocate(self, nbytes: int, alignment: int = SEGMENT_ALIGNMENT) -> int:
        """Address of `nbytes` bytes of device memory. Raises DeviceError where there are not enough."""

    def write(self, address: int, data: "bytes | np.ndarray") -> None:
        """Put the bytes of `data` into device memory."""

    def read(self, address: int, nbytes: int) -> "np.ndarray":
        """A copy of device memory, uint8."""

    @property
    def counters(self) -> Mapping[str, int]:
        """The core's counters after its last run, by the names of ``registers.COUNTERS``, as far as it has them."""

    def start(self, launch: Launch) -> None:
        """Begin a program. Raises DeviceError while another one has not been waited for."""

    def wait(self) -> Outcome:
        """Stay until the started program ends. Its own errors are in the outcome, not raised."""

    def run(self, launch: Launch) -> Outcome:
        """Start and wait."""

    def close(self) -> None:
        """Let go of what the device holds."""


@runtime_checkable
class Simulator(Device, Protocol):
    """A device whose on-chip memories can be looked into."""

    def peek(self, memory: Memory, row: int = 0) -> "np.ndarray":
        """A copy of one on-chip memory: uint8, shape (depth, cell_bytes), cells as in DRAM."""

    def poke(self, memory: Memory, array: "np.ndarray", row: int = 0) -> None:
        """Replace one on-chip memory; the inverse of :meth:`peek`."""


@runtime_checkable
class Shared(Protocol):
    """A device whose memory lies in this process."""

    def view(self, address: int, nbytes: int) -> "np.ndarray":
        """Device memory in place: uint8, its own bytes and no copy."""


@runtime_checkable
class Traced(Protocol):
    """A device that can tell what its core did when."""

    def events(self) -> "np.ndarray":
        """Of the last run: fields `cycle`, `index` (of the instruction), `engine`, `retired` (0 started, 1 retired)."""


@runtime_checkable
class Stoppable(Protocol):
    """A device whose run Ctrl-C may end between two instructions."""

    def unfinished(self) -> Mapping[Engine, int]:
        """Where the last run stands: the index of each engine's oldest instruction that has not retired."""


DEVICES: dict[str, tuple[str, str]] = {
    "oracle": ("simulator.oracle", "OracleSimulator"),
    "native": ("simulator.native", "open_native"),
    "cycle": ("simulator.cycle", "CycleSimulator"),
    "cycle-fast": ("simulator.cycle", "FastCycleSimulator"),
    "timing": ("simulator.timing", "TimingSimulator"),
    "netlist": ("fpga.netlist", "NetlistSimulator"),
    "soc": ("fpga.simulated_board", "SimulatedBoardDevice"),
    "uart": ("driver.board", "BoardDevice"),
    "linux": ("driver.linux", "LinuxDevice"),
}
CYCLE_DEVICES = ("cycle", "cycle-fast", "netlist")  # those with the cycle simulator's options
_PLACE = {"uart": "port", "linux": "place"}  # what may follow the name, after a colon


def open_device(name: str, config: Config, **options: Any) -> Device:
    """The device `name` with the core `config`; `options` are the device's own.

    A name may hold the place of the device, as in ``uart:/dev/ttyUSB0``.

    Raises
    ------
    DeviceError
        There is no such device, or it does not know an option.
    """
    name, colon, place = name.partition(":")
    if colon:
        if name not in _PLACE:
            raise DeviceError(f"device {name} must stand alone, without :{place}; places are for {', '.join(_PLACE)}")
        options[_PLACE[name]] = place
    if name not in DEVICES:
        raise DeviceError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    module, class_name = DEVICES[name]
    make = getattr(import_module(f"..{module}", __package__), class_name)
    known = [p.name for p in signature(make).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise DeviceError(f"device {name} has no option {option}; it has {', '.join(known)}")
    device: Device = make(config, **options)
    return device
