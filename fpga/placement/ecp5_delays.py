"""What ECP5 cells and wires take, in ns, at speed grade 6; other grades are faster by much the same factor.

Cells: Project Trellis' timing database, which nextpnr uses. Wires: fitted to what nextpnr's router made of this
package's systems; what a wire will take before it is routed is written nowhere.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .placed_design import Cell

__all__ = ["arcs_through", "launch", "setup", "wire_delays"]

_LUT_INPUTS = ("A", "B", "C", "D")
_LUT, _CARRY_IN, _CARRY_STEP, _CARRY_OUT, _WIDE, _WIDE_SELECT = 0.236, 0.447, 0.071, 0.443, 0.401, 0.256
_CLOCK_TO_Q = {"TRELLIS_FF": 0.525, "MULT18X18D": 0.735}
_BLOCK_RAM, _BLOCK_RAM_REGISTERED = 5.73, 0.97
_PRODUCT, _PRODUCT_FROM_INPUTS, _PRODUCT_SETUP = 3.927, 3.9, 3.486
_SET_SETUP = 0.424 + 0.25  # and wires to it are longer
_ACCESS = {"CCU2": 0.3, "DPRAM": 0.15}  # more wire where the router can't exchange inputs
_OPERAND = re.compile(r"[AB]\d+")


def arcs_through(cell: Cell) -> Iterator[tuple[str, str, float]]:
    """Ways through `cell` without a clock: input, output, delay."""
    if cell.type == "TRELLIS_COMB":
        yield from _through_lut(cell)
    elif cell.type == "MULT18X18D" and _combinational(cell):
        for port in cell.inputs:
            if _OPERAND.fullmatch(port):
                yield from ((port, output, _PRODUCT) for output in cell.outputs if output.startswith("P"))


def _through_lut(cell: Cell) -> Iterator[tuple[str, str, float]]:
    mode = cell.parameters.get("MODE", "LOGIC")
    carries, access = mode == "CCU2", _ACCESS.get(mode, 0.0)
    delays = {
        "F": dict.fromkeys(_LUT_INPUTS, _LUT + access) | ({"FCI": _CARRY_OUT} if carries else {}),
        "FCO": dict.fromkeys(_LUT_INPUTS, _CARRY_IN + access) | {"FCI": _CARRY_STEP},
        "OFX": dict.fromkeys(_LUT_INPUTS, _WIDE) | dict.fromkeys(("M", "FXA", "FXB", "F1"), _WIDE_SELECT),
    }
    for output in cell.outputs:
        yield from ((port, output, delay) for port, delay in delays.get(output, {}).items() if port in cell.inputs)


def _has_register(cell: Cell, which: str) -> bool:
    return cell.parameters.get(f"REG_{which}_CLK", "NONE") != "NONE"


def _combinational(cell: Cell) -> bool:
    return not any(_has_register(cell, which) for which in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"))


def launch(cell: Cell, output: str) -> float:
    """When after the clock's edge `output` is there, of a cell with a register before it."""
    if cell.type == "DP16KD":
        port = output[2] if output.startswith("DO") else "A"
        return _BLOCK_RAM_REGISTERED if cell.parameters.get(f"REGMODE_{port}") == "OUTREG" else _BLOCK_RAM
    if cell.type == "MULT18X18D" and not _has_register(cell, "OUTPUT"):
        return _PRODUCT_FROM_INPUTS
    return _CLOCK_TO_Q.get(cell.type, 0.0)


def setup(cell: Cell, port: str) -> float | None:
    """How long before the clock's edge `port` must be there; None where there is no register behind it."""
    if port.startswith(("CLK", "WCK")):
        return None
    if cell.type == "TRELLIS_FF":
        return _SET_SETUP if port == "LSR" else 0.0
    if cell.type == "MULT18X18D":
        if _combinational(cell):
            return None
        return _PRODUCT_SETUP if _OPERAND.fullmatch(port) and not _has_register(cell, f"INPUT{port[0]}") else 0.1
    if cell.type == "TRELLIS_COMB":
        return 0.0 if cell.parameters.get("MODE") == "DPRAM" and port not in _LUT_INPUTS else None
    return {"DP16KD": 0.2, "TRELLIS_RAMW": 0.0}.get(cell.type)


def wire_delays(distances: int) -> NDArray[np.float32]:
    """[distances, distances]: of a wire by rows and columns between its ends."""
    steps = np.arange(distances)
    tiles = np.add.outer(steps, steps)
    return np.asarray(0.48 + 0.13 * np.minimum(tiles, 5) + 0.06 * np.maximum(tiles - 5, 0), np.float32)
