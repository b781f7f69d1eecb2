"""From a design's inventory to what it takes, with coefficients fitted to full syntheses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from .families import Resources
from .inventory import Inventory
from .memory_cells import in_luts, memory_cells

__all__ = ["AreaModel", "GateCount", "area_model", "dsp_blocks", "quantity"]

_DATA = "area_model.json"
_DSP_BITS = 18


@dataclass(frozen=True, kw_only=True)
class GateCount:
    """A design without any technology.

    Members
    -------
    nand2
        Combinational logic, multipliers included, in two-input NANDs of four transistors.
    flip_flops
        Register bits.
    memory_bits
        Bits by the number of read ports; each memory has one write port.
    """

    nand2: int
    flip_flops: int
    memory_bits: Mapping[int, int]


@dataclass(frozen=True)
class AreaModel:
    """Coefficients by what they estimate, each by the quantity that it multiplies; "one" is a constant.

    Members
    -------
    coefficients
        For a family's name, or "gates": of "lut" (beside the memories'), "ff" or "nand2".
    quantities
        The closed form's, for each quantity of the inventory: by feature of the configuration.
    errors
        Of the estimates against full synthesis, as measured: by way, family and resource.
    """

    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]
    quantities: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, Any]

    def takes(self, inventory: Inventory, family: str) -> Resources:
        """What a design takes of a family's devices."""
        total = Resources(dsp=dsp_blocks(inventory))
        for memory in inventory.memories:
            total += memory_cells(memory, family)
        fitted = self.coefficients[family]
        logic = {kind: round(_sum(fitted[kind], inventory, family)) for kind in ("lut", "ff")}
        return total + Resources(**logic)

    def gates(self, inventory: Inventory) -> GateCount:
        """The same design in gates."""
        fitted = self.coefficients["gates"]
        return GateCount(
            nand2=round(_sum(fitted["nand2"], inventory, "")),
            flip_flops=round(inventory.flip_flops),
            memory_bits=inventory.memory_bits,
        )


@cache
def area_model() -> AreaModel:
    """The model that ``python -m tilewright.fpga.calibrate`` has fitted."""
    text = resources.files(__package__).joinpath(_DATA).read_text(encoding="utf-8")
    data = json.loads(text)
    return AreaModel(data["coefficients"], data["quantities"], data["errors"])


def dsp_blocks(inventory: Inventory) -> int:
    """Multiplier blocks of 18 × 18 bits, signed; wider factors are cut, and tiny ones too are multiplied in blocks."""
    return sum(
        m.count * -(-m.left // _DSP_BITS) * -(-m.right // _DSP_BITS)
        for m in inventory.multipliers
        if m.left + m.right > 6
    )


def _sum(coefficients: Mapping[str, float], inventory: Inventory, family: str) -> float:
    return sum(factor * quantity(inventory, name, family) for name, factor in coefficients.items())


def quantity(inventory: Inventory, name: str, family: str) -> float:
    """A quantity by the name that coefficients have: a member of the inventory, or one of three more."""
    if name == "one":
        return 1.0
    if name == "product_bits":
        return float(sum(m.count * m.left * m.right for m in inventory.multipliers))
    if name == "lut_memory_width":
        return float(sum(m.count * m.bits * m.read_ports for m in inventory.memories if in_luts(m, family)))
    return float(getattr(inventory, name))
