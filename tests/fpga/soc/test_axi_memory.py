"""The core's bus on block RAM, against others' AXI4 master, with a second user on the memory."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped
from tilewright.config import load_config
from tilewright.fpga.soc.arbiter import MemoryArbiter
from tilewright.fpga.soc.axi_memory import AxiMemory
from tilewright.fpga.soc.block_memory import BlockMemory
from tilewright.hw.signatures import Axi4

CONFIG = load_config("tiny")
BASE, SIZE = 0x4000_0000, 1 << 13


class MemorySystem(wiring.Component):
    def __init__(self):
        super().__init__({"axi": In(Axi4(CONFIG))})

    def elaborate(self, platform):
        m = Module()
        words, word_bytes = SIZE // CONFIG.bus_bytes, CONFIG.bus_bytes
        m.submodules.front = front = AxiMemory(CONFIG, base=BASE, size=SIZE)
        m.submodules.arbiter = arbiter = MemoryArbiter(address_bits=(words - 1).bit_length(), word_bytes=word_bytes)
        m.submodules.memory = memory = BlockMemory(words=words, word_bytes=word_bytes)
        connect(m, flipped(self.axi), front.axi)
        connect(m, front.memory, arbiter.second)
        connect(m, arbiter.memory, memory.bus)
        return m


def test_bursts(simulate):
    simulate(MemorySystem(), "cocotb_axi_memory", BASE=str(BASE), SIZE=str(SIZE), WORD=str(CONFIG.bus_bytes))
