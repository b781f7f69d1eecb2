"""The synthesised core as Verilog that simulates: its cells, their models, the interface of the core's own Verilog."""

import json
import re
from importlib import resources
from pathlib import Path

from ..errors import DeviceError
from .synthesis import NETLIST_JSON, NETLIST_VERILOG

__all__ = ["NETLIST_TOP", "netlist_verilog"]

NETLIST_TOP = "tilewright_netlist"
_MODELS = "ecp5_cells.v"
_OF_YOSYS = ("LUT2", "LUT4", "CCU2C", "PFUMX", "L6MUX21", "TRELLIS_DPR16X4", "TRELLIS_FF")
_INITVALS = 64


def netlist_verilog(synthesised: Path, *, top: str, gated: tuple[str, ...]) -> str:
    """Verilog with the top module `top`.

    Parameters
    ----------
    synthesised
        What :func:`synthesise` left, its top module NETLIST_TOP.
    gated
        Parts of which the interface has a clock and an `awake` each; here they are always awake and the clock unused.
    """
    netlist = (synthesised / NETLIST_VERILOG).read_text(encoding="utf-8")
    return "\n".join([*_models(), netlist, _wrapper(synthesised / NETLIST_JSON, top, gated)])


def _models() -> list[str]:
    """Yosys' models where it has them, ours where it has none."""
    import pyosys

    (package,) = pyosys.__path__
    text = (Path(package) / "share" / "ecp5" / "cells_sim.v").read_text(encoding="utf-8")
    text = "\n".join((Path(package) / "share" / "ecp5" / name).read_text() for name in _files(text)) + text
    text = re.sub(r"\(\*.*?\*\)", "", re.sub(r"(?m)^\s*specify\b.*?^\s*endspecify\b", "", text, flags=re.DOTALL))
    found = []
    for name in _OF_YOSYS:
        module = re.search(rf"(?m)^module {name}\b.*?^endmodule", text, flags=re.DOTALL)
        if module is None:
            raise DeviceError(f"Yosys must have a model of {name}: install the version of pyosys that tilewright names")
        found.append(module[0])
    own = resources.files(__package__).joinpath(_MODELS).read_text(encoding="utf-8")
    initial = "\n".join(f"    parameter INITVAL_{number:02X} = 320'b0;" for number in range(_INITVALS))
    return [*found, own.replace("@INITVALS@", initial)]


def _files(text: str) -> list[str]:
    return sorted(set(re.findall(r'`include "([^"]+)"', text)))


def _wrapper(netlist: Path, top: str, gated: tuple[str, ...]) -> str:
    ports = json.loads(netlist.read_text(encoding="utf-8"))["modules"][NETLIST_TOP]["ports"]
    declared = [f"{port['direction']} [{len(port['bits']) - 1}:0] {name}" for name, port in ports.items()]
    declared += [f"input clocks__{part}, output awake__{part}" for part in gated]
    connected = ",\n  ".join(f".{name}({name})" for name in ports)
    awake = "\n".join(f"assign awake__{part} = 1'b1;" for part in gated)
    head = ",\n  ".join(declared)
    return f"module {top}(\n  {head}\n);\n{NETLIST_TOP} netlist(\n  {connected}\n);\n{awake}\nendmodule\n"
