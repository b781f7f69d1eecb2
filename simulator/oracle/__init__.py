"""The oracle: what every instruction means, in NumPy, written from docs/isa.md and nothing else."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ...config import Config
from ...errors import DeviceError
from ...isa.instruction import Instruction
from ...isa.launch import Launch, Outcome
from ...isa.memories import memory_shape
from ...isa.table import INSTRUCTION_BYTES, ErrorCode, Memory, Opcode
from ..attached import AttachedSimulator
from ..dram import Dram
from .fault import Fault
from .gemm import gemm
from .legality import decode_legal
from .memories import Memories
from .order import run_program
from .transfers import load, store
from .vector import vector

__all__ = ["OracleSimulator"]


class OracleSimulator(AttachedSimulator):
    """A device without time.

    Parameters
    ----------
    config
        The core that is meant.
    dram
        The memory it is attached to; its own where None.
    progress
        Called after every instruction with how many the run has carried out, and 0, since no time passes.
    together
        Steps of a nest that are computed at once. The result does not depend on it; 1 is the
        plainest reading of the manual.

    Members
    -------
    memories
        The on-chip memories, open to everyone.
    """

    name = "oracle"

    def __init__(
        self,
        config: Config,
        *,
        dram: Dram | None = None,
        progress: Callable[[int, int], object] | None = None,
        together: int = 1 << 14,
    ) -> None:
        super().__init__(config, dram)
        self.memories = Memories(config)
        self._progress = progress
        self._together = together

    def _execute(self, launch: Launch) -> Outcome:
        """A deadlock ends with WATCHDOG even where the watchdog is off: here no time passes."""
        carried_out = 0

        def execute(instruction: Instruction) -> None:
            nonlocal carried_out
            self._carry_out(launch, instruction)
            carried_out += 1
            if self._progress is not None:
                self._progress(carried_out, 0)

        fetch = partial(self._fetch, launch)
        try:
            return run_program(self.config, launch.count, fetch=fetch, execute=execute)
        except KeyboardInterrupt:
            self.counters = {"instructions": carried_out}
            raise

    def _fetch(self, launch: Launch, index: int) -> Instruction:
        try:
            raw = self.read(launch.program + INSTRUCTION_BYTES * index, INSTRUCTION_BYTES)
        except DeviceError:
            raise Fault(ErrorCode.BUS_READ) from None
        return decode_legal(raw.tobytes())

    def _carry_out(self, launch: Launch, instruction: Instruction) -> None:
        match instruction.opcode:
            case Opcode.LOAD:
                load(self.memories, self.dram, launch, instruction)
            case Opcode.STORE:
                store(self.memories, self.dram, launch, instruction)
            case Opcode.GEMM:
                gemm(self.memories, instruction, self._together)
            case Opcode.VECTOR:
                vector(self.memories, instruction, self._together)

    def peek(self, memory: Memory, row: int = 0) -> np.ndarray:
        """uint8, shape (depth, cell_bytes), a copy."""
        return self._cells(memory, row).copy()

    def poke(self, memory: Memory, array: np.ndarray, row: int = 0) -> None:
        """Replace one copy of `memory`: uint8, shape (depth, cell_bytes)."""
        cells = self._cells(memory, row)
        if array.shape != cells.shape or array.dtype != np.uint8:
            raise DeviceError(f"{memory.name} must be poked with uint8 {cells.shape}, not {array.dtype} {array.shape}")
        cells[:] = array

    def _cells(self, memory: Memory, row: int) -> np.ndarray:
        rows = memory_shape(self.config, memory).rows
        if not 0 <= row < rows:
            raise DeviceError(f"row of {memory.name} must be below {rows}, not {row}")
        cells: np.ndarray = self.memories.cells[memory][row]
        return cells

    def close(self) -> None:
        """Nothing is held."""
