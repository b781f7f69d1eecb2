"""A bench for the oracle: random memories, and one segment of random bytes between guards."""

from collections.abc import Callable

import numpy as np
import pytest
from tilewright.config import Config, load_config
from tilewright.isa.instruction import Instruction, finish
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.memories import memory_shape
from tilewright.isa.table import ErrorCode, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

SEGMENT_BYTES = 1 << 14


class Bench:
    """An oracle with random memories and one segment of random bytes between guards."""

    def __init__(self, config: Config, together: int = 1 << 14) -> None:
        self.config = config
        self.core = OracleSimulator(config, dram=Dram(size=1 << 20), together=together)
        self.random = np.random.default_rng(5)
        for memory in Memory:
            shape = memory_shape(config, memory)
            for row in range(shape.rows):
                self.core.poke(memory, self.random.integers(0, 256, (shape.depth, shape.cell_bytes), np.uint8), row)
        self.core.dram.bytes[:] = 0xA5
        self.base = self.core.allocate(SEGMENT_BYTES)
        self.segment[:] = self.random.integers(0, 256, SEGMENT_BYTES, np.uint8)

    @property
    def segment(self) -> np.ndarray:
        return self.core.dram.view(self.base, SEGMENT_BYTES)

    def run(self, *program: Instruction | bytes, segments: int = 1) -> Outcome:
        code = b"".join(p if isinstance(p, bytes) else p.encode() for p in program)
        address = self.core.allocate(len(code))
        self.core.write(address, code)
        return self.core.run(Launch(address, len(program), ((self.base, SEGMENT_BYTES),) * segments))

    def ok(self, *program: Instruction) -> None:
        outcome = self.run(*program, finish())
        assert (outcome.error, outcome.index) == (ErrorCode.NONE, 0)
        assert outcome.counters["instructions"] == len(program)

    def act(self, row: int = 0) -> np.ndarray:
        return self.core.peek(Memory.ACT, row).view(np.int8).reshape(-1)

    def acc(self, row: int = 0) -> np.ndarray:
        return self.core.peek(Memory.ACC, row).view("<i4").astype(np.int64)

    def everything(self) -> bytes:
        return b"".join(cells.tobytes() for cells in self.core.memories.cells.values()) + self.core.dram.bytes.tobytes()


@pytest.fixture
def new_bench() -> type[Bench]:
    return Bench


@pytest.fixture(params=["tiny", "8x16", "16x8 rows 2"])
def bench(request: pytest.FixtureRequest) -> Bench:
    configs: dict[str, Callable[[], Config]] = {
        "tiny": lambda: load_config("tiny"),
        "8x16": lambda: load_config("8x16"),
        "16x8 rows 2": lambda: Config(
            block_in=16, block_out=8, vector_lanes=8, rows=2, act_depth=64, multiplier_bits=18
        ),
    }
    return Bench(configs[request.param]())
