"""The surroundings of the transfer engines in their tests: tokens, on-chip memories, DRAM, observers."""

from collections import deque

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_bench import Stream, axi_ram, begin, configuration, feed, generator, unpack, word
from tilewright.hw.signatures import READ_LATENCY, CellRead, CellWrite
from tilewright.isa.memories import ROW_MEMORIES, memory_shape, transfer_unit
from tilewright.isa.table import SEGMENTS, ErrorCode, Memory

CONFIG = configuration()
RAM_BYTES = 1 << 18
SOURCE, TARGET = (0x4000, 0x8000), (0x10040, 0x7FC3)


def fresh_memories(rng=None):
    shapes = {memory: memory_shape(CONFIG, memory) for memory in Memory}
    sizes = {memory: (shape.rows, shape.depth, shape.cell_bytes) for memory, shape in shapes.items()}
    if rng is None:
        return {memory: np.zeros(size, np.uint8) for memory, size in sizes.items()}
    return {
        memory: np.frombuffer(rng.randbytes(int(np.prod(size))), np.uint8).reshape(size)
        for memory, size in sizes.items()
    }


class Outside:
    """Tokens, on-chip memories and observers around both engines."""

    def __init__(self, dut, rng, share):
        self.dut, self.rng, self.share = dut, rng, share
        self.written, self.readable = fresh_memories(), fresh_memories(rng)
        self.retired = {"load": [], "store": []}
        self.started = {"load": [], "store": []}
        self.faults = {"load": [], "store": []}
        self.acquired = {"load": [], "store": []}
        self.released = {"load": [], "store": []}
        self.cell_writes = 0

    def drive(self, segments):
        """Inputs that stay, and the first values of the others."""
        for name in ("load", "store"):
            for signal in ("halt", "instruction__valid", "instruction__payload"):
                getattr(self.dut, f"{name}__{signal}").value = 0
            for part, values in (("base", [s[0] for s in segments]), ("limit", [s[1] for s in segments])):
                target = getattr(self.dut, f"{name}__segments__{part}")
                width = len(target) // SEGMENTS
                target.value = sum(value << width * number for number, value in enumerate(values))
            for link in ("acquire", "release"):
                getattr(self.dut, f"{name}__tokens__{link}__ready").value = 0
        self.dut.load__cells__ready.value = 0
        self.dut.store__cells__request__ready.value = 0
        self.dut.store__cells__valid.value = 0

    def start(self, tokens=True):
        for name in ("load", "store"):
            if tokens:
                cocotb.start_soon(self._tokens(name))
            cocotb.start_soon(self._watch(name))
        cocotb.start_soon(self._cell_writes())
        cocotb.start_soon(self._cell_reads())

    def _pause(self):
        return self.rng.random() < self.share

    async def _tokens(self, name):
        links = {
            "acquired": Stream(self.dut, f"{name}__tokens__acquire"),
            "released": Stream(self.dut, f"{name}__tokens__release"),
        }
        while True:
            await RisingEdge(self.dut.clk)
            for kind, link in links.items():
                if link.moves:
                    getattr(self, kind)[name].append(int(link.payload.value))
                link.ready.value = not self._pause()

    async def _watch(self, name):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            for kind in ("started", "retired"):
                if int(getattr(dut, f"{name}__{kind}").value):
                    getattr(self, kind)[name].append(int(getattr(dut, f"{name}__{kind}_index").value))
            if int(getattr(dut, f"{name}__fault__valid").value):
                code, index = (int(getattr(dut, f"{name}__fault__{part}").value) for part in ("code", "index"))
                self.faults[name].append((ErrorCode(code), index))

    async def _cell_writes(self):
        cells, layout = Stream(self.dut, "load__cells"), CellWrite(CONFIG)
        while True:
            await RisingEdge(self.dut.clk)
            if cells.moves:
                self._write_cell(unpack(layout, int(cells.payload.value)))
            cells.ready.value = not self._pause()

    def _write_cell(self, write):
        memory = Memory(write.memory)
        unit, shape = transfer_unit(CONFIG, memory), memory_shape(CONFIG, memory)
        start = write.part * unit
        content = np.frombuffer((write.data & ((1 << 8 * unit) - 1)).to_bytes(unit, "little"), np.uint8)
        rows = [r for r in range(shape.rows) if memory not in ROW_MEMORIES or write.row_mask >> r & 1]
        for row in rows:
            self.written[memory][row, write.address % shape.depth, start : start + unit] = content
        self.cell_writes += 1

    async def _cell_reads(self):
        dut, request, layout = self.dut, Stream(self.dut, "store__cells__request"), CellRead(CONFIG)
        answers = deque([None] * (READ_LATENCY - 1))
        while True:
            await RisingEdge(dut.clk)
            answers.append(self._read_cell(unpack(layout, int(request.payload.value))) if request.moves else None)
            answer = answers.popleft()
            dut.store__cells__valid.value = answer is not None
            dut.store__cells__data.value = self.rng.getrandbits(CONFIG.bus_bits) if answer is None else answer
            request.ready.value = not self._pause()

    def _read_cell(self, read):
        memory = Memory(read.memory)
        unit, shape = transfer_unit(CONFIG, memory), memory_shape(CONFIG, memory)
        cell = self.readable[memory][read.row % shape.rows, read.address % shape.depth]
        return int.from_bytes(cell[read.part * unit : (read.part + 1) * unit].tobytes(), "little")

    async def until_retired(self, counts, limit=40000):
        for _ in range(limit):
            if all(len(self.retired[name]) >= count for name, count in counts.items()):
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"retired {self.retired}, wanted {counts}")


async def setup(dut, *, seed, share, segments=((0, 0), SOURCE, TARGET)):
    rng = generator(seed)
    outside = Outside(dut, rng, share)
    ram = axi_ram(dut, RAM_BYTES, rng, share)
    image = np.frombuffer(rng.randbytes(RAM_BYTES), np.uint8).copy()
    ram.write(0, image.tobytes())
    outside.drive(segments)
    await begin(dut)
    outside.start()
    return rng, outside, ram, image


def send(dut, name, instructions, rng, share):
    words = [word(instruction, index) for index, instruction in enumerate(instructions)]
    return cocotb.start_soon(feed(dut, Stream(dut, f"{name}__instruction"), words, rng, share))
