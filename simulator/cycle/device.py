"""The RTL as a device: built once a configuration, then run cycle by cycle."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ...config import Config
from ...driver.registers import RegisterDriver
from ...errors import CycleLimit, DeviceError
from ...isa.launch import Launch, Outcome
from ...isa.memories import memory_shape
from ...isa.registers import Control, counter_address, register
from ...isa.table import Memory
from ..attached import AttachedSimulator
from ..dram import Dram
from .core import core_verilog
from .harness import Harness, ProtocolError, Settings
from .model import Emitted, build_model

__all__ = ["CycleSimulator", "FastCycleSimulator"]

_CHUNK = 100_000
_WAVEFORM_CHUNK = 5_000
_RESET_CHUNK = 64


class CycleSimulator(AttachedSimulator):
    """The core's Verilog under Verilator, with DRAM behind its bus.

    Parameters
    ----------
    config
        The hardware. Its first simulator takes a minute to build; it is kept in the cache.
    dram
        The memory to attach; a new one by default. Its bytes are used in place.
    latency
        Cycles from a request to DRAM to its first answer.
    bandwidth
        Bytes a cycle that DRAM carries, both ways together; None: as many as the bus.
    stalls
        Seed of random pauses on every channel of both buses, and of random extra latency; None: none.
    all_clocks
        Clock every part of the core in every cycle, as hardware does. Otherwise idle engines are left out:
        quicker, and every cycle and bit the same, which a test shows.
    waveform
        File to write all signals to, in the format of its suffix, .fst or .vcd. Slow: some 10,000 cycles a second.
    window
        (first, end): cycles of each run, counted from its launch, that the waveform has; None: all.
    threads
        Threads of the simulation; more than 1 pays only for very large cores.
    trace
        Record when instructions start and retire, for :meth:`events`.
    max_cycles
        Most cycles of one run; None: no limit.
    progress
        Called every 100,000 cycles with the instructions retired and the cycles taken so far in the run.

    Raises
    ------
    DeviceError
        An option is out of range, or the simulator can't be built.
    """

    name = "cycle"

    def __init__(
        self,
        config: Config,
        *,
        dram: Dram | None = None,
        latency: int = 40,
        bandwidth: float | None = None,
        stalls: int | None = None,
        all_clocks: bool = False,
        waveform: str | Path | None = None,
        window: tuple[int, int] | None = None,
        threads: int = 1,
        trace: bool = False,
        max_cycles: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        super().__init__(config, dram)
        wave = Path(waveform) if waveform is not None else None
        _check_options(latency, bandwidth, stalls, wave, threads)
        if window is not None and (wave is None or not 0 <= window[0] < window[1]):
            raise DeviceError(f"window must be two cycles of a waveform, the first below the second, not {window}")
        emitted = self._emitted(config)
        library = self._library(emitted, wave.suffix[1:] if wave else None, threads)
        settings = Settings(
            bytes=self.dram.bytes.ctypes.data,
            base=self.dram.base,
            size=len(self.dram.bytes),
            latency=latency,
            bandwidth=bandwidth or 0.0,
            burst_beats=config.burst_beats,
            stalls=0 if stalls is None else stalls + 1,
            all_clocks=int(all_clocks),
        )
        self._harness = Harness(library, settings, trace=trace, waveform=wave, hidden=window is not None)
        self._arrays = emitted.arrays
        self._bus = _Bus(self._harness, max_cycles, _WAVEFORM_CHUNK if wave else _CHUNK, progress, window)
        self._driver = RegisterDriver(self._bus, config, idle=self._bus.idle, interrupt=True)

    def _emitted(self, config: Config) -> Emitted:
        """What is simulated."""
        return core_verilog(config)

    def _library(self, emitted: Emitted, waveform: str | None, threads: int) -> Path:
        """The built model."""
        return self._build(emitted, waveform, threads)

    def _build(
        self, emitted: Emitted, waveform: str | None, threads: int, train: Callable[[Path], object] | None = None
    ) -> Path:
        return build_model(
            emitted,
            bus_bytes=self.config.bus_bytes,
            waveform=waveform,
            threads=threads,
            name=f"{self.name}-{self.config.hash}",
            train=train,
        )

    def __enter__(self) -> "CycleSimulator":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and finish its waveform. More than once does no harm."""
        self._harness.close()

    def _execute(self, launch: Launch) -> Outcome:
        """Through the registers, as a board's driver does.

        Raises
        ------
        ProtocolError
            The core broke a rule of its buses.
        CycleLimit
            It took more than `max_cycles`. On-chip memories and DRAM stay as they were in that cycle; the core is
            reset.
        """
        try:
            outcome = self._driver.run(launch)
            if not self._harness.idle:
                raise ProtocolError("the core must end its transfers before it is done, and some are on their way")
            return outcome
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._harness.intact:
                self.counters = self._driver.counters()
            self._harness.reset()
            raise

    @property
    def max_cycles(self) -> int | None:
        """As given; a new limit counts from the next run on."""
        return self._bus.max_cycles

    @max_cycles.setter
    def max_cycles(self, limit: int | None) -> None:
        self._bus.max_cycles = limit

    def peek(self, memory: Memory, row: int = 0) -> np.ndarray:
        """A copy of an on-chip memory: uint8, shape (depth, cell_bytes), cells as in DRAM."""
        return np.concatenate([view.reshape(-1) for view in self._views(memory, row)]).reshape(self._shape(memory))

    def poke(self, memory: Memory, array: np.ndarray, row: int = 0) -> None:
        """Set an on-chip memory; `array` as from :meth:`peek`.

        Raises
        ------
        DeviceError
            Its shape or type is another.
        """
        if array.shape != self._shape(memory) or array.dtype != np.uint8:
            raise DeviceError(
                f"{memory.name} must be set from uint8 of shape {self._shape(memory)}, not {array.dtype} {array.shape}"
            )
        rest = np.ascontiguousarray(array).reshape(-1)
        for view in self._views(memory, row):
            view[:] = rest[: view.size].reshape(view.shape)
            rest = rest[view.size :]

    def events(self) -> np.ndarray:
        """What started and retired in the last run, with `trace`.

        Returns
        -------
        Structured array, fields `cycle` (counted from the launch), `index` (of the instruction), `engine` (an
        Engine), `retired` (0 started, 1 retired); in order of time.
        """
        events = self._harness.events()
        events["cycle"] -= self._bus.started
        return events

    def _shape(self, memory: Memory) -> tuple[int, int]:
        shape = memory_shape(self.config, memory)
        return shape.depth, shape.cell_bytes

    def _views(self, memory: Memory, row: int) -> list[np.ndarray]:
        banks = sorted((a for a in self._arrays if (a.memory, a.row) == (memory, row)), key=lambda a: a.bank)
        if not banks:
            raise DeviceError(f"{memory.name} must be asked for with a row that it has, not {row}")
        return [self._harness.view(bank) for bank in banks]


class FastCycleSimulator(CycleSimulator):
    """As :class:`CycleSimulator`, and several times as quick.

    Memories, products, sums and the vector engine's lanes are stand-ins for the Verilog, which give the same bits in
    the same cycles; control is the Verilog's. In waveforms, data is 0. See ``twins.py``.
    """

    name = "cycle-fast"

    def _emitted(self, config: Config) -> Emitted:
        return core_verilog(config, fast=True)

    def _library(self, emitted: Emitted, waveform: str | None, threads: int) -> Path:
        from .training import train

        watched = partial(train, self.config) if waveform is None and threads == 1 else None
        return self._build(emitted, waveform, threads, watched)


class _Bus:
    """The register page, and time: simulated cycles pass while the driver is idle.

    Members
    -------
    started
        The cycle of the last start.
    """

    def __init__(
        self,
        harness: Harness,
        max_cycles: int | None,
        chunk: int,
        progress: Callable[[int, int], object] | None,
        window: tuple[int, int] | None,
    ) -> None:
        self._harness = harness
        self._progress = progress
        self.max_cycles = max_cycles
        self._window = window
        self._longest = self._chunk = chunk
        self.started = 0
        self.read32 = harness.csr_read

    def write32(self, address: int, value: int) -> None:
        if address == register("CONTROL"):
            # No interrupt tells the end of a reset.
            self._chunk = self._longest if value & Control.START else _RESET_CHUNK
            if value & Control.START:
                self._harness.clear_events()
                self.started = self._harness.cycle
                if self._window is not None:
                    self._harness.show(*(self.started + cycle for cycle in self._window))
        self._harness.csr_write(address, value)

    def idle(self) -> None:
        """Up to the interrupt, in chunks between which Python may be interrupted."""
        chunk = self._chunk
        if self.max_cycles is not None:
            left = self.started + self.max_cycles - self._harness.cycle
            if left <= 0:
                raise CycleLimit(f"a run must end within max_cycles ({self.max_cycles}), and this one has not")
            chunk = min(chunk, left)
        self._harness.run(chunk)
        if self._progress is not None and self._chunk == self._longest:
            cycles = self._harness.cycle - self.started
            self._progress(self.read32(counter_address("instructions")), cycles)


def _check_options(
    latency: int, bandwidth: float | None, stalls: int | None, waveform: Path | None, threads: int
) -> None:
    if latency < 1:
        raise DeviceError(f"latency must be at least 1 cycle, not {latency}")
    if bandwidth is not None and not 0 < bandwidth < float("inf"):
        raise DeviceError(f"bandwidth must be above 0 bytes a cycle, not {bandwidth}")
    if stalls is not None and not 0 <= stalls < 1 << 63:
        raise DeviceError(f"stalls must be a seed from 0 to 2^63 - 1, not {stalls}")
    if threads < 1:
        raise DeviceError(f"threads must be at least 1, not {threads}")
    if waveform is None:
        return
    if waveform.suffix not in (".fst", ".vcd"):
        raise DeviceError(f"waveform must be a file name that ends in .fst or .vcd, not {str(waveform)!r}")
    if not waveform.absolute().parent.is_dir():
        raise DeviceError(f"waveform must be in a folder that exists, not in {waveform.parent}")
