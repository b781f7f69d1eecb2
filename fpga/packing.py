"""Registers around an ECP5's multipliers and behind its block RAMs move into them: Yosys leaves them in the fabric.

The cells' own registers answer within a fraction of the time, and the way to or from the register outside is saved. No
cycle changes: an output's register is taken in only where it is all that the output goes to, and an operand's becomes
one in each multiplier that it feeds, whoever else keeps the one outside.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["pack_registers"]

_MULTIPLIER, _BLOCK_RAM, _FLIP_FLOP = "MULT18X18D", "DP16KD", "TRELLIS_FF"
_WIDE = 36  # bits of a block RAM's word that takes the output pins of both ports

_Cell = dict[str, Any]


@dataclass(frozen=True)
class _Control:
    """What decides when flip-flops take a value: two alike take it at the same edges."""

    clock: int | str
    enable: int | str


def pack_registers(netlist: Path, *, top: str) -> int:
    """Rewrite a netlist in Yosys' JSON; the result says how many groups of registers have moved."""
    design = json.loads(netlist.read_text(encoding="utf-8"))
    cells = design["modules"][top]["cells"]
    packer = _Packer(design["modules"][top], cells)
    packed = sum(packer.pack(cell, outputs, kind) for cell, outputs, kind in list(_candidates(cells)))
    packed += sum(packer.pack_operands(name) for name, cell in list(cells.items()) if cell["type"] == _MULTIPLIER)
    if packed:
        netlist.write_text(json.dumps(design, separators=(",", ":")), encoding="utf-8")
    return packed


def _candidates(cells: Mapping[str, _Cell]) -> Iterator[tuple[_Cell, list[str], str]]:
    """Cells, outputs that have one register together, and which one that is."""
    for cell in cells.values():
        if cell["type"] == _MULTIPLIER and not any(name.startswith("REG_") for name in cell["parameters"]):
            yield cell, _pins(cell, r"P\d+"), "P"
        elif cell["type"] == _BLOCK_RAM:
            widths = [int(cell["parameters"].get(f"DATA_WIDTH_{port}", bin(18)[2:]), 2) for port in "AB"]
            if _WIDE in widths:
                yield cell, _pins(cell, r"DO[AB]\d+"), "AB"
            else:
                yield from ((cell, _pins(cell, rf"DO{port}\d+"), port) for port in "AB")


def _pins(cell: _Cell, pattern: str) -> list[str]:
    return [name for name in cell["connections"] if re.fullmatch(pattern, name)]


class _Packer:
    """Who uses each wire, and how a register is taken in."""

    def __init__(self, module: _Cell, cells: dict[str, _Cell]) -> None:
        self._cells = cells
        self._users: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self._registers: dict[int, str] = {}
        for name, cell in cells.items():
            if cell["type"] == _FLIP_FLOP:
                self._registers[cell["connections"]["Q"][0]] = name
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] != "output":
                    self._note(bits, name, pin)
        for port in module["ports"].values():
            self._note(port["bits"], "", "")

    def _note(self, bits: Iterable[int | str], cell: str, pin: str) -> None:
        for bit in bits:
            if isinstance(bit, int):
                self._users[bit].append((cell, pin))

    def pack(self, cell: _Cell, outputs: list[str], kind: str) -> bool:
        """Whether all registers behind `outputs` could become the cell's own."""
        behind: dict[str, str] = {}
        for pin in outputs:
            users = [user for bit in cell["connections"][pin] for user in self._users.get(bit, ())]
            if not users:
                continue
            name, place = users[0]
            if len(users) > 1 or place != "DI" or self._cells[name]["type"] != _FLIP_FLOP:
                return False
            behind[pin] = name
        controls = {_control(self._cells[name]) for name in behind.values()}
        control = controls.pop() if len(controls) == 1 else None
        if control is None or not (kind == "P" or _clocked_by(cell, kind, control)):
            return False
        for pin, name in behind.items():
            cell["connections"][pin] = self._cells.pop(name)["connections"]["Q"]
        (_use_multiplier if kind == "P" else _use_block_ram)(cell, control, kind)
        return True

    def pack_operands(self, name: str) -> bool:
        """Whether the registers before both operands of a multiplier could become its own."""
        cell = self._cells[name]
        operands = {operand: self._before(cell, operand) for operand in "AB"}
        controls = {operand: self._common(found) for operand, found in operands.items() if found is not None}
        taken = {operand: control for operand, control in controls.items() if control is not None}
        clocks = {control.clock for control in taken.values()} | set(cell["connections"].get("CLK0", ()))
        if len(taken) < len(operands) or len(clocks) > 1:
            return False
        for operand, control in taken.items():
            for pin, register in (operands[operand] or {}).items():
                self._take_in(name, pin, register)
            _use_operand(cell, operand, control)
        return True

    def _before(self, cell: _Cell, operand: str) -> dict[str, str] | None:
        """The register of each pin that is no constant; None where one has none."""
        found = {}
        for pin in _pins(cell, rf"{operand}\d+"):
            (bit,) = cell["connections"][pin]
            if isinstance(bit, int):
                if bit not in self._registers:
                    return None
                found[pin] = self._registers[bit]
        return found

    def _common(self, registers: Mapping[str, str]) -> _Control | None:
        controls = {_control(self._cells[name]) for name in registers.values()}
        return controls.pop() if len(controls) == 1 else None

    def _take_in(self, name: str, pin: str, register: str) -> None:
        """The pin takes what the register does, and the register goes with its last user."""
        flip_flop = self._cells[register]["connections"]
        (after,), (before,) = flip_flop["Q"], flip_flop["DI"]
        self._users[after].remove((name, pin))
        self._cells[name]["connections"][pin] = [before]
        self._note([before], name, pin)
        if not self._users[after]:
            del self._cells[register], self._registers[after]
            self._users[before].remove((register, "DI"))


def _control(flip_flop: _Cell) -> _Control | None:
    """None for one that has a reset, starts with 1, or works in another way that the cells' registers do not."""
    parameters, pins = flip_flop["parameters"], flip_flop["connections"]
    plain = {"CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", "GSR": "DISABLED"}
    if any(parameters.get(name, value).strip() != value for name, value in plain.items()):
        return None
    if pins.get("LSR", ["0"]) != ["0"]:
        return None
    enable = {"CE": pins.get("CE", ["1"])[0], "1": "1"}.get(parameters.get("CEMUX", "CE").strip())
    return None if enable is None else _Control(pins["CLK"][0], enable)


def _clocked_by(cell: _Cell, ports: str, control: _Control) -> bool:
    return all(cell["connections"].get(f"CLK{port}") == [control.clock] for port in ports)


def _connect(cell: _Cell, pin: str, bit: int | str) -> None:
    cell["connections"][pin] = [bit]
    cell["port_directions"][pin] = "input"


def _use_multiplier(cell: _Cell, control: _Control, _: str) -> None:
    cell["parameters"] |= {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0", "REG_OUTPUT_RST": "RST0"}
    cell["parameters"] |= {"GSR": "DISABLED"}
    for pin, bit in (("CLK0", control.clock), ("CE0", control.enable), ("RST0", "0")):
        _connect(cell, pin, bit)


def _use_operand(cell: _Cell, operand: str, control: _Control) -> None:
    """An enable of its own, since operands and product seldom move together."""
    enable = f"CE{'AB'.index(operand) + 1}"
    for pin, line in (("CLK", "CLK0"), ("CE", enable), ("RST", "RST0")):
        cell["parameters"][f"REG_INPUT{operand}_{pin}"] = line
    cell["parameters"]["GSR"] = "DISABLED"
    for pin, bit in (("CLK0", control.clock), (enable, control.enable), ("RST0", "0")):
        _connect(cell, pin, bit)


def _use_block_ram(cell: _Cell, control: _Control, ports: str) -> None:
    for port in ports:
        cell["parameters"][f"REGMODE_{port}"] = "OUTREG"
        _connect(cell, f"OCE{port}", control.enable)
