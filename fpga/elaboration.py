"""A configuration's inventory as Yosys sees it after elaboration: seconds, where synthesis takes minutes."""

import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ..config import Config
from ..toolchain import source_texts
from .inventory import Inventory, MemoryUse, Multipliers
from .synthesis import run_yosys

__all__ = ["elaborate", "elaboration_key", "read_inventory"]

_RTLIL, _CELLS, _MEMORIES = "design.il", "cells.json", "memories.json"
_ELABORATION = f"""\
read_rtlil {_RTLIL}
hierarchy -top {{top}}
proc
flatten
opt_expr
opt_clean
opt -share_all
wreduce
opt_clean
memory_collect
opt_clean
tee -q -o {_CELLS} stat -width -json
select t:$mem_v2
write_json -selected {_MEMORIES}
"""
_KINDS = {
    "flip_flops": ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce", "$adff", "$adffe"),
    "adders": ("$add", "$sub", "$neg", "$lt", "$le", "$gt", "$ge"),
    "comparisons": ("$eq", "$ne", "$logic_not", "$logic_and", "$logic_or", "$reduce_and", "$reduce_or", "$reduce_bool"),
    "gates": ("$and", "$or", "$xor", "$xnor", "$not", "$reduce_xor"),
}
_SHIFTS = ("$shift", "$shiftx", "$shl", "$shr", "$sshl", "$sshr")


def elaboration_key(config: Config) -> Iterator[str | bytes]:
    """All that the elaboration of a core depends on. Yosys must be installed."""
    yield from (config.canonical_text, _ELABORATION)
    yield from source_texts("config.py", "isa", "hw")
    yield from (f"{tool} {metadata.version(tool)}" for tool in ("pyosys", "amaranth"))


def elaborate(rtlil: str, directory: Path, *, top: str) -> None:
    """Run Yosys on a design in RTLIL; what :func:`read_inventory` reads goes to the empty `directory`.

    Raises
    ------
    DeviceError
        Yosys refuses the design. It must be installed.
    """
    (directory / _RTLIL).write_text(rtlil, encoding="utf-8")
    run_yosys(_ELABORATION.format(top=top), directory, what=f"{top} for its inventory")
    (directory / _RTLIL).unlink()


def read_inventory(directory: Path, *, top: str) -> Inventory:
    """What :func:`elaborate` left in `directory`."""
    text = (directory / _CELLS).read_text(encoding="utf-8")
    cells: Mapping[str, int] = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    sums = dict.fromkeys((*_KINDS, "multiplexers", "shifters"), 0.0)
    multipliers = []
    for name, count in cells.items():
        kind, *numbers = name.split("_") if not name.startswith(("$logic", "$reduce", "$mem")) else _split(name)
        width = int(numbers[0]) if numbers else 0
        if kind == "$mul":
            multipliers.append(_multipliers(width, count))
        elif kind == "$mux":
            sums["multiplexers"] += count * width
        elif kind == "$pmux":
            sums["multiplexers"] += count * width * int(numbers[1])
        elif kind in _SHIFTS:
            sums["shifters"] += count * width * max((width - 1).bit_length(), 1)
        else:
            for quantity, kinds in _KINDS.items():
                if kind in kinds:
                    sums[quantity] += count * width
    return Inventory(**sums, multipliers=tuple(multipliers), memories=_memories(directory, top))


def _split(name: str) -> tuple[str, str]:
    """``$reduce_or_12``: the kind itself has an underscore."""
    kind, _, width = name.rpartition("_")
    return kind, width if width.isdigit() else "0"


def _multipliers(result: int, count: int) -> Multipliers:
    """From the result's width, the only one that is told: of equal factors, or of an accumulator by a multiplier."""
    accumulator = 32
    left = accumulator if result > accumulator + 4 else result // 2
    return Multipliers(left=left, right=result - left, count=count)


def _memories(directory: Path, top: str) -> tuple[MemoryUse, ...]:
    module = json.loads((directory / _MEMORIES).read_text(encoding="utf-8"))["modules"].get(top, {"cells": {}})
    found: dict[MemoryUse, int] = {}
    for cell in module["cells"].values():
        memory = _memory(cell)
        found[memory] = found.get(memory, 0) + 1
    return tuple(
        MemoryUse(words=m.words, bits=m.bits, read_ports=m.read_ports, granule=m.granule, count=count)
        for m, count in found.items()
    )


def _memory(cell: Mapping[str, Any]) -> MemoryUse:
    words, bits, read_ports = (int(cell["parameters"][key], 2) for key in ("SIZE", "WIDTH", "RD_PORTS"))
    enables = cell["connections"]["WR_EN"][:bits]
    changes = [n for n in range(1, len(enables)) if enables[n] != enables[n - 1]]
    granule = min((b - a for a, b in zip([0, *changes], [*changes, bits], strict=True)), default=bits)
    return MemoryUse(words=words, bits=bits, read_ports=read_ports, granule=granule)
