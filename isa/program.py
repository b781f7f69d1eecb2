"""A compiled program: instructions, constants, memory plan, host code, and what the user passes in and gets out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from ..config import Config
from ..errors import ProgramError
from ..files import write_file
from . import container
from .container import OPTIONAL
from .instruction import Instruction, decode
from .registers import SEGMENT_ALIGNMENT
from .table import INSTRUCTION_BYTES, SEGMENTS, Opcode

__all__ = [
    "DTYPES", "Buffer", "Call", "HostCode", "Layer", "Program", "Resident", "Run", "Segment", "Tensor",
    "encode_instructions",
]  # fmt: skip

DTYPES = (
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "bool",
)  # fmt: skip
_LARGEST = (1 << 32) - 1


def encode_instructions(instructions: Sequence[Instruction]) -> np.ndarray:
    """uint8, shape (n, 64)."""
    raw = b"".join(instruction.encode() for instruction in instructions)
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, INSTRUCTION_BYTES)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ProgramError(message)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A DRAM segment; its place in the program's list is its number.

    Members
    -------
    size
        Bytes, at most 2^32 − 1.
    role
        ``constants``, ``activations`` or what else the compiler calls it.
    data
        Contents at the start, from offset 0; the rest starts as zeros.
    """

    name: str
    size: int
    role: str
    data: bytes = b""

    def __post_init__(self) -> None:
        _require(0 <= self.size <= _LARGEST, f"segment {self.name} must have 0 to {_LARGEST} bytes, not {self.size}")
        _require(
            len(self.data) <= self.size, f"segment {self.name} must hold its {len(self.data)} bytes, not {self.size}"
        )


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """A region of a segment; memory of the host only where `segment` is None."""

    name: str
    size: int
    segment: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("offset", self.offset)):
            _require(0 <= value <= _LARGEST, f"buffer {self.name}: {name} must be from 0 to {_LARGEST}, not {value}")


@dataclass(frozen=True, kw_only=True)
class Resident:
    """Where ACT holds a tensor in blocks of channels ``[N][blocks][H][W]``.

    Members
    -------
    base
        The granule with the first pixel of the first block.
    row, image
        Granules from a row of pixels to the next, and from a block to the next.
    """

    base: int
    row: int
    image: int


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output as the user sees it, or a layer's result.

    Members
    -------
    dtype
        A name from `DTYPES`.
    buffer
        Where it lies; empty where it is on chip alone.
    block
        0: dense, C order. Otherwise ``[N][ceil(C / block)][H][W][block]``, as the accelerator has it; shapes of fewer
        than four sizes lack N (a single one) or the last of them.
    resident
        Where it is on chip, for a result without a buffer.
    scale, zero_point
        What the integers mean; None where they mean themselves.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: str
    block: int = 0
    resident: Resident | None = None
    scale: float | None = None
    zero_point: int | None = None

    def __post_init__(self) -> None:
        _require(
            self.dtype in DTYPES, f"tensor {self.name}: dtype must be one of {', '.join(DTYPES)}, not {self.dtype}"
        )
        fits = len(self.shape) <= 32 and all(0 <= size <= _LARGEST for size in self.shape)
        _require(fits, f"tensor {self.name}: shape must have at most 32 sizes of 0 to {_LARGEST}")
        blocked = not self.block or (1 <= len(self.shape) <= 4 and 0 < self.block <= _LARGEST)
        _require(blocked, f"tensor {self.name}: a tensor in blocks must have 1 to 4 sizes, and blocks of 1 and more")

    @property
    def image(self) -> tuple[int, int, int, int]:
        """(N, C, H, W) of `shape`; what it lacks is 1."""
        shape = (1, *self.shape) if len(self.shape) == 1 else self.shape
        n, c, h, w = (*shape, *(1,) * (4 - len(shape)))
        return n, c, h, w

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Of the elements as they lie in the buffer."""
        if not self.block:
            return self.shape
        n, c, h, w = self.image
        return n, -(-c // self.block), h, w, self.block

    @property
    def nbytes(self) -> int:
        """Of the buffer."""
        return prod(self.stored_shape) * np.dtype(self.dtype).itemsize

    def from_stored(self, elements: np.ndarray) -> np.ndarray:
        """The array as the user sees it, from one of `stored_shape`."""
        if not self.block:
            return elements
        n, c, h, w = self.image
        unpacked = elements.transpose(0, 1, 4, 2, 3).reshape(n, -1, h, w)[:, :c]
        return np.ascontiguousarray(unpacked).reshape(self.shape)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Start the core on instructions [first, first + count); the last one is FINISH."""

    first: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """Call the host function ``void symbol(void **buffers)``; `arguments` names the buffers in that order."""

    symbol: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An operator of the model and what became of it, for reports.

    Members
    -------
    target
        ``accelerator`` or ``host``.
    macs
        Multiply-accumulates of the operator as the model states it.
    first, count
        Its instructions; for the host its steps.
    results
        What it computes, where that can be seen: it lies there when the layer is done, and until another layer takes
        the place.
    """

    name: str
    operator: str
    target: str
    macs: int
    first: int
    count: int
    results: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        known = self.target in ("accelerator", "host")
        _require(known, f"layer {self.name}: target must be accelerator or host, not {self.target}")


@dataclass(frozen=True, kw_only=True)
class HostCode:
    """Relocatable object code that defines `symbols`, for one LLVM triple and CPU."""

    triple: str
    cpu: str
    object: bytes
    symbols: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """All that a device needs to run a model.

    Parameters
    ----------
    instructions
        uint8, shape (n, 64); made read-only.
    segments
        At most 8; the place in the list is the segment's number.
    steps
        In the order in which they are executed.
    race_free
        Every run has been proven free of races (see :mod:`.races`).

    Raises
    ------
    ProgramError
        Parts do not fit together: a name is used twice or not defined, a range lies outside, a run
        does not end with FINISH.
    """

    config: Config
    instructions: np.ndarray
    segments: tuple[Segment, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    steps: tuple[Run | Call, ...] = ()
    layers: tuple[Layer, ...] = ()
    host: HostCode | None = None
    race_free: bool = field(default=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        shaped = self.instructions.dtype == np.uint8 and self.instructions.ndim == 2
        _require(
            shaped and self.instructions.shape[1] == INSTRUCTION_BYTES, "instructions must be uint8 of shape (n, 64)"
        )
        frozen = np.ascontiguousarray(self.instructions).view()
        frozen.flags.writeable = False
        object.__setattr__(self, "instructions", frozen)
        self._check_memory()
        self._check_steps()

    def _check_memory(self) -> None:
        _require(len(self.segments) <= SEGMENTS, f"a program must have at most 8 segments, not {len(self.segments)}")
        named = {
            "segment": [segment.name for segment in self.segments],
            "buffer": [buffer.name for buffer in self.buffers],
            "input": [tensor.name for tensor in self.inputs],
            "output": [tensor.name for tensor in self.outputs],
        }
        for kind, names in named.items():
            twice = (
                next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
            )
            _require(twice is None, f"{kind} names must differ, but {twice} is used twice")
        for buffer in self.buffers:
            if buffer.segment is None:
                continue
            _require(
                0 <= buffer.segment < len(self.segments),
                f"buffer {buffer.name} is in segment {buffer.segment}, not there",
            )
            end, size = buffer.offset + buffer.size, self.segments[buffer.segment].size
            _require(end <= size, f"buffer {buffer.name} must end within its segment of {size} bytes, not at {end}")
        sizes = {buffer.name: buffer.size for buffer in self.buffers}
        results = (tensor for layer in self.layers for tensor in layer.results if tensor.resident is None)
        for tensor in (*self.inputs, *self.outputs, *results):
            _require(
                tensor.buffer in sizes, f"tensor {tensor.name} lies in buffer {tensor.buffer}, which is not defined"
            )
            size = sizes[tensor.buffer]
            _require(
                tensor.nbytes <= size, f"tensor {tensor.name} of {tensor.nbytes} bytes must fit its buffer of {size}"
            )

    def _check_steps(self) -> None:
        names = {buffer.name for buffer in self.buffers}
        symbols = set(self.host.symbols) if self.host else set()
        for number, step in enumerate(self.steps):
            if isinstance(step, Call):
                _require(
                    step.symbol in symbols, f"step {number} calls {step.symbol}, which the host code does not define"
                )
                for name in step.arguments:
                    _require(name in names, f"step {number} passes buffer {name}, which is not defined")
                continue
            self._check_range(f"step {number}", step.first, step.count, len(self.instructions))
            last = step.first + step.count - 1
            ends = step.count > 0 and self.instructions[last, 0] & 0xF == Opcode.FINISH
            _require(bool(ends), f"step {number} must end with FINISH (instruction {last})")
        for layer in self.layers:
            end = len(self.instructions) if layer.target == "accelerator" else len(self.steps)
            self._check_range(f"layer {layer.name}", layer.first, layer.count, end)

    @staticmethod
    def _check_range(what: str, first: int, count: int, end: int) -> None:
        inside = first >= 0 and count >= 0 and first + count <= end
        _require(inside, f"{what} must lie within 0 to {end}, not {first} to {first + count}")

    @property
    def memory_bytes(self) -> int:
        """Bytes of a device's memory that it takes: segments and instructions, each aligned as a segment must be."""
        sizes = (*(segment.size for segment in self.segments), self.instructions.size)
        return sum(-(-size // SEGMENT_ALIGNMENT) * SEGMENT_ALIGNMENT for size in sizes)

    def decoded(self, run: Run | None = None) -> list[Instruction]:
        """The instructions of `run`, or all."""
        first, count = (run.first, run.count) if run else (0, len(self.instructions))
        rows = self.instructions[first : first + count]
        return [decode(row.tobytes(), where=f"instruction {first + n}") for n, row in enumerate(rows)]

    def layer_of(self, index: int) -> Layer | None:
        """The layer that lists instruction `index`; None where there is none."""
        on_core = (layer for layer in self.layers if layer.target == "accelerator")
        return next((layer for layer in on_core if layer.first <= index < layer.first + layer.count), None)

    def to_bytes(self) -> bytes:
        return container.pack(self)

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all.

        Raises
        ------
        ProgramError
            It can't be written.
        """
        write_file(Path(path), self.to_bytes(), "program file", error=ProgramError)

    @classmethod
    def from_bytes(cls, data: bytes, *, origin: str = "program") -> "Program":
        """The inverse of :meth:`to_bytes`; `origin` names it in errors.

        Raises
        ------
        ProgramError
            `data` is not a program file, of another version, damaged, or inconsistent.
        """
        return container.unpack(cls, data, origin)

    @classmethod
    def load(cls, path: str | Path) -> "Program":
        """Read a program file.

        Raises
        ------
        ProgramError
            As :meth:`from_bytes`, or the file can't be read.
        """
        return cls.from_bytes(container.read_file(Path(path)), origin=Path(path).name)
