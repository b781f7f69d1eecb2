"""Whole matrix products in the native simulator against a plain NumPy reading of the manual."""

from math import prod

import numpy as np
import pytest
from tilewright.config import Config, load_config
from tilewright.isa.instruction import Instruction, finish, gemm
from tilewright.isa.launch import Launch
from tilewright.isa.memories import memory_shape
from tilewright.isa.table import ErrorCode, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator

CONFIGS = {
    **{name: load_config(name) for name in ("vta-16", "tiny", "8x16", "wide-32")},
    "16x8": Config(name="16x8", rows=4, block_in=16, block_out=8, vector_lanes=4),
    "4x64": Config(name="4x64", rows=2, block_in=4, block_out=64, vector_lanes=4),
}
# Loops, and strides in words of block_in channels, tiles and cells.
SHAPES = {
    "convolution": ([3, 5, 7, 2, 3, 3], [0, 9, 1, 63, 9, 1], [18, 0, 0, 9, 3, 1], [35, 7, 1, 0, 0, 0], [3, 4, 5]),
    "reduction outermost": (
        [2, 3, 3, 5, 4, 4],
        [40, 9, 1, 0, 9, 1],
        [9, 3, 1, 18, 0, 0],
        [0, 0, 0, 16, 4, 1],
        [0, 1, 2],
    ),
    "fully connected": ([5, 40], [0, 1], [40, 1], [1, 0], [1]),
    "long reduction": ([2, 3, 31, 37], [1, 0, 3, 2], [0, 1, 1, 0], [3, 1, 0, 0], [2, 3]),
    "groups": ([6, 10, 4], [10, 1, 0], [4, 0, 1], [10, 1, 0], [2]),
    "backwards": ([9, 4, 6], [-3, 0, 1], [0, -6, 1], [-1, 20, 0], [2]),
    "overwrite in the middle": ([4, 3, 5], [1, 0, 4], [5, 1, 0], [0, 7, 1], [2]),
    "some cells overwritten": ([4, 3, 5], [1, 0, 4], [0, 5, 1], [1, 7, 0], [0, 2]),
    "same cell twice": ([3, 4, 5], [1, 4, 2], [0, 5, 1], [1, 1, 0], [2]),
    "one point": ([1], [5], [3], [2], [0]),
}


def expected(config: Config, start: dict[Memory, np.ndarray], instruction: Instruction) -> np.ndarray:
    """ACC afterwards: int32, shape (rows, depth, block_out)."""
    act = start[Memory.ACT].view(np.int8).reshape(config.rows, -1, config.block_in).astype(np.int64)
    wgt = start[Memory.WGT].view(np.int8).reshape(-1, config.block_out, config.block_in).astype(np.int64)
    acc = start[Memory.ACC].view(np.int32).astype(np.int64)
    nest, words = instruction.nest, config.block_in // config.granule
    places = (instruction.access(name).addresses(nest).reshape(-1) for name in ("act", "wgt", "acc"))
    masked = [d for d in range(6) if instruction["overwrite_mask"] >> d & 1]
    index = np.indices(nest.bounds).reshape(6, -1)
    first = (index[masked] == 0).all(axis=0) & (not instruction["accumulate"])
    for a, w, c, overwrite in zip(*places, first, strict=True):
        product = act[:, a // words] @ wgt[w].T
        acc[:, c] = product if overwrite else acc[:, c] + product
    return acc.astype(np.uint32).view(np.int32)


@pytest.mark.parametrize("accumulate", [False, True], ids=["overwrite", "accumulate"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONFIGS)
def test_product(name: str, shape: str, accumulate: bool) -> None:
    config = CONFIGS[name]
    bounds, act, wgt, acc, overwrite = SHAPES[shape]
    words = config.block_in // config.granule
    instruction = gemm(
        bounds=bounds,
        act=(30 * words, [step * words for step in act]),
        wgt=(25, wgt),
        acc=(10, acc),
        overwrite=overwrite,
        accumulate=accumulate,
    )
    rng = np.random.default_rng(prod(bounds))
    simulator = NativeSimulator(config, dram=Dram(size=4096))
    start = {}
    for memory in (Memory.ACT, Memory.WGT, Memory.ACC):
        kind = memory_shape(config, memory)
        start[memory] = rng.integers(0, 256, (kind.rows, kind.depth, kind.cell_bytes), np.uint8)
        for row in range(kind.rows):
            simulator.poke(memory, start[memory][row], row)
    simulator.write(simulator.dram.base, instruction.encode() + finish().encode())
    assert simulator.run(Launch(program=simulator.dram.base, count=2)).error is ErrorCode.NONE
    after = np.stack([simulator.peek(Memory.ACC, row).view(np.int32) for row in range(config.rows)])
    np.testing.assert_array_equal(after, expected(config, start, instruction))
    simulator.close()
