"""Starts, stops and resets the core, and keeps the first error."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from ..isa.table import ErrorCode
from .layout import INDEX_BITS
from .signatures import Fault

__all__ = ["Supervisor"]

_QUIET_CYCLES = 16
_BLAME_CYCLES = 8


class Supervisor(Component):
    """The state of a run.

    Parameters
    ----------
    sources
        Who can report a fault; the first listed wins where several do in the same cycle.

    Members
    -------
    start, soft_reset
        Requests from the registers. A start is ignored while the core runs or holds an error.
    finished
        The program has ended.
    <source>
        Fault of each source.
    progress, oldest
        Something moved in this cycle; the index to blame where nothing has for _BLAME_CYCLES.
    watchdog
        Cycles without progress that are too many, also where it changes during a run; below _BLAME_CYCLES it
        counts as that, and 0 switches the watchdog off.
    bus_idle
        No transfer is outstanding.
    begin
        A pulse: clear what belongs to the last run and fetch.
    busy, done, error, code, index
        What the status registers show. After an error the core is busy until the bus is quiet.
    halt
        Nothing new may start.
    reset
        A pulse that resets everything but the registers.
    awake
        Something here may change at the next edge.
    """

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._sources = sources
        super().__init__(
            {
                "start": In(1), "soft_reset": In(1), "finished": In(1), "progress": In(1), "oldest": In(INDEX_BITS),
                "watchdog": In(32), "bus_idle": In(1), "begin": Out(1), "busy": Out(1), "done": Out(1),
                "error": Out(1), "code": Out(range(max(ErrorCode) + 1)), "index": Out(INDEX_BITS), "halt": Out(1),
                "reset": Out(1), "awake": Out(1), **{source: In(Fault()) for source in sources},
            }
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        running, resetting, barks = Signal(), Signal(), Signal()
        quiet = Signal(range(_QUIET_CYCLES + 1))
        settled = Signal()
        m.d.comb += [
            self.begin.eq(self.start & ~running & ~self.error & ~resetting),
            self.busy.eq(running | resetting),
            settled.eq(quiet == _QUIET_CYCLES),
            self.reset.eq(resetting & settled),
        ]
        with m.If(~self.halt | ~self.bus_idle):
            m.d.sync += quiet.eq(0)
        with m.Elif(~settled):
            m.d.sync += quiet.eq(quiet + 1)
        with m.If(self.begin):
            m.d.sync += [running.eq(1), self.done.eq(0)]
        with m.Elif(self.reset):
            m.d.sync += [running.eq(0), resetting.eq(0), self.done.eq(0), self.error.eq(0)]
            m.d.sync += self.halt.eq(0)
        with m.Elif(running & self.finished & ~self.error & ~barks):
            m.d.sync += [running.eq(0), self.done.eq(1)]
        with m.Elif(self.error & settled):
            m.d.sync += running.eq(0)
        with m.If(self.soft_reset):
            m.d.sync += [resetting.eq(1), self.halt.eq(1)]
        watching = self._catch(m, running, barks)
        asked = self.start | self.soft_reset | self.finished | self.halt
        m.d.comb += self.awake.eq(asked | (running & ~self.progress) | watching | quiet.any() | self._faults().any())
        return m

    def _faults(self) -> Any:
        return Cat(getattr(self, source).valid for source in self._sources)

    def _catch(self, m: Module, running: Signal, barks: Signal) -> Any:
        """Keeps the first fault, and that the watchdog `barks`; the result tells whether the watchdog counts.

        What would be kept is looked up in every cycle, whether or not there is something to keep.

        Progress is looked at a cycle late, and the count a cycle after it, being two ahead: so the engines have the
        whole cycle for the one, the comparison has it for the other.
        """
        still = Signal()
        cycles = Signal.like(self.watchdog, init=2)
        m.d.sync += still.eq(running & ~self.progress)
        with m.If(~still):
            m.d.sync += cycles.eq(2)
        with m.Elif(~cycles.all()):
            m.d.sync += cycles.eq(cycles + 1)
        late = Signal()
        m.d.sync += late.eq(still & self.watchdog.any() & (cycles >= self.watchdog) & (cycles >= _BLAME_CYCLES))
        m.d.sync += barks.eq(running & still & late & ~self.finished)
        code, index = Signal.like(self.code, name="code_q"), Signal.like(self.index, name="index_q")
        m.d.comb += [self.code.eq(Mux(self.error, code, ErrorCode.NONE)), self.index.eq(Mux(self.error, index, 0))]
        with m.If(~self.error):
            m.d.sync += [code.eq(ErrorCode.WATCHDOG), index.eq(self.oldest)]
            for source in reversed(self._sources):
                fault = getattr(self, source)
                with m.If(fault.valid):
                    m.d.sync += [code.eq(fault.code), index.eq(fault.index)]
        with m.If(running & ~self.halt & (self._faults().any() | barks)):
            m.d.sync += [self.error.eq(1), self.halt.eq(1)]
        return still | late | barks | (cycles != 2)
