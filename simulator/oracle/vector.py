"""What VECTOR means."""

from math import prod

import numpy as np

from ...isa.instruction import Instruction
from ...isa.nest import Access
from ...isa.table import VECTOR_DIMS, Function, Memory
from .arithmetic import clamp, requantise, wrap
from .memories import Memories
from .walk import at_points

__all__ = ["vector"]


def vector(memories: Memories, instruction: Instruction, together: int) -> None:
    """Run the nest, at most `together` steps at a time (the result does not depend on it).

    Results that are computed together read before any of them writes, which is right only as long
    as none reads what one before it wrote; so every stretch ends where that would happen.
    """
    operation = _Operation(memories, instruction)
    start, size = 0, together
    while start < operation.results:
        stop = min(start + max(size // operation.steps, 1), operation.results)
        length = operation.independent(np.arange(start, stop))
        operation.run(np.arange(start, start + length))
        size = min(2 * length * operation.steps, together)
        start += length


class _Operation:
    """A VECTOR split at `reduce`: results of the outer loops, steps of the inner ones."""

    def __init__(self, memories: Memories, instruction: Instruction) -> None:
        self.memories = memories
        self.config = memories.config
        self.of = instruction
        self.function = Function(instruction["function"])
        self.split = VECTOR_DIMS - instruction["reduce"]
        self.bounds = instruction.nest.bounds
        self.results = prod(self.bounds[: self.split])
        self.steps = prod(self.bounds[self.split :])
        self.last = self.steps - 1

    def addresses(self, access: Access, results: np.ndarray, step: int) -> np.ndarray:
        return at_points(access, self.bounds, results * self.steps + step)

    def vector_numbers(self, operand: str, results: np.ndarray, step: int) -> np.ndarray:
        memory = Memory(self.of[f"{operand}_memory"])
        addresses = self.addresses(self.of.access(operand), results, step)
        return self.memories.vector_numbers(memory, self.config.block_out, addresses)

    def read(self, operand: str, results: np.ndarray, step: int) -> np.ndarray:
        """int64, shape (rows, results, block_out)."""
        vectors = self.memories.vectors(Memory(self.of[f"{operand}_memory"]), self.config.block_out)
        return vectors[:, self.vector_numbers(operand, results, step)].astype(np.int64)

    def channel_cells(self, base: str, depth: int, results: np.ndarray) -> np.ndarray:
        return self.addresses(self.of.channel_access(base), results, self.last) % depth

    def independent(self, results: np.ndarray) -> int:
        """How many of `results`, at least 1, may run together from the first on."""
        if len(results) == 1:
            return 1
        written = self.vector_numbers("dst", results, self.last)
        order = np.arange(len(results))
        first_write = np.full(written.max() + 1, len(results))
        np.minimum.at(first_write, written, order)
        length = len(results)
        for operand, step in self.operands_read():
            if self.of[f"{operand}_memory"] != self.of["dst_memory"]:
                continue
            read = self.vector_numbers(operand, results, step)
            late = (read < len(first_write)) & (first_write[np.minimum(read, len(first_write) - 1)] < order)
            if late.any():
                length = min(length, int(late.argmax()))
        return length

    def operands_read(self) -> list[tuple[str, int]]:
        steps = range(self.steps)
        read = [("a", step) for step in steps] if self.function is not Function.ZERO else []
        if self.function is Function.MAC:
            return read + [("b", step) for step in steps]
        return read + ([("b", self.last)] if self.of["residual"] else [])

    def run(self, results: np.ndarray) -> None:
        y = self.finish(self.reduce(results), results)
        if self.of["dst_memory"] == Memory.ACT:
            y = self.narrow(y)
        vectors = self.memories.vectors(Memory(self.of["dst_memory"]), self.config.block_out)
        destinations = self.vector_numbers("dst", results, self.last)
        # Where results share a destination the last one stays.
        kept = len(results) - 1 - np.unique(destinations[::-1], return_index=True)[1]
        for row in range(self.config.rows):
            if self.of["row_mask"] >> row & 1:
                vectors[row, destinations[kept]] = y[row, kept]

    def reduce(self, results: np.ndarray) -> np.ndarray:
        """t after the last step: int64, shape (rows, results, block_out)."""
        t = np.zeros((self.config.rows, len(results), self.config.block_out), dtype=np.int64)
        if self.function is Function.ZERO:
            return t
        for step in range(self.steps):
            a = wrap(self.read("a", results, step) - self.of["a_zero"])
            match self.function:
                case Function.SUM:
                    t = wrap(t + a)
                case Function.MAX:
                    t = a if step == 0 else np.maximum(t, a)
                case Function.MIN:
                    t = a if step == 0 else np.minimum(t, a)
                case Function.MAC:
                    b = self.read("b", results, step) - self.of["b_zero"]
                    t = wrap(t + wrap(a, 9) * wrap(b, 9))
        return t

    def finish(self, t: np.ndarray, results: np.ndarray) -> np.ndarray:
        """Bias, scale and residual."""
        if self.of["bias_enable"]:
            t = wrap(t + self.memories.bias[self.channel_cells("bias_base", self.config.bias_depth, results)])
        if self.of["scale_enable"]:
            if self.of["scale_shared"]:
                cells = np.full(results.shape, self.of["scale_base"] % self.config.scale_depth)
            else:
                cells = self.channel_cells("scale_base", self.config.scale_depth, results)
            t = requantise(t, self.memories.scale[cells], self.config.multiplier_bits)
        if self.of["residual"]:
            t = wrap(t + self.read("b", results, self.last))
        return t

    def narrow(self, y: np.ndarray) -> np.ndarray:
        """Zero point, clamp and table, towards ACT."""
        z = clamp(y + self.of["zero_point"], self.of["minimum"], self.of["maximum"])
        if not self.of["table_enable"]:
            return z
        return self.memories.table[256 * (self.of["table"] % self.config.tables) + z + 128]
