"""A design to an FPGA's cells with Yosys: what they are, and where each memory went."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from ..errors import DeviceError
from .families import Family, Resources
from .packing import pack_registers

__all__ = [
    "NETLIST_JSON", "PlacedMemory", "Synthesis", "read_synthesis", "require_yosys", "synthesis_key", "synthesise",
]  # fmt: skip

_YOSYS = "pyosys"
_WORDS_FOR_LUTS = 64  # four LUT memories deep; beyond that block RAM is the cheaper place
_LATCHES = ("$dlatch", "$adlatch", "$dlatchsr", "$sr")
_SCRIPT, _LOG = "synthesis.ys", "yosys.log"
_DESIGNS = {"verilog": "design.v", "rtlil": "design.il"}
NETLIST_JSON = "netlist.json"
_SPLIT_READS = "split_reads.v"
_SOFT_PRODUCT = "soft_product.v"
_COARSE, _MEMORIES, _MAPPED = "coarse.json", "memories.json", "mapped.json"

# Yosys prints to the process's own output and ends the process when it fails: it gets a process of its own.
# A limit on its memory keeps a design that is too much for it from taking the machine down.
_MEMORY_LIMIT = 8 << 30
_RUN = f"""\
import resource
from pyosys import libyosys
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY_LIMIT}, {_MEMORY_LIMIT}))
libyosys.run_pass('script {_SCRIPT}', libyosys.Design())
"""

# No engine depends on what a memory answers for a cell that is written in the same cycle. Unless it is said, Yosys
# surrounds every block RAM with logic that makes it the old contents. What is said of memories is heard where reads
# become ports; RTLIL has ports already, with a bit for each write port, of which no memory has more than one.
_PASSES = """\
read_{language} {design}
{collisions}
{copies}
{soft_products}
{synthesis} -run :{mapping}
tee -q -o {coarse} stat -json
select t:$mem_v2
write_json -selected {memories}
select -clear
techmap -map {split_reads} t:$mem_v2
{rest}
tee -q -o {mapped} stat -json
"""
_COLLISIONS = {
    "verilog": "setattr -set no_rw_check 1 m:*",
    "rtlil": "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i",
}
# Registers that hold the same as others, each beside what it is for: what a wire is told is told its flip-flop.
_COPIES = {"verilog": "", "rtlil": "setattr -set keep 1 w:* a:keep %i %ci t:$*dff* %i"}
# The array's products by the names of their registers (hw/array.py): back through the enable to the multiplication.
_SOFTEN = """\
hierarchy -top {top}
proc
flatten
opt_clean
select -set registers {registers}
select -set products @registers %ci*:+$dff[Q,D]:+$dffe[Q,D]:+$mux[Y,A,B]:+$mul[Y] t:$mul %i
select -assert-count {count} @products
wreduce @products
techmap -map {map} @products
select -assert-none @products t:$mul %i
opt_clean
"""
_PRODUCT = re.compile(r"\bproduct_(\d+)_(\d+)_(\d+)\b")
_WRITE_NETLIST = f"write_json {NETLIST_JSON}\n"

_PLACED = re.compile(r"^mapping memory (\S+?)(?::\d\d)? via \$__(\S+?)_?$", re.MULTILINE)
_IN_FLIP_FLOPS = re.compile(r"^using FF mapping for memory (\S+)$", re.MULTILINE)
_FLIP_FLOPS = "flip-flops"


@dataclass(frozen=True, kw_only=True)
class PlacedMemory:
    """A memory of the design and the kind of cell that it became.

    Members
    -------
    name
        Its path below the top module.
    words, word_bits, read_ports
        As the design describes it.
    cell
        Yosys' name of the memory cell, or "flip-flops".
    block
        It is in block RAM.
    """

    name: str
    words: int
    word_bits: int
    read_ports: int
    cell: str
    block: bool

    @property
    def accidental(self) -> bool:
        """In flip-flops, or in look-up tables although it is too deep for them."""
        return self.cell == _FLIP_FLOPS or (not self.block and self.words > _WORDS_FOR_LUTS)


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """A design in one family's cells.

    Members
    -------
    takes
        Resources, summed over the netlist.
    latches
        Level-sensitive storage bits that the description has; a mistake in it.
    cells
        How many of each kind the netlist has.
    unknown
        Kinds that the family's table does not know: `takes` does not count them.
    """

    takes: Resources
    latches: int
    memories: tuple[PlacedMemory, ...]
    cells: Mapping[str, int]
    unknown: tuple[str, ...]


def require_yosys(family: Family) -> None:
    """Raise DeviceError where Yosys is not installed."""
    if importlib.util.find_spec(_YOSYS) is None:
        raise DeviceError(
            f"synthesis for {family.name} must have Yosys, and the Python package {_YOSYS} is not installed: "
            "pip install 'tilewright[fpga]'"
        )


def synthesis_key(
    design: str, family: Family, *, top: str, language: str = "verilog", netlist: bool = False, soft_products: int = 0
) -> list[str]:
    """All that :func:`synthesise` depends on. Yosys must be installed."""
    script = _script(design, family, top, language, netlist, soft_products)
    packing = _text("packing.py") if netlist else ""
    return [design, script, _text(_SPLIT_READS), _text(_SOFT_PRODUCT), packing, f"{_YOSYS} {metadata.version(_YOSYS)}"]


def synthesise(
    design: str,
    family: Family,
    directory: Path,
    *,
    top: str,
    language: str = "verilog",
    netlist: bool = False,
    soft_products: int = 0,
) -> None:
    """Run Yosys; what :func:`read_synthesis` reads goes to the empty `directory`, with the log.

    Parameters
    ----------
    design
        Text in `language`, "verilog" or "rtlil".
    netlist
        Write the cells as well, to NETLIST_JSON.

    Raises
    ------
    DeviceError
        Yosys refuses the design. It must be installed.
    """
    (directory / _DESIGNS[language]).write_text(design, encoding="utf-8")
    for name in (_SPLIT_READS, _SOFT_PRODUCT):
        (directory / name).write_text(_text(name), encoding="utf-8")
    run_yosys(
        _script(design, family, top, language, netlist, soft_products), directory, what=f"{top} for {family.name}"
    )
    if netlist:
        pack_registers(directory / NETLIST_JSON, top=top)


def run_yosys(script: str, directory: Path, *, what: str) -> None:
    """Run Yosys on `script` in `directory`, where its log goes too.

    Raises
    ------
    DeviceError
        Yosys refuses the design, which is `what`.
    """
    (directory / _SCRIPT).write_text(script, encoding="utf-8")
    with (directory / _LOG).open("w", encoding="utf-8") as log:
        command = [sys.executable, "-P", "-c", _RUN]
        done = subprocess.run(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = (directory / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = next(
            (line for line in reversed(lines) if "ERROR" in line), f"nothing, and ends with status {done.returncode}"
        )
        raise DeviceError(f"yosys must accept {what}, but it says: {said}")


def read_synthesis(directory: Path, family: Family, *, top: str) -> Synthesis:
    """What :func:`synthesise` left in `directory`."""
    cells = _cell_counts(directory / _MAPPED)
    takes = Resources()
    for kind, count in cells.items():
        takes += family.cells.get(kind, Resources()) * count
    coarse = _cell_counts(directory / _COARSE)
    return Synthesis(
        takes=takes,
        latches=sum(coarse.get(kind, 0) for kind in _LATCHES),
        memories=_memories(directory, family, top),
        cells=cells,
        unknown=tuple(sorted(cells.keys() - family.cells.keys() - family.free)),
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _soften(design: str, top: str, count: int) -> str:
    """Passes that make `count` products soft: the last terms of each sum, so that every sum has about as many."""
    found = {match[0]: (int(match[3]), int(match[1]), int(match[2])) for match in _PRODUCT.finditer(design)}
    chosen = sorted(found, key=lambda name: found[name])[len(found) - count :]
    registers = " ".join(f"w:*{name}" for name in chosen)
    return _SOFTEN.format(top=top, registers=registers, count=count, map=_SOFT_PRODUCT) if count else ""


def _script(design: str, family: Family, top: str, language: str, netlist: bool, soft_products: int) -> str:
    synthesis = f"{family.command} -top {top} {family.options}"
    rest = f"{synthesis} -run {family.mapping}:"
    if family.luts:
        begin, end = family.luts
        rest = f"{rest}{begin}\n{family.look_up}{synthesis} -run {end}:"
    return (_PASSES + _WRITE_NETLIST * netlist).format(
        language=language,
        design=_DESIGNS[language],
        collisions=_COLLISIONS[language],
        copies=_COPIES[language],
        soft_products=_soften(design, top, soft_products),
        synthesis=synthesis,
        rest=rest,
        mapping=family.mapping,
        coarse=_COARSE,
        memories=_MEMORIES,
        split_reads=_SPLIT_READS,
        mapped=_MAPPED,
    )


def _cell_counts(path: Path) -> dict[str, int]:
    """Kinds of cells and how many; what Yosys keeps of the hierarchy is no cell."""
    text = path.read_text(encoding="utf-8")
    counts = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    return {kind: count for kind, count in counts.items() if kind != "$scopeinfo"}


def _memories(directory: Path, family: Family, top: str) -> tuple[PlacedMemory, ...]:
    log = (directory / _LOG).read_text(encoding="utf-8", errors="replace")
    became = dict(_PLACED.findall(log)) | dict.fromkeys(_IN_FLIP_FLOPS.findall(log), _FLIP_FLOPS)
    module = json.loads((directory / _MEMORIES).read_text(encoding="utf-8"))["modules"].get(top, {"cells": {}})
    found = []
    for cell_name, cell in module["cells"].items():
        parameters = cell["parameters"]
        name = parameters["MEMID"].removeprefix("\\")
        words, word_bits, read_ports = (int(parameters[key], 2) for key in ("SIZE", "WIDTH", "RD_PORTS"))
        copies = f"{top}.{cell_name}.{name}"  # of split_reads.v
        kind = became.get(f"{top}.{name}") or became.get(copies, _FLIP_FLOPS)
        found.append(
            PlacedMemory(
                name=name,
                words=words,
                word_bits=word_bits,
                read_ports=read_ports,
                cell=kind,
                block=kind.startswith(family.block_memories),
            )
        )
    return tuple(sorted(found, key=lambda memory: memory.name))
