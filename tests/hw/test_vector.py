"""The vector engine with the real on-chip memories; DRAM, tokens and the other engines are the test's."""

import pytest
from amaranth import Cat, Module, Mux
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from tilewright.config import Config
from tilewright.hw.onchip import OnChipMemories, scratchpad_shapes
from tilewright.hw.scratchpad import ScratchpadReader, ScratchpadWriter, one_bank
from tilewright.hw.signatures import CellReadPort, CellWrite, engine_members
from tilewright.hw.vector import VectorEngine
from tilewright.isa.table import Memory, Opcode

SMALL = {"act_depth": 128, "wgt_depth": 2, "acc_depth": 64, "block_in": 4, "block_out": 4, "vector_lanes": 4,
         "bias_depth": 8, "scale_depth": 8, "tables": 1}  # fmt: skip
CONFIGS = {
    "two rows": {"rows": 2},
    "half the lanes": {"vector_lanes": 2, "tables": 2, "act_banks": 2},
    "a lane, short multiplier": {"vector_lanes": 1, "multiplier_bits": 16, "acc_banks": 1},
    "more out than in": {"block_out": 8, "vector_lanes": 4, "act_banks": 1},
    "more in than out": {"block_in": 16},
}

_READS = ("a_act", "a_acc", "b_act", "b_acc")
_WRITES = ("act_write", "acc_write")


class VectorBench(Component):
    """The engine and its memories.

    Members
    -------
    load, store
        Ways of the transfer engines into the memories, to fill and to read them.
    gemm_act, gemm_acc, gemm_acc_write
        The matrix engine's, which come first: what they take, the vector engine waits for. It reads a cycle after
        these are told.
    reads, writes
        Which of its operands it gets, and which memory it writes, in this cycle.
    strays
        It asks for an operand in a bank that it does not say it keeps.
    """

    def __init__(self, config):
        self.config, shapes = config, scratchpad_shapes(config)
        self.own = engine_members(Opcode.VECTOR)
        self.memory_ports = {
            "load": In(stream.Signature(CellWrite(config))),
            "store": In(CellReadPort(config)),
            "gemm_act": In(ScratchpadReader(shapes[Memory.ACT], config.block_in)),
            "gemm_acc": In(ScratchpadReader(shapes[Memory.ACC], 4 * config.block_out)),
            "gemm_acc_write": In(ScratchpadWriter(shapes[Memory.ACC], 4 * config.block_out)),
        }
        shown = {"reads": Out(len(_READS)), "writes": Out(len(_WRITES)), "strays": Out(1)}
        super().__init__({**self.own, **self.memory_ports, **shown})

    def elaborate(self, platform):
        m = Module()
        shapes = scratchpad_shapes(self.config)
        m.submodules.memories = memories = OnChipMemories(self.config)
        m.submodules.engine = engine = VectorEngine(
            self.config, act=shapes[Memory.ACT], acc=shapes[Memory.ACC], bias=shapes[Memory.BIAS],
            scale=shapes[Memory.SCALE],
        )  # fmt: skip
        for name in ("load", "store", "gemm_acc_write"):
            connect(m, flipped(getattr(self, name)), getattr(memories, name))
        for name in ("gemm_act", "gemm_acc"):
            told, coming = getattr(self, name).request, getattr(engine, name)
            asked = getattr(memories, name).request
            m.d.comb += coming.eq(Mux(told.valid, one_bank(told.payload, len(coming)), 0))
            m.d.sync += [asked.valid.eq(told.valid), asked.payload.eq(told.payload)]
        for name in _READS:
            connect(m, getattr(engine, name), getattr(memories, name))
        for mine, theirs in (("bias_read", "bias"), ("scale_read", "scale")):
            connect(m, getattr(engine, mine), getattr(memories, theirs))
        for name in _WRITES:
            connect(m, getattr(engine, name), getattr(memories, f"vector_{name}"))
        m.d.comb += [
            memories.table_enable.eq(engine.table_enable),
            memories.table_address.eq(engine.table_address),
            engine.table_entry.eq(memories.table_entry),
        ]
        strays = []
        for name in _READS:
            request, kept = getattr(engine, name).request, getattr(engine, f"keeps_{name[2:]}")
            strays.append(request.valid & ~(one_bank(request.payload, len(kept)) & kept).any())
            m.d.comb += getattr(memories, f"vector_{name[2:]}").eq(kept)
        m.d.comb += self.strays.eq(Cat(strays).any())
        for member, flow in self.own.items():
            inner, outer = getattr(engine, member), getattr(self, member)
            if not flow.is_port:
                connect(m, inner, flipped(outer))
            elif flow.flow is Out:
                m.d.comb += outer.eq(inner)
            else:
                m.d.comb += inner.eq(outer)
        for names, shown in ((_READS, self.reads), (_WRITES, self.writes)):
            requests = [getattr(engine, name).request for name in names]
            m.d.comb += shown.eq(Cat(request.valid & request.ready for request in requests))
        return m


@pytest.mark.parametrize("name", CONFIGS)
def test_vector(simulate, name):
    config = Config(**{**SMALL, **CONFIGS[name]})
    simulate(VectorBench(config), "cocotb_vector", CONFIG=config.to_toml())
