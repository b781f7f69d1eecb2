"""Memories of a device by name, as arrays and as text."""

from __future__ import annotations

import re

import numpy as np

from ..errors import ProgramError
from ..isa.memories import ROW_MEMORIES, memory_shape
from ..isa.program import Program
from ..isa.table import Memory
from .device import Simulator
from .machine_state import as_numbers
from .session import Session

__all__ = ["dump", "dump_all", "names", "require_known", "window"]

_BYTES = 16
_NAME = re.compile(r"(?P<memory>[A-Z]+)(?:\.(?P<row>\d+))?")


def names(program: Program) -> list[str]:
    """What :func:`dump` knows: on-chip memories, the program's segments, and its tensors in them."""
    tensors = [buffer.name for buffer in program.buffers if buffer.segment is not None]
    return [*(memory.name for memory in Memory), *(segment.name for segment in program.segments), *tensors]


def require_known(program: Program, name: str) -> None:
    """Raise where :func:`dump` would.

    Raises
    ------
    ProgramError
        There is no such memory, or it has no such row.
    """
    known = names(program)
    if name in known:
        return
    match = _NAME.fullmatch(name)
    if not match or match["memory"] not in Memory.__members__:
        raise ProgramError(f"a memory to dump must be one of {', '.join(known)}, not {name}")
    memory = Memory[match["memory"]]
    shape = memory_shape(program.config, memory)
    if memory not in ROW_MEMORIES:
        raise ProgramError(f"{memory.name} must be dumped without a row, for the rows share it, not as {name}")
    if int(match["row"]) >= shape.rows:
        raise ProgramError(f"row of {memory.name} must be below {shape.rows}, not {match['row']}")


def dump(session: Session, name: str) -> np.ndarray:
    """A copy of a memory of the session's device, as it is now.

    Parameters
    ----------
    name
        One of :func:`names`. ``ACT`` is every row, ``ACT.1`` row 1; segments and tensors are bytes.

    Returns
    -------
    On chip as :func:`.as_numbers`, ACT and ACC with the rows as one more axis in front unless one is named; else uint8.

    Raises
    ------
    ProgramError
        As :func:`require_known`.
    """
    require_known(session.program, name)
    match = _NAME.fullmatch(name)
    if match and match["memory"] in Memory.__members__:
        return _on_chip(session, Memory[match["memory"]], match["row"])
    for segment, (address, size) in zip(session.program.segments, session.segments, strict=True):
        if segment.name == name:
            return session.device.read(address, size)
    buffer = next(buffer for buffer in session.program.buffers if buffer.name == name)
    assert buffer.segment is not None
    return session.device.read(session.segments[buffer.segment][0] + buffer.offset, buffer.size)


def dump_all(session: Session) -> dict[str, np.ndarray]:
    """On-chip memories and segments by name."""
    segments = [segment.name for segment in session.program.segments]
    return {name: dump(session, name) for name in (*(memory.name for memory in Memory), *segments)}


def _on_chip(session: Session, memory: Memory, row: str | None) -> np.ndarray:
    device = session.device
    assert isinstance(device, Simulator)
    if row is not None:
        return as_numbers(device.config, memory, device.peek(memory, int(row)))
    rows = range(memory_shape(device.config, memory).rows)
    numbers = as_numbers(device.config, memory, np.stack([device.peek(memory, number) for number in rows]))
    return numbers if memory in ROW_MEMORIES else numbers[0]


def window(name: str, array: np.ndarray, first: int, last: int) -> str:
    """Cells `first` to `last` of :func:`dump`'s array of that name as text: a line each; of bytes, sixteen a line."""
    if array.dtype == np.uint8:
        lines = range(first, min(last + 1, len(array)), _BYTES)
        return "\n".join(f"{at:8}: {array[at : min(at + _BYTES, last + 1)].tobytes().hex(' ')}" for at in lines)
    rows = array if name in {memory.name for memory in ROW_MEMORIES} else array[None]
    shown = []
    for row, cells in enumerate(rows):
        label = f"{row}/" if len(rows) > 1 else ""
        for place, cell in enumerate(cells[first : last + 1], first):
            shown.append(f"{label + str(place):>8}: {' '.join(map(str, np.asarray(cell).reshape(-1).tolist()))}")
    return "\n".join(shown)
