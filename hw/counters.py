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
    """Counts while `running`; `clear` begins anew. What happens in a cycle shows in `values` two cycles later.

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
        running = Signal(name="was_running")
        m.d.sync += running.eq(self.running & ~self.clear)

        def happened(name: str, value: Any, largest: int = 1) -> Any:
            """A cycle later: what leads to events needs all of theirs."""
            later = Signal(range(largest + 1), name=f"{name}_happened")
            m.d.sync += later.eq(value)
            return later

        bus_bytes = self._config.bus_bytes
        steps: dict[str, Any] = {
            "cycles": 1,
            "instructions": happened("retired", sum(self.retired[1:], self.retired[0]), len(ENGINES)),
            "bytes_read": happened("read", self.read_beat) * bus_bytes,
            "bytes_written": happened("written", sum(self.write_strobe[1:], self.write_strobe[0]), bus_bytes),
        }
        for engine in ENGINES:
            activity = getattr(self, engine.name.lower())
            for what in ("busy", "token", "memory", "bank"):
                name = f"{engine.name.lower()}_{what}"
                steps[name] = happened(name, getattr(activity, what))
        for n, name in enumerate(COUNTERS):
            count = Signal(COUNTER_BITS, name=f"count_{name}")
            m.d.comb += self.values[n].eq(count)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(running):
                m.d.sync += count.eq(count + steps[name])
        return m
