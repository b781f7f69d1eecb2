"""Queues between streams: what comes out is what went in, and when."""

import random
from collections import deque

import pytest
from tilewright.hw.queue import Queue

KINDS = {
    "registers": {"shape": 3, "depth": 4},
    "two": {"shape": 40, "depth": 2},
    "memory": {"shape": 40, "depth": 5},
    "block memory": {"shape": 40, "depth": 5, "block_memory": True},
    "pauses": {"shape": 40, "depth": 5, "block_memory": True, "pauses": True},
}


@pytest.mark.parametrize("given", [1.0, 0.5])
@pytest.mark.parametrize("taken", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_order_room_and_rate(testbench, kind, given, taken):
    queue, rng = Queue(**KINDS[kind]), random.Random(1)
    options = KINDS[kind]
    late, pauses = 1 + options.get("block_memory", False), options.get("pauses", False)

    async def body(context):
        get, put = context.get, context.set
        inside, count, most = deque(), 0, 0
        popped_before = False
        for now in range(600):
            offered = rng.random() < given
            value = rng.getrandbits(options["shape"])
            put(queue.input.valid, offered)
            put(queue.input.payload, value)
            put(queue.output.ready, rng.random() < taken)
            assert get(queue.occupied) == bool(inside)
            if get(queue.output.valid):
                assert get(queue.output.payload) == inside[0][0]
                assert now >= inside[0][1] + late
                assert not (pauses and popped_before)
            elif inside and not popped_before and not pauses:
                assert now < inside[0][1] + late, "it shows as soon as it may"
            assert get(queue.input.ready) or len(inside) >= options["depth"] - 1
            popped_before = bool(get(queue.output.valid) and get(queue.output.ready))
            if popped_before:
                inside.popleft()
                count += 1
            if offered and get(queue.input.ready):
                inside.append((value, now))
            most = max(most, len(inside))
            await context.tick()
        assert most <= options["depth"]
        if given == taken == 1:
            assert count >= (290 if pauses else 590)

    testbench(queue, body)
