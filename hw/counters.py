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
    """Counts while `running`; `clear` begins anew.

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
        written = Signal(range(self._config.bus_bytes + 1))
        m.d.sync += written.eq(sum(self.write_strobe[1:], self.write_strobe[0]))
        steps: dict[str, Any] = {
            "cycles": 1,
            "instructions": sum(self.retired[1:], self.retired[0]),
            "bytes_read": self.read_beat * self._config.bus_bytes,
            "bytes_written": written,
        }
        for engine in ENGINES:
            activity = getattr(self, engine.name.lower())
            for what in ("busy", "token", "memory", "bank"):
                steps[f"{engine.name.lower()}_{what}"] = getattr(activity, what)
        for n, name in enumerate(COUNTERS):
            count = Signal(COUNTER_BITS, name=f"count_{name}")
            m.d.comb += self.values[n].eq(count)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(self.running):
                m.d.sync += count.eq(count + steps[name])
        return m
