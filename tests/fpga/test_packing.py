"""Registers that a netlist's multipliers and block RAMs take in, and those that they must leave."""

import json
from pathlib import Path

import pytest
from tilewright.fpga.families import FAMILIES
from tilewright.fpga.synthesis import NETLIST_JSON, synthesise

pytest.importorskip("pyosys")

DESIGN = """
module design (input clk, input rst, input go, input [7:0] a, b, input [8:0] address, input [35:0] data, input write,
               output [15:0] product, reset_product, seen_product, later, output [35:0] word, output seen);
    reg [15:0] kept, cleared, watched, two_enables;
    wire [7:0] c = {a[3:0], a[7:4]}, d = {b[3:0], b[7:4]};
    wire [15:0] raw = b * c, split = c * d;
    always @(posedge clk) begin
        if (go) kept <= a * b;
        if (rst) cleared <= 0; else cleared <= a * d;
        watched <= raw;
        if (go) two_enables[7:0] <= split[7:0];
        two_enables[15:8] <= split[15:8];
    end
    assign product = kept, reset_product = cleared, seen_product = watched, later = two_enables;
    assign seen = ^raw;

    reg [35:0] cells [0:511];
    reg [35:0] read, held;
    reg fresh;
    always @(posedge clk) begin
        if (write) cells[address] <= data;
        if (go) read <= cells[{address[0], address[8:1]}];
        fresh <= go;
        if (fresh) held <= read;
    end
    assign word = held;
endmodule
"""


def test_only_registers_that_are_all_there_is_behind_a_cell(tmp_path: Path) -> None:
    synthesise(DESIGN, FAMILIES["ecp5"], tmp_path, top="design", netlist=True)
    cells = json.loads((tmp_path / NETLIST_JSON).read_text())["modules"]["design"]["cells"].values()
    kinds = {kind: [cell for cell in cells if cell["type"] == kind] for kind in ("MULT18X18D", "DP16KD", "TRELLIS_FF")}
    registered = [cell for cell in kinds["MULT18X18D"] if cell["parameters"].get("REG_OUTPUT_CLK") == "CLK0"]
    assert len(kinds["MULT18X18D"]) == 4 and len(registered) == 1
    (block,) = kinds["DP16KD"]
    assert {block["parameters"][f"REGMODE_{port}"] for port in "AB"} == {"OUTREG"}
    assert block["connections"]["OCEB"] == block["connections"]["OCEA"] != ["1"]
    outside = {"cleared": 16, "watched": 16, "two enables": 16, "fresh": 1}
    assert len(kinds["TRELLIS_FF"]) == sum(outside.values())


OPERANDS = """
module design (input clk, input go, input [7:0] a, b, c, output [15:0] first, second, third, output [7:0] seen);
    reg signed [7:0] shared, one, other;
    reg signed [15:0] kept;
    always @(posedge clk) begin
        if (go) shared <= a;
        one <= b;
        other <= c;
        kept <= shared * one;
    end
    assign first = kept, second = shared * other, third = shared * $signed(c), seen = other;
endmodule
"""


def test_registers_before_operands_become_those_of_all_their_multipliers(tmp_path: Path) -> None:
    synthesise(OPERANDS, FAMILIES["ecp5"], tmp_path, top="design", netlist=True)
    cells = json.loads((tmp_path / NETLIST_JSON).read_text())["modules"]["design"]["cells"].values()
    products = [cell for cell in cells if cell["type"] == "MULT18X18D"]
    taken = [cell for cell in products if cell["parameters"].get("REG_INPUTA_CLK") == "CLK0"]
    assert len(products) == 3 and len(taken) == 2
    for cell in taken:
        enables = {cell["connections"][cell["parameters"][f"REG_INPUT{operand}_CE"]][0] for operand in "AB"}
        assert cell["parameters"]["REG_INPUTB_CLK"] == "CLK0" and "1" in enables and len(enables) == 2
    assert sum(cell["type"] == "TRELLIS_FF" for cell in cells) == 8 + 8  # `shared` for the third, `other` for `seen`
