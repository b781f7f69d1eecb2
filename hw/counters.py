"""Performance counters."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.registers import COUNTERS
from ..isa.table import ENGINES
from .signatures import Activity

__all__ = ["COUNTER_BITS", "Counters"]

COUNTER_BITS = 48


class Counters(Component):
    """Counts while `running`; `clear` begins anew. What happens in a cycle shows in `values` three cycles later.

    Members
    -------
    <engine>
        Its Activity.
    retired
        Bit e: engine e retires an instruction.
    read_beat, write_strobe
        A word arrives from DRAM; bytes of a word that leaves for DRAM.
    values
        In the order of ``registers.COUNTERS``.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                "running": In(1),
                "clear": In(1),
                **{engine.name.lower(): In(Activity()) for engine in ENGINES},
                "retired": In(len(ENGINES)),
                "read_beat": In(1),
                "write_strobe": In(config.bus_bytes),
                "values": Out(data.ArrayLayout(COUNTER_BITS, len(COUNTERS))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        was_running, running, cleared = Signal(), Signal(name="ran"), Signal()
        m.d.sync += [
            was_running.eq(self.running & ~self.clear),
            running.eq(was_running & ~self.clear),
            cleared.eq(self.clear),
        ]

        def happened(name: str, events: Any) -> Any:
            """How many, two cycles later: what leads to events needs all of theirs, and so does their sum."""
            seen, later = (
                Signal(len(events), name=f"{name}_seen"),
                Signal(range(len(events) + 1), name=f"{name}_happened"),
            )
            m.d.sync += [seen.eq(events), later.eq(sum(seen[1:], seen[0]))]
            return later

        bus_bytes = self._config.bus_bytes
        steps: dict[str, Any] = {
            "cycles": 1,
            "instructions": happened("retired", self.retired),
            "bytes_read": happened("read", self.read_beat) * bus_bytes,
            "bytes_written": happened("written", self.write_strobe),
        }
        for engine in ENGINES:
            activity = getattr(self, engine.name.lower())
            for what in ("busy", "token", "memory", "bank"):
                name = f"{engine.name.lower()}_{what}"
                steps[name] = happened(name, getattr(activity, what))
        for n, name in enumerate(COUNTERS):
            count = Signal(COUNTER_BITS, name=f"count_{name}")
            m.d.comb += self.values[n].eq(count)
            with m.If(cleared):
                m.d.sync += count.eq(0)
            with m.Elif(running):
                m.d.sync += count.eq(count + steps[name])
        return m
