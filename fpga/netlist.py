"""The synthesised netlist as a device: what the FPGA will be, simulated cell by cell."""

from pathlib import Path
from typing import Any

import numpy as np

from ..cache import cached_build
from ..config import Config
from ..errors import DeviceError
from ..isa.instruction import Instruction, finish, load, store
from ..isa.launch import Launch
from ..isa.memories import STORABLE, memory_shape
from ..isa.table import ErrorCode, Memory
from ..simulator.cycle import CycleSimulator
from ..simulator.cycle.model import TOP, Emitted
from ..toolchain import source_texts
from .families import FAMILIES
from .netlist_verilog import NETLIST_TOP, netlist_verilog
from .synthesis import require_yosys, synthesis_key, synthesise

__all__ = ["NetlistSimulator"]

_FAMILY = FAMILIES["ecp5"]
_INSTRUCTION_ROOM = 4096
_RUN_CELLS = 256
_BUILD_TIME = "five minutes or more"


class NetlistSimulator(CycleSimulator):
    """The core as Yosys makes it of an ECP5's cells, in place of its Verilog; options as those of the cycle simulator.

    Slower, and a first simulator takes some minutes to synthesise and build. On-chip memories are reached by programs:
    those that can't be stored can be set, but not read.

    Members
    -------
    readable
        Memories that :meth:`peek` reads.

    Raises
    ------
    DeviceError
        Yosys is not installed, or an option is out of range.
    """

    name = "netlist"
    readable = STORABLE

    def _emitted(self, config: Config) -> Emitted:
        require_yosys(_FAMILY)
        design = _verilog(config)
        takes = (
            f"Synthesising {config.name} for {_FAMILY.name} and building its simulator: {_BUILD_TIME}, and only once"
        )
        entry = cached_build(
            synthesis_key(design, _FAMILY, top=NETLIST_TOP, netlist=True),
            lambda work: synthesise(design, _FAMILY, work, top=NETLIST_TOP, netlist=True),
            name=f"netlist-{config.hash}",
            takes=takes,
        )
        return Emitted(netlist_verilog(entry, top=TOP, gated=_gated()), ())

    def peek(self, memory: Memory, row: int = 0) -> np.ndarray:
        """A copy of ACT or ACC: uint8, shape (depth, cell_bytes), cells as in DRAM.

        Raises
        ------
        DeviceError
            It is another memory.
        """
        if memory not in STORABLE:
            raise DeviceError(f"device netlist can read {' and '.join(m.name for m in STORABLE)}, not {memory.name}")
        shape = memory_shape(self.config, memory)
        _require_row(memory, row, shape.rows)
        move = store(memory=memory, row=row, **self._whole(memory))
        return self._moved(move, np.zeros((shape.depth, shape.cell_bytes), np.uint8))

    def poke(self, memory: Memory, array: np.ndarray, row: int = 0) -> None:
        """Set an on-chip memory; uint8, shape (depth, cell_bytes)."""
        shape = memory_shape(self.config, memory)
        _require_row(memory, row, shape.rows)
        if array.shape != (shape.depth, shape.cell_bytes) or array.dtype != np.uint8:
            raise DeviceError(
                f"{memory.name} must be set from uint8 of shape {(shape.depth, shape.cell_bytes)}, "
                f"not {array.dtype} {array.shape}"
            )
        self._moved(load(memory=memory, row_mask=1 << row, **self._whole(memory)), array)

    def _whole(self, memory: Memory) -> dict[str, Any]:
        """All cells of a memory, from the start of segment 0."""
        shape = memory_shape(self.config, memory)
        cells = min(shape.depth, _RUN_CELLS)
        return {
            "segment": 0,
            "offset": 0,
            "bounds": (shape.depth // cells, cells),
            "dram_strides": (cells * shape.cell_bytes,),
            "mem": (0, (cells, 1)),
        }

    def _moved(self, move: Instruction, content: np.ndarray) -> np.ndarray:
        """Run `move` on a segment that holds `content`; what it then holds. DRAM stays as it is."""
        text = np.frombuffer(move.encode() + finish().encode(), np.uint8)
        room = self.dram.bytes[: _INSTRUCTION_ROOM + content.size]
        before = room.copy()
        room[: text.size] = text
        room[_INSTRUCTION_ROOM:] = content.reshape(-1)
        base = self.dram.base
        outcome = self._execute(Launch(base, 2, ((base + _INSTRUCTION_ROOM, content.size),)))
        moved = room[_INSTRUCTION_ROOM:].reshape(content.shape).copy()
        room[:] = before
        if outcome.error is not ErrorCode.NONE:
            raise DeviceError(
                f"the netlist must copy its memories without error, but stopped with {outcome.error.name}"
            )
        return moved


def _require_row(memory: Memory, row: int, rows: int) -> None:
    if not 0 <= row < rows:
        raise DeviceError(f"{memory.name} must be asked for with a row that it has, not {row}")


def _verilog(config: Config) -> str:
    """The core alone, from the cache where it can be."""
    name = "core.v"

    def emit(work: Path) -> None:
        from ..hw.core import Core
        from ..hw.verilog import to_verilog

        (work / name).write_text(to_verilog(Core(config), name=NETLIST_TOP), encoding="utf-8")

    key: list[str | bytes] = [config.canonical_text, NETLIST_TOP, *source_texts("config.py", "isa", "hw")]
    return (cached_build(key, emit, name=f"core-{config.hash}") / name).read_text(encoding="utf-8")


def _gated() -> tuple[str, ...]:
    from ..hw.core import GATED

    return GATED
