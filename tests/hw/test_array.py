"""The multiplier array against NumPy."""

from collections import deque

import numpy as np
import pytest
from tilewright.config import Config
from tilewright.hw.array import MultiplierArray, array_latency


def packed(values):
    return int.from_bytes(np.asarray(values, np.int8).tobytes(), "little")


@pytest.mark.parametrize(("rows", "block_in", "block_out"), [(1, 4, 4), (2, 8, 4), (1, 16, 4), (2, 32, 4), (1, 64, 4)])
def test_dot_products(testbench, rows, block_in, block_out):
    config = Config(rows=rows, block_in=block_in, block_out=block_out, vector_lanes=4)
    rng = np.random.default_rng(block_in)
    array = MultiplierArray(config)

    def operands(step):
        """Extremes first: the greatest and the smallest possible sums must fit."""
        if step < 4:
            a, w = [(-128, -128), (-128, 127), (127, -128), (127, 127)][step]
            return np.full((rows, block_in), a), np.full((block_out, block_in), w)
        return rng.integers(-128, 128, (rows, block_in)), rng.integers(-128, 128, (block_out, block_in))

    async def body(context):
        waiting = deque()
        for step in range(60):
            act, wgt = operands(step)
            valid = step < 8 or rng.random() < 0.7
            context.set(array.valid, bool(valid))
            context.set(array.act, [packed(row) for row in act])
            context.set(array.wgt, packed(wgt))
            waiting.append(act @ wgt.T if valid else None)
            if len(waiting) > array_latency(config):
                expected = waiting.popleft()
                sums = context.get(array.sums)
                if expected is not None:
                    assert [[sums[r][o] for o in range(block_out)] for r in range(rows)] == expected.tolist()
            await context.tick()

    testbench(array, body)
