"""TABLE: every lane reads its own address."""

import random
from collections import deque

import pytest
from tilewright.config import Config
from tilewright.hw.signatures import READ_LATENCY
from tilewright.hw.table import TableMemory


@pytest.mark.parametrize(("tables", "rows", "lanes"), [(1, 1, 4), (4, 2, 4)])
def test_lookups(testbench, tables, rows, lanes):
    config = Config(tables=tables, rows=rows, block_out=4, block_in=4, vector_lanes=lanes)
    table, rng = TableMemory(config), random.Random(tables)
    depth, ports = 256 * tables, rows * lanes

    async def body(context):
        contents = [rng.getrandbits(8) for _ in range(depth)]
        for address, value in enumerate(contents):
            context.set(table.write_enable, 1)
            context.set(table.write_address, address)
            context.set(table.write_data, value)
            await context.tick()
        answers = deque([None] * READ_LATENCY)
        for _ in range(500):
            enable, write = rng.random() < 0.7, rng.random() < 0.3
            addresses = [rng.randrange(depth) for _ in range(ports)]
            target, value = rng.randrange(depth), rng.getrandbits(8)
            context.set(table.enable, enable)
            context.set(table.address, addresses)
            context.set(table.write_enable, write)
            context.set(table.write_address, target)
            context.set(table.write_data, value)
            expected = answers.popleft()
            if expected is not None:
                shown = context.get(table.entry)
                for n, (address, entry) in enumerate(expected):
                    assert entry is None or shown[n] == entry, hex(address)
            await context.tick()
            if write:  # the reads of a cycle ago are looked up now
                contents[target] = value
                if answers[-1] is not None:
                    answers[-1] = [(a, None if a == target else entry) for a, entry in answers[-1]]
            answers.append([(a, contents[a]) for a in addresses] if enable else None)

    testbench(table, body)
