"""Load and store engines behind the memory port, against an AXI memory written by others."""

import pytest
from amaranth import Module
from amaranth.lib import stream
from amaranth.lib.wiring import Component, Out, Signature, connect, flipped
from tilewright.config import Config
from tilewright.hw.load import LoadEngine
from tilewright.hw.port import MemoryPort
from tilewright.hw.signatures import Axi4, CellReadPort, CellWrite, SegmentTable, engine_members
from tilewright.hw.store import StoreEngine
from tilewright.isa.table import SEGMENTS, Opcode

SMALL = {"act_depth": 256, "act_banks": 1, "acc_depth": 64, "acc_banks": 1, "wgt_depth": 32, "vector_lanes": 4}
CONFIGS = {
    "cells over a 64-bit bus": {"rows": 2},
    "small cells": {"block_in": 4, "block_out": 4, "rows": 2, "burst_beats": 4, "reads_outstanding": 2},
    "128-bit": {"bus_bits": 128, "burst_beats": 16, "block_in": 8},
    "512-bit": {"bus_bits": 512, "burst_beats": 64, "rows": 2},
    "512-bit, small cells": {"bus_bits": 512, "burst_beats": 8, "block_in": 4, "block_out": 4},
    "single beats": {"burst_beats": 1, "reads_outstanding": 1, "block_in": 4},
}


class TransferBench(Component):
    """Both engines on one port; tokens, cells and instructions are the test's."""

    def __init__(self, config):
        self.config = config
        segments = SegmentTable(config, SEGMENTS).flip()
        self.only = {
            "load": {**engine_members(Opcode.LOAD), "cells": Out(stream.Signature(CellWrite(config)))},
            "store": {**engine_members(Opcode.STORE), "cells": Out(CellReadPort(config))},
        }
        members = {name: Out(Signature({**own, "segments": Out(segments)})) for name, own in self.only.items()}
        super().__init__({"m_axi": Out(Axi4(config)), "idle": Out(1), **members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = MemoryPort(self.config)
        m.submodules.load = load = LoadEngine(self.config)
        m.submodules.store = store = StoreEngine(self.config)
        connect(m, flipped(self.m_axi), port.m_axi)
        connect(m, load.port, port.load)
        connect(m, store.port, port.store)
        m.d.comb += self.idle.eq(port.idle)
        for name, engine in (("load", load), ("store", store)):
            outside = getattr(self, name)
            for member, flow in outside.signature.members.items():
                inner, outer = getattr(engine, member), getattr(outside, member)
                if not flow.is_port:
                    connect(m, inner, flipped(outer))
                elif flow.flow is Out:
                    m.d.comb += outer.eq(inner)
                else:
                    m.d.comb += inner.eq(outer)
        return m


@pytest.mark.parametrize("name", CONFIGS)
def test_transfers(simulate, name):
    config = Config(**{**SMALL, **CONFIGS[name]})
    simulate(TransferBench(config), "cocotb_transfer", CONFIG=config.to_toml())
