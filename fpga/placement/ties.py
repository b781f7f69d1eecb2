"""Constants at the inputs of block RAM, multipliers and pads, which a design loses on its way through JSON.

nextpnr ties an input of such a site to 0 or 1 when it writes the configuration, if the cell has the port and the port
has no wire. A design that it has written and read again has no such ports: without ties, unused bits of an address or
the upper bits of an operand would float. So what is tied is asked of nextpnr by a design of those cells alone, as they
were before packing, each at the site that it has now.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .grid import is_logic
from .placed_design import Cell

__all__ = ["with_ties", "write_sites"]

_TIE = re.compile(r"enum: CIB\.J\w+MUX [01]")
_PLACED_BY_CONSTRAINTS = "TRELLIS_IO"


def write_sites(netlist: Path, cells: Iterable[Cell], target: Path) -> None:
    """Write to `target` those cells of `netlist` that are not logic, fixed where `cells` are."""
    content = json.loads(netlist.read_text(encoding="utf-8"))
    name, top = next(item for item in content["modules"].items() if int(item[1]["attributes"].get("top", "0"), 2))
    kept = {}
    for cell in cells:
        if is_logic(cell) or cell.name not in top["cells"]:
            continue
        kept[cell.name] = item = top["cells"][cell.name]
        if cell.type != _PLACED_BY_CONSTRAINTS:
            item["attributes"]["BEL"] = f"X{cell.x}/Y{cell.y}/{cell.bel}"
    names = {port: top["netnames"][port] for port in top["ports"] if port in top["netnames"]}
    sites = {"attributes": top["attributes"], "ports": top["ports"], "cells": kept, "netnames": names}
    target.write_text(json.dumps({"modules": {name: sites}}), encoding="utf-8")


def with_ties(routed: str, sites: str) -> str:
    """The configuration `routed` with the ties of `sites` that it lacks; both in Project Trellis' text format."""
    missing = {name: [line for line in lines if _TIE.fullmatch(line)] for name, lines in _sections(sites)}
    sections = list[str]()
    for name, lines in _sections(routed):
        ties = [tie for tie in missing.pop(name, []) if tie not in lines]
        sections.append("\n".join([name, *lines, *ties]))
    sections += ["\n".join([name, *ties]) for name, ties in missing.items() if ties]
    return "\n\n".join(sections) + "\n"


def _sections(configuration: str) -> Iterator[tuple[str, list[str]]]:
    """First line of each paragraph, which of a tile's is its name, and the others."""
    for paragraph in configuration.strip("\n").split("\n\n"):
        name, *lines = paragraph.split("\n")
        yield name, lines
