"""Operating a core through its register page, whatever carries the accesses."""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from ..config import Config
from ..errors import DeviceError
from ..isa.launch import Launch, Outcome
from ..isa.registers import (
    COUNTERS,
    IDENTITY,
    Control,
    Status,
    counter_address,
    register,
    segment_address,
)
from ..isa.table import ISA_VERSION, ErrorCode
from .matching import require_hash

__all__ = ["RegisterBus", "RegisterDriver"]

_WORD = (1 << 32) - 1


class RegisterBus(Protocol):
    """32-bit accesses to the register page; addresses are offsets in it."""

    def read32(self, address: int) -> int: ...

    def write32(self, address: int, value: int) -> None: ...


class RegisterDriver:
    """Starts programs on a core and reads how they ended.

    Parameters
    ----------
    bus
        Carries the accesses.
    config
        The configuration that the core must have.
    known
        Configurations the core may have been built from; they let a mismatch name its fields.
    idle
        Called between two looks at STATUS: sleep, wait for the interrupt, let simulated time pass.
    timeout
        Seconds after which a core that stays busy is given up; None: never.
    interrupt
        Whether the core raises its interrupt at the end.

    Raises
    ------
    DeviceError
        What answers is not a core, speaks another version of the instruction set, or has another
        configuration.
    """

    def __init__(
        self,
        bus: RegisterBus,
        config: Config,
        *,
        known: tuple[Config, ...] = (),
        idle: Callable[[], object] = lambda: None,
        timeout: float | None = None,
        interrupt: bool = False,
    ) -> None:
        self._bus = bus
        self._idle = idle
        self._timeout = timeout
        self._interrupt = Control.IRQ_ENABLE if interrupt else Control(0)
        self.config = config
        self._identify(known)

    def _identify(self, known: tuple[Config, ...]) -> None:
        identity, version = self._read("IDENTITY"), self._read("ISA_VERSION")
        if identity != IDENTITY:
            raise DeviceError(f"register IDENTITY must read {IDENTITY:#010x}, not {identity:#010x}: no core is there")
        if version != ISA_VERSION:
            raise DeviceError(f"register ISA_VERSION must read {ISA_VERSION}, not {version}: rebuild the hardware")
        shown = self._read("CONFIG_HASH_HI") << 32 | self._read("CONFIG_HASH_LO")
        require_hash(self.config, f"{shown:016x}", known=known)

    def run(self, launch: Launch) -> Outcome:
        """Run a program to its end: :meth:`start` and :meth:`wait`."""
        self.start(launch)
        return self.wait()

    def start(self, launch: Launch) -> None:
        """Begin a program.

        Raises
        ------
        DeviceError
            The core is busy already, or an address of `launch` has more bits than the core's.
        """
        status = self._status()
        if status & Status.BUSY:
            raise DeviceError("the core must be idle before a start, but it is busy: reset it")
        if status & Status.ERROR:
            self.reset()
        self._prepare(launch)
        self._control(Control.START)

    def wait(self) -> Outcome:
        """How the program ended; after an error of its own the core is reset and ready for the next.

        Raises
        ------
        DeviceError
            The core does not come to an end in time.
        """
        status = self._wait_while_busy()
        counters = self.counters()
        if not status & Status.ERROR:
            return Outcome(counters=counters)
        code, index = ErrorCode(self._read("ERROR_CODE")), self._read("ERROR_INDEX")
        self.reset()
        return Outcome(code, index, counters)

    def counters(self) -> dict[str, int]:
        """Those of the run that is on, or was last, by the names of ``registers.COUNTERS``."""
        return {name: self._read64(counter_address(name)) for name in COUNTERS}

    def reset(self) -> None:
        """Stop whatever runs and forget the error; registers keep their values."""
        self._control(Control.SOFT_RESET)
        if self._wait_while_busy() & Status.ERROR:
            raise DeviceError("a soft reset must clear the error, but the core still shows one: reset the board")

    def _prepare(self, launch: Launch) -> None:
        self._write_address(register("PROGRAM_BASE_LO"), launch.program, "program address")
        self._bus.write32(register("PROGRAM_COUNT"), launch.count)
        self._bus.write32(register("WATCHDOG"), launch.watchdog)
        for number, (base, limit) in enumerate(launch.segments):
            self._write_address(segment_address(number), base, f"base of segment {number}")
            self._bus.write32(segment_address(number) + 8, limit)

    def _wait_while_busy(self) -> Status:
        started = monotonic()
        while (status := self._status()) & Status.BUSY:
            if self._timeout is not None and monotonic() - started > self._timeout:
                raise DeviceError(f"the core must come to an end within {self._timeout:g} s, but it is still busy")
            self._idle()
        return status

    def _control(self, action: Control) -> None:
        self._bus.write32(register("CONTROL"), action | self._interrupt)

    def _status(self) -> Status:
        return Status(self._read("STATUS") & (Status.BUSY | Status.DONE | Status.ERROR))

    def _read(self, name: str) -> int:
        return self._bus.read32(register(name))

    def _read64(self, address: int) -> int:
        return self._bus.read32(address) | self._bus.read32(address + 4) << 32

    def _write_address(self, address: int, value: int, what: str) -> None:
        if value >> self.config.address_bits:
            raise DeviceError(
                f"{what} must have at most {self.config.address_bits} bits (address_bits), not {value:#x}"
            )
        self._bus.write32(address, value & _WORD)
        self._bus.write32(address + 4, value >> 32)
