"""What there is to say about the first step after which two devices differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import Config
from ..isa.assembly import disassemble_line
from ..isa.instruction import Instruction
from ..isa.memories import memory_shape
from ..isa.nest import Access
from ..isa.program import Layer
from ..isa.table import Engine, ErrorCode, Memory, Opcode
from .machine_state import MachineState, Spot, as_numbers, differences

__all__ = ["Difference", "WritingPoint", "describe", "writing_point"]


@dataclass(frozen=True)
class WritingPoint:
    """A point of a nest that writes a cell.

    Members
    -------
    cell
        The cell, or byte of the segment, that it writes.
    indices, bounds
        Of every loop, outermost first.
    points
        How many points of the nest write that cell.
    """

    cell: int
    indices: tuple[int, ...]
    bounds: tuple[int, ...]
    points: int

    def __str__(self) -> str:
        first = next((d for d, bound in enumerate(self.bounds) if bound > 1), len(self.bounds))
        if first == len(self.bounds):
            return "the nest's only point"
        many = f", the first of {self.points} points that write this cell" if self.points > 1 else ""
        return f"nest indices {_tuple(self.indices[first:])} of bounds {_tuple(self.bounds[first:])}{many}"


@dataclass(frozen=True)
class Difference:
    """Two devices that were equal, and after one more instruction are not.

    Members
    -------
    index, instruction, layer
        The instruction, its place in the program, and the layer that lists it.
    names
        Of the devices.
    spot
        The memory, and all of its cells that differ; None where only the ends differ.
    cell, element
        The first cell to differ in the order of the nest, or else the lowest; and the place in it, as in the arrays of
        :func:`.as_numbers`.
    values
        What each device has there.
    point
        The point of the nest that wrote the cell; None where the instruction does not write there.
    others
        How many cells, of all memories, differ besides this one.
    ends
        Where a device stopped with an error, how each ended.
    """

    index: int
    instruction: Instruction
    layer: Layer | None
    names: tuple[str, str]
    spot: Spot | None
    cell: int = 0
    element: tuple[int, ...] = ()
    values: tuple[object, object] = (None, None)
    point: WritingPoint | None = None
    others: int = 0
    ends: tuple[str, str] | None = None

    def __str__(self) -> str:
        layer = f" of layer {self.layer.name} ({self.layer.operator})" if self.layer else ""
        lines = [f"first difference after instruction {self.index}{layer}:", f"  {disassemble_line(self.instruction)}"]
        if self.ends is not None:
            lines.append("  " + "; ".join(f"{name} {end}" for name, end in zip(self.names, self.ends, strict=True)))
        if self.spot is not None:
            one, other = (f"{name} has {value}" for name, value in zip(self.names, self.values, strict=True))
            lines.append(f"  {self.place}: {one}, {other}")
            lines.append(f"  {self.point or 'which this instruction does not write'}")
        if self.others:
            lines.append(f"  {self.others} more cells differ")
        return "\n".join(lines)

    @property
    def place(self) -> str:
        if self.spot is None:
            return "nowhere"
        if self.spot.memory is None:
            return f"byte {self.cell} of segment {self.spot.number}"
        inside = f"[{', '.join(map(str, self.element))}]" if self.element else ""
        return f"{self.spot.memory.name}{inside} of row {self.spot.number}, cell {self.cell}"


def describe(
    one: MachineState,
    other: MachineState,
    *,
    names: tuple[str, str],
    config: Config,
    index: int,
    instruction: Instruction,
    layer: Layer | None,
) -> Difference:
    """The difference between two states that differ, after `instruction`."""
    ends = None
    if (one.error, one.index) != (other.error, other.index):
        ends = _ended(one), _ended(other)
    spots = list(differences(one, other))
    if not spots:
        return Difference(index, instruction, layer, names, None, ends=ends)
    written = [(spot, writing_point(instruction, config, spot)) for spot in spots]
    spot, point = next(((spot, point) for spot, point in written if point is not None), written[0])
    cell = int(spot.cells[0]) if point is None else point.cell
    element, values = _values(config, spot, cell, one, other)
    others = sum(len(each.cells) for each in spots) - 1
    return Difference(index, instruction, layer, names, spot, cell, element, values, point, others, ends)


def _ended(state: MachineState) -> str:
    if state.error is ErrorCode.NONE:
        return "goes on"
    return f"stopped with {state.error.name} at instruction {state.index} of the run"


def _values(
    config: Config, spot: Spot, cell: int, one: MachineState, other: MachineState
) -> tuple[tuple[int, ...], tuple[object, object]]:
    """The place in the cell, and what both have there."""
    if spot.memory is None:
        return (), (int(one.segments[spot.number][cell]), int(other.segments[spot.number][cell]))
    mine, theirs = (
        as_numbers(config, spot.memory, state.on_chip[spot.memory, spot.number][cell : cell + 1])[0]
        for state in (one, other)
    )
    if not mine.shape:
        return (), (mine.item(), theirs.item())
    element = tuple(int(place) for place in np.argwhere(mine != theirs)[0])
    return element, (mine[element].item(), theirs[element].item())


def writing_point(instruction: Instruction, config: Config, spot: Spot) -> WritingPoint | None:
    """The first point of `instruction`, in its order, that writes one of the cells of `spot`."""
    found = _written(instruction, config, spot)
    if found is None:
        return None
    addresses, width, last = found
    starts = addresses - addresses % width if spot.memory is not None else addresses
    place = np.searchsorted(spot.cells, starts)
    nearest = spot.cells[np.minimum(place, len(spot.cells) - 1)]
    hits = np.flatnonzero(((nearest >= starts) & (nearest < starts + width)).reshape(-1))
    if not len(hits):
        return None
    cell = int(nearest.reshape(-1)[hits[0]])
    same = (starts <= cell) & (cell < starts + width)
    indices = [int(n) for n in np.unravel_index(hits[0], addresses.shape)]
    bounds = instruction.nest.bounds
    indices += [bound - 1 for bound in bounds[len(bounds) - last :]] if last else []
    return WritingPoint(cell, tuple(indices), bounds, int(same.sum()))


def _written(instruction: Instruction, config: Config, spot: Spot) -> tuple[np.ndarray, int, int] | None:
    """Addresses that are written in the memory of `spot`, by loop; how many cells each stands for; and how many of the

    innermost loops stand at their last iteration. None where it writes elsewhere.
    """
    nest, memory = instruction.nest, spot.memory
    if instruction.opcode is Opcode.STORE:
        if memory is not None or instruction["segment"] != spot.number:
            return None
        cell = memory_shape(config, Memory(instruction["memory"])).cell_bytes
        return Access(instruction.dram.base, (*instruction.dram.strides, cell)).addresses(nest), cell, 0
    if memory is None or instruction.engine in (None, Engine.STORE):
        return None
    depth = memory_shape(config, memory).depth
    if instruction.opcode is Opcode.LOAD and instruction["memory"] == memory:
        return instruction.access("mem").addresses(nest) % depth, 1, 0
    if instruction.opcode is Opcode.GEMM and memory is Memory.ACC:
        return instruction.access("acc").addresses(nest) % depth, 1, 0
    if instruction.opcode is Opcode.VECTOR and memory == (Memory.ACC if instruction["dst_memory"] else Memory.ACT):
        reduce = instruction["reduce"]
        last: Any = (..., *(-1,) * reduce)
        addresses = instruction.access("dst").addresses(nest)[last]
        return addresses % depth, config.block_out // config.granule if memory is Memory.ACT else 1, reduce
    return None


def _tuple(numbers: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, numbers))})"
