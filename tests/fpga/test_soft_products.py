"""Products of carry cells: how many there are, and that they are products."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tilewright.config import load_config
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.families import FAMILIES
from tilewright.fpga.fitting import soft_products
from tilewright.fpga.synthesis import NETLIST_JSON, read_synthesis, synthesise

pytest.importorskip("pyosys")

DESIGN = """
module design (input clk, input go, input signed [7:0] a, b, output signed [15:0] hard, soft);
    reg signed [15:0] product_0_0_0, product_0_0_1;
    always @(posedge clk) if (go) begin
        product_0_0_0 <= a * a;
        product_0_0_1 <= a * b;
    end
    assign hard = product_0_0_0, soft = product_0_0_1;
endmodule
"""


class Carries:
    """What a netlist's carry cells make of its inputs."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.ports = {name: port["bits"] for name, port in module["ports"].items()}
        cells = module["cells"].values()
        self.before = {c["connections"]["Q"][0]: c["connections"]["DI"][0] for c in cells if c["type"] == "TRELLIS_FF"}
        self._drivers = {
            bit: cell
            for cell in cells
            if cell["type"] == "CCU2C"
            for pin in ("S0", "S1", "COUT")
            for bit in cell["connections"].get(pin, [])
        }

    def value(self, bit: int | str, known: dict[int | str, int]) -> int:
        if bit not in known:
            cell = self._drivers[bit]
            pins = cell["connections"]
            carry = self.value(pins["CIN"][0], known)
            for half in "01":
                table = int(cell["parameters"][f"INIT{half}"], 2)
                row = sum(self.value(pins[f"{pin}{half}"][0], known) << n for n, pin in enumerate("ABCD"))
                passes, makes = table >> row & 1, table >> (row & 3) & 1
                for wire in pins.get(f"S{half}", []):
                    known[wire] = passes ^ carry
                carry = carry if passes else makes
            for wire in pins.get("COUT", []):
                known[wire] = carry
        return known[bit]


def test_a_soft_product_is_the_product(tmp_path: Path) -> None:
    synthesise(DESIGN, FAMILIES["ecp5"], tmp_path, top="design", netlist=True, soft_products=1)
    takes = read_synthesis(tmp_path, FAMILIES["ecp5"], top="design").takes
    assert (takes.dsp, takes.lut) == (1, 72)
    netlist = Carries(json.loads((tmp_path / NETLIST_JSON).read_text())["modules"]["design"])
    result = [netlist.before[bit] for bit in netlist.ports["soft"]]
    some = (-128, -127, -77, -2, -1, 0, 1, 2, 85, 126, 127)
    for a, b in product((*some, *range(-120, 120, 7)), some):
        known: dict[int | str, int] = {"0": 0, "1": 1, "x": 0}
        for name, number in (("a", a), ("b", b)):
            known |= {bit: number >> n & 1 for n, bit in enumerate(netlist.ports[name])}
        found = sum(netlist.value(bit, known) << n for n, bit in enumerate(result))
        assert found == a * b & 0xFFFF, (a, b)


def test_as_many_as_there_are_no_multipliers_for() -> None:
    board, config = BOARDS["ulx3s-85f"], load_config("ecp5-8x8")
    assert soft_products(config, board) == 0
    large = config.replace(block_in=16, block_out=16, vector_lanes=4)
    assert soft_products(large, board) == 256 + 4 * 5 - 156
    assert soft_products(large, BOARDS["pynq-z2"]) == 0
