"""A Verilog shell around a core that lets the harness evaluate it once a cycle."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["SHELL", "Probe", "both_edges", "gated_parts", "shell_clocks", "shell_verilog"]

SHELL = "shell"

_PORTS = re.compile(r"\b(input|output)\b\s*(?:wire|reg)?\s*(\[\d+:0\])?\s*([\w\s,]+?)(?=[;)]|,\s*(?:input|output)\b)")
_CLOCK, _CLOCKS = "clk", "clocks__"
_Port = tuple[str, str, str]


@dataclass(frozen=True)
class Probe:
    """An output of the shell that shows a signal inside the core.

    Members
    -------
    place
        Instance names below the core, then the signal's, joined by dots.
    reduced
        Whether any of its bits is 1, instead of the bits.
    """

    name: str
    width: int
    place: str
    reduced: bool = False


def _ports(verilog: str, top: str) -> list[_Port]:
    """Direction, range and name of each port of module `top`."""
    start = re.search(rf"^ *module \\?{top} ?\(", verilog, re.MULTILINE)
    assert start
    body = verilog[start.start() : verilog.index("endmodule", start.start())]
    found = []
    for direction, size, names in _PORTS.findall(body):
        found += [(direction, f"{size} " if size else "", name.strip()) for name in names.split(",")]
    return found


def gated_parts(verilog: str, top: str) -> list[str]:
    """Parts of `top` that have clocks of their own."""
    names = (name for _, _, name in _ports(verilog, top))
    return [name.removeprefix(_CLOCKS) for name in names if name.startswith(_CLOCKS)]


def shell_clocks(verilog: str, top: str) -> list[str]:
    """Names of the clocks of :func:`shell_verilog`'s module: those of `top`, and one for each group of its inputs."""
    clocks, groups = _clocks_and_groups(_ports(verilog, top))
    return [*clocks, *(f"pins__{prefix}" for prefix in groups)]


def _clocks_and_groups(ports: Sequence[_Port]) -> tuple[list[str], dict[str, list[_Port]]]:
    """Clocks, and the other inputs by the prefixes of their names."""
    clocks = [name for _, _, name in ports if name == _CLOCK or name.startswith(_CLOCKS)]
    pins = sorted((p for p in ports if p[0] == "input" and p[2] not in clocks), key=lambda p: p[2])
    return clocks, {prefix: list(members) for prefix, members in groupby(pins, key=lambda p: p[2].partition("__")[0])}


def shell_verilog(verilog: str, top: str, probes: Sequence[Probe] = ()) -> str:
    """Module SHELL: `top`, each of whose inputs but the clocks comes from a register.

    An input of the shell is what the core's input becomes at the next edge. So a core's outputs follow from registers
    alone, and after each edge all of them are right: the simulator need not settle between a change of inputs and
    the edge. The registers of ``m_axi__*`` have the clock ``pins__m_axi``, and so on for each prefix.
    """
    ports = _ports(verilog, top)
    clocks, groups = _clocks_and_groups(ports)
    pins = [pin for members in groups.values() for pin in members]
    outputs = [p for p in ports if p[0] == "output"]
    lines = [f"input {name}" for name in shell_clocks(verilog, top)]
    lines += [f"{direction} {size}{name}" for direction, size, name in (*pins, *outputs)]
    lines += [f"output [{probe.width - 1}:0] {probe.name}" for probe in probes]
    text = f"module {SHELL}(\n  " + ",\n  ".join(lines) + "\n);\n"
    for prefix, members in groups.items():
        text += "".join(f"  reg {size}{name}_q;\n" for _, size, name in members)
        text += f"  always @(posedge pins__{prefix}) begin\n"
        text += "".join(f"    {name}_q <= {name};\n" for _, _, name in members)
        text += "  end\n"
    for probe in probes:
        place = ".".join(f"\\{part} " for part in ("core", *probe.place.split(".")))
        text += f"  assign {probe.name} = {'|' if probe.reduced else ''}{place};\n"
    joined = [f".{name}({name})" for name in (*clocks, *(name for _, _, name in outputs))]
    joined += [f".{name}({name}_q)" for _, _, name in pins]
    return text + f"  {top} core(\n    " + ",\n    ".join(joined) + "\n  );\nendmodule\n"


def both_edges(verilog: str) -> str:
    """Every clock counts at its rising and its falling edge: half as many evaluations."""
    return verilog.replace("@(posedge ", "@(edge ")
