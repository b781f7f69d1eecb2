"""The synthesised core as Verilog that simulates: its cells as what they do, its interface the core's own."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from .cell_model import ZERO, Cell
from .ecp5_models import MODELS
from .synthesis import NETLIST_JSON

__all__ = ["NETLIST_TOP", "netlist_verilog"]

NETLIST_TOP = "tilewright_netlist"
_NO_CELL = "$scopeinfo"
_WIRES_A_LINE = 16
_CONSTANTS = {"0": ZERO, "1": "1'b1", "x": ZERO, "z": ZERO}


def netlist_verilog(synthesised: Path, *, top: str, gated: tuple[str, ...] = ()) -> str:
    """Verilog with the one module `top`.

    Parameters
    ----------
    synthesised
        What :func:`synthesise` left, its top module NETLIST_TOP, of an ECP5's cells.
    gated
        Parts of which the interface has a clock and an `awake` each; here they are always awake and the clock unused.

    Raises
    ------
    DeviceError
        It has a cell, or a way to use one, for which there is no model.
    """
    module = json.loads((synthesised / NETLIST_JSON).read_text(encoding="utf-8"))["modules"][NETLIST_TOP]
    ports = module["ports"]
    declared = [f"{port['direction']} [{len(port['bits']) - 1}:0] {name}" for name, port in ports.items()]
    declared += [f"input clocks__{part}, output awake__{part}" for part in gated]
    body = [*_wires(module), *_joined_ports(ports), *_cells(module["cells"])]
    body += [f"assign awake__{part} = 1'b1;" for part in gated]
    head = ",\n  ".join(declared)
    return f"module {top}(\n  {head}\n);\n" + "\n".join(body) + "\nendmodule\n"


def _wire(bit: int | str) -> str:
    return _CONSTANTS[bit] if isinstance(bit, str) else f"n{bit}"


def _wires(module: Mapping[str, Any]) -> Iterator[str]:
    users = [*module["ports"].values(), *({"bits": bits} for bits in _connections(module["cells"].values()))]
    bits = sorted({bit for user in users for bit in user["bits"] if isinstance(bit, int)})
    for start in range(0, len(bits), _WIRES_A_LINE):
        yield f"wire {', '.join(map(_wire, bits[start : start + _WIRES_A_LINE]))};"


def _connections(cells: Iterable[Mapping[str, Any]]) -> Iterator[list[int | str]]:
    for cell in cells:
        yield from cell["connections"].values()


def _joined_ports(ports: Mapping[str, Any]) -> Iterator[str]:
    for name, port in ports.items():
        for k, bit in enumerate(port["bits"]):
            ends = (f"{name}[{k}]", _wire(bit))
            target, source = reversed(ends) if port["direction"] == "input" else ends
            yield f"assign {target} = {source};"


def _cells(cells: Mapping[str, Any]) -> Iterator[str]:
    """Kind by kind."""
    kinds = defaultdict(list)
    for number, (path, cell) in enumerate(cells.items()):
        pins = {pin: [_wire(bit) for bit in bits] for pin, bits in cell["connections"].items()}
        kinds[cell["type"]].append(Cell(f"{_plain(path)}_{number}", cell["type"], cell["parameters"], pins))
    for kind, members in kinds.items():
        if kind == _NO_CELL:
            continue
        if kind not in MODELS:
            raise DeviceError(f"every cell of a netlist must have a model to be simulated, and {kind} has none")
        yield from MODELS[kind](members)


def _plain(path: str) -> str:
    return "c_" + re.sub(r"\W", "_", path)
