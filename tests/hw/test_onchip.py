"""All on-chip memories, filled by the load engine's way in and seen by every way out."""

from collections import deque

import numpy as np
import pytest
from tilewright.config import Config
from tilewright.hw.onchip import OnChipMemories
from tilewright.hw.signatures import READ_LATENCY
from tilewright.isa.memories import ROW_MEMORIES, memory_shape, transfer_unit
from tilewright.isa.table import Memory

SMALL = {"act_depth": 16, "act_banks": 2, "wgt_depth": 4, "acc_depth": 8, "acc_banks": 2, "block_in": 4,
         "block_out": 4, "bias_depth": 4, "scale_depth": 4, "tables": 1, "vector_lanes": 4}  # fmt: skip
CONFIGS = {
    "square": {},
    "two rows, more in than out": {"rows": 2, "block_in": 8},
    "two rows, more out than in": {"rows": 2, "block_out": 8},
    "half the lanes": {"vector_lanes": 2},
    "bus as wide as a tile": {"bus_bits": 128},
}


class Memories:
    """The memories under test beside what they must hold."""

    def __init__(self, config, context, rng):
        self.config, self.context, self.rng = config, context, rng
        self.parts = OnChipMemories(config)
        self.held = {}
        for memory in Memory:
            shape = memory_shape(config, memory)
            self.held[memory] = np.zeros((shape.rows, shape.depth, shape.cell_bytes), np.uint8)

    async def load(self, memory, address, part, row_mask):
        """One part of a cell, of random bytes, into the rows of `row_mask`; the address may be beyond the depth."""
        unit = transfer_unit(self.config, memory)
        data = self.rng.bytes(self.config.bus_bytes)
        port, cells = self.parts.load, self.held[memory]
        fields = {"memory": memory, "row_mask": row_mask, "address": address, "part": part,
                  "data": int.from_bytes(data, "little")}  # fmt: skip
        self.context.set(port.payload, fields)
        self.context.set(port.valid, 1)
        assert self.context.get(port.ready)
        await self.context.tick()
        self.context.set(port.valid, 0)
        for row in range(len(cells)):
            if memory not in ROW_MEMORIES or row_mask >> row & 1:
                where = address % cells.shape[1], slice(part * unit, (part + 1) * unit)
                cells[row][where] = np.frombuffer(data[:unit], np.uint8)

    async def check_reader(self, name, memory, width):
        """Every unit of `memory`, one after another; answers READ_LATENCY later."""
        port, cells = getattr(self.parts, name), self.held[memory]
        wanted = cells.reshape(len(cells), -1, width)
        due = deque([None] * READ_LATENCY)
        for unit in [*range(wanted.shape[1]), *[None] * READ_LATENCY]:
            expected = due.popleft()
            if expected is not None:
                shown = self.context.get(port.data)
                for row in range(len(cells)):
                    assert shown[row].to_bytes(width, "little") == wanted[row, expected].tobytes(), (name, expected)
            self.context.set(port.request.valid, unit is not None)
            self.context.set(port.request.payload, unit or 0)
            assert unit is None or self.context.get(port.request.ready)
            due.append(unit)
            await self.context.tick()

    async def check_store(self):
        """ACT and ACC, mixed, as the store engine reads them."""
        port = self.parts.store
        places = [
            (memory, row, address, part)
            for memory in ROW_MEMORIES
            for row, address in np.ndindex(self.held[memory].shape[:2])
            for part in range(self.held[memory].shape[2] // transfer_unit(self.config, memory))
        ]
        self.rng.shuffle(places)
        due = deque([None] * READ_LATENCY)
        for place in [*places, *[None] * READ_LATENCY]:
            expected = due.popleft()
            assert self.context.get(port.valid) == (expected is not None)
            if expected is not None:
                assert self._part(*expected) == self._shown(Memory(expected[0])), expected
            self.context.set(port.request.valid, place is not None)
            if place is not None:
                memory, row, address, part = (int(each) for each in place)
                self.context.set(port.request.payload, {"memory": memory, "row": row, "address": address, "part": part})
            assert self.context.get(port.request.ready)
            due.append(place)
            await self.context.tick()

    def _part(self, memory, row, address, part):
        unit = transfer_unit(self.config, Memory(memory))
        return self.held[memory][row, address, part * unit : (part + 1) * unit].tobytes()

    def _shown(self, memory):
        unit = transfer_unit(self.config, memory)
        data = self.context.get(self.parts.store.data)
        return (data & ((1 << 8 * unit) - 1)).to_bytes(unit, "little")

    async def check_table(self):
        count = self.config.rows * self.config.vector_lanes
        for start in range(256):
            addresses = [(start + 5 * n) % 256 for n in range(count)]
            self.context.set(self.parts.table_address, addresses)
            self.context.set(self.parts.table_enable, 1)
            await self.context.tick()
            self.context.set(self.parts.table_enable, 0)
            for _ in range(READ_LATENCY - 1):
                await self.context.tick()
            entries = self.context.get(self.parts.table_entry)
            assert [entries[n] for n in range(count)] == self.held[Memory.TABLE][0, addresses, 0].tolist()


def reader_widths(config):
    lanes, cell = config.vector_lanes, 4 * config.block_out
    return {
        "gemm_act": (Memory.ACT, config.block_in),
        "a_act": (Memory.ACT, lanes),
        "b_act": (Memory.ACT, lanes),
        "gemm_acc": (Memory.ACC, cell),
        "a_acc": (Memory.ACC, 4 * lanes),
        "b_acc": (Memory.ACC, 4 * lanes),
        "gemm_wgt": (Memory.WGT, config.block_in * config.block_out),
        "bias": (Memory.BIAS, 4 * lanes),
        "scale": (Memory.SCALE, 8 * lanes),
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_every_way_in_and_out(testbench, name):
    config = Config(**{**SMALL, **CONFIGS[name]})
    memories = Memories(config, None, np.random.default_rng(1))

    async def body(context):
        memories.context = context
        rows = (1 << config.rows) - 1
        for memory, cells in memories.held.items():
            depth, parts = cells.shape[1], cells.shape[2] // transfer_unit(config, memory)
            for address in range(depth):
                for part in range(parts):
                    await memories.load(memory, address, part, rows)
            for _ in range(20):
                beyond = int(memories.rng.integers(1 << 16))
                part, mask = int(memories.rng.integers(parts)), int(memories.rng.integers(rows + 1))
                await memories.load(memory, beyond, part, mask)
        for reader, (memory, width) in reader_widths(config).items():
            await memories.check_reader(reader, memory, width)
        await memories.check_store()
        await memories.check_table()

    testbench(memories.parts, body)


def test_who_comes_first(testbench):
    """In one bank gemm is served before the vector engine, that before load and store. Reads of the two never meet."""
    config = Config(**SMALL)
    parts = OnChipMemories(config)
    readers = {"act": ["gemm_act", "a_act", "b_act", "store"], "acc": ["gemm_acc", "a_acc", "b_acc", "store"]}
    writers = {"act": ["vector_act_write", "load"], "acc": ["gemm_acc_write", "vector_acc_write", "load"]}

    def request(name):
        port = getattr(parts, name)
        return port if name == "load" else port.request

    async def only_free_banks(context):
        """The store engine has to do without a bank that the vector engine keeps, whether or not it asks."""
        for kind, memory in (("act", Memory.ACT), ("acc", Memory.ACC)):
            kept = getattr(parts, f"vector_{kind}")
            cells = memory_shape(config, memory).depth // len(kept)
            context.set(parts.store.request.p.memory, memory)
            for bank in range(len(kept)):
                context.set(parts.store.request.p.address, bank * cells)
                for banks in range(1 << len(kept)):
                    context.set(kept, banks)
                    assert context.get(parts.store.request.ready) == (not banks >> bank & 1)
            context.set(kept, 0)

    async def body(context):
        for group in (readers, writers):
            for memory, names in group.items():
                for name in ("load", "store"):
                    context.set(request(name).p.memory, Memory[memory.upper()])
                for chosen in range(1, 1 << len(names)):
                    asking = [name for n, name in enumerate(names) if chosen >> n & 1]
                    if group is readers and len({*asking} - {"store"}) > 1:
                        continue
                    for name in names:
                        context.set(request(name).valid, name in asking)
                    for kind in readers:
                        context.set(getattr(parts, f"vector_{kind}"), {f"a_{kind}", f"b_{kind}"} & {*asking} != set())
                    ready = [name for name in asking if context.get(request(name).ready)]
                    assert ready == asking[:1]
                for name in names:
                    context.set(request(name).valid, 0)
            if group is readers:
                await only_free_banks(context)

    testbench(parts, body)
