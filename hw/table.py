"""TABLE: a byte for every address, read by all lanes at once."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from .signatures import log2

__all__ = ["TableMemory"]


class TableMemory(Component):
    """A read port for every lane of every row, READ_LATENCY cycles, and one write port.

    As in a scratchpad, a read meets the writes of its own cycle, and one in the cycle after spoils it.

    Members
    -------
    enable, address, entry
        Reads of all ports.
    write_enable, write_address, write_data
        One write.
    awake
        Something in it may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._ports = config.rows * config.vector_lanes
        bits = 8 + log2(config.tables)
        super().__init__(
            {
                "enable": In(1),
                "address": In(data.ArrayLayout(bits, self._ports)),
                "entry": Out(data.ArrayLayout(8, self._ports)),
                "write_enable": In(1),
                "write_address": In(bits),
                "write_data": In(8),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        asked, fresh = Signal(), Signal()
        m.d.sync += [asked.eq(self.enable), fresh.eq(asked)]
        m.d.comb += self.awake.eq(self.enable | asked | fresh | self.write_enable)
        if hasattr(platform, "get_table_cells"):
            m.submodules.cells = platform.get_table_cells(self)
            return m
        m.submodules.cells = cells = memory.Memory(shape=8, depth=256 * self.config.tables, init=[])
        write = cells.write_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
        ]
        for n in range(self._ports):
            read = cells.read_port()
            held = Signal(8, name=f"held{n}", reset_less=True)
            place = Signal.like(self.address[n], name=f"place{n}", reset_less=True)
            m.d.sync += place.eq(self.address[n])
            m.d.comb += [read.en.eq(asked), read.addr.eq(place), self.entry[n].eq(held)]
            with m.If(fresh):
                m.d.sync += held.eq(read.data)
        return m
