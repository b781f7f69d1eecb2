"""Instruction fetch behind the memory port."""

import pytest
from amaranth import Module
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from tilewright.config import Config
from tilewright.hw.fetch import Fetch
from tilewright.hw.layout import INDEX_BITS, queued
from tilewright.hw.port import MemoryPort
from tilewright.hw.signatures import Axi4, Fault
from tilewright.isa.table import Opcode

CONFIGS = {
    "64-bit bus": {},
    "128-bit bus": {"bus_bits": 128, "burst_beats": 4},
    "512-bit bus": {"bus_bits": 512, "burst_beats": 16},
    "single beats": {"burst_beats": 1, "reads_outstanding": 1},
}


class FetchBench(Component):
    """Fetch and the memory port."""

    def __init__(self, config):
        self.config = config
        self.inputs = {"start": 1, "base": config.address_bits, "count": 32, "halt": 1, "engines_idle": 1}
        self.outputs = {"finished": 1, "active": 1, "index": INDEX_BITS, "dispatched": 1}
        queues = {
            name: Out(stream.Signature(queued(Opcode[name.upper()]))) for name in ("load", "gemm", "vector", "store")
        }
        super().__init__(
            {
                "m_axi": Out(Axi4(config)),
                "idle": Out(1),
                "fault": Out(Fault()),
                **queues,
                **{name: In(width) for name, width in self.inputs.items()},
                **{name: Out(width) for name, width in self.outputs.items()},
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = MemoryPort(self.config)
        m.submodules.fetch = fetch = Fetch(self.config)
        connect(m, flipped(self.m_axi), port.m_axi)
        connect(m, fetch.port, port.fetch)
        for name in ("fault", "load", "gemm", "vector", "store"):
            connect(m, getattr(fetch, name), flipped(getattr(self, name)))
        m.d.comb += self.idle.eq(port.idle)
        m.d.comb += [getattr(fetch, name).eq(getattr(self, name)) for name in self.inputs]
        m.d.comb += [getattr(self, name).eq(getattr(fetch, name)) for name in self.outputs]
        return m


@pytest.mark.parametrize("name", CONFIGS)
def test_fetch(simulate, name):
    config = Config(**CONFIGS[name])
    simulate(FetchBench(config), "cocotb_fetch", CONFIG=config.to_toml())
