"""What is read off Yosys' netlists, on designs small enough to count by hand."""

from pathlib import Path

import pytest
from tilewright.errors import DeviceError
from tilewright.fpga import synthesis
from tilewright.fpga.bitstream import require_sound
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.families import FAMILIES, Resources
from tilewright.fpga.synthesis import Synthesis, read_synthesis, require_yosys, synthesis_key, synthesise
from tilewright.hw.queue import Queue
from tilewright.hw.verilog import to_verilog

DESIGN = """
module top (input clk, we, input signed [7:0] a, b, input [8:0] to, from,
            output reg signed [15:0] product, output reg [31:0] word, output [7:0] shallow, deep);
    reg [31:0] block [0:511];
    reg [7:0] few [0:15];
    reg [7:0] many [0:255];
    always @(posedge clk) begin
        product <= a * b;
        if (we) begin
            block[to] <= {a, b, a, b};
            few[to[3:0]] <= a;
            many[to[7:0]] <= b;
        end
        word <= block[from];
    end
    assign shallow = few[from[3:0]];
    assign deep = many[from[7:0]];
endmodule
"""
READERS = """
module top (input clk, enable, input [8:0] to, input [7:0] d, input [143:0] from, output reg [127:0] q);
    reg [7:0] shared [0:511];
    integer n;
    always @(posedge clk) begin
        if (enable) shared[to] <= d;
        for (n = 0; n < 16; n = n + 1) q[8*n +: 8] <= shared[from[9*n +: 9]];
    end
endmodule
"""
LATCH = "module top (input enable, input [3:0] d, output reg [3:0] q); always @* if (enable) q = d; endmodule"


def synthesised(verilog: str, family: str, directory: Path) -> Synthesis:
    synthesise(verilog, FAMILIES[family], directory, top="top")
    return read_synthesis(directory, FAMILIES[family], top="top")


def test_counts_and_memories(tmp_path: Path) -> None:
    found = synthesised(DESIGN, "ecp5", tmp_path)
    assert (found.takes.dsp, found.takes.block_ram, found.takes.ff) == (1, 1, 16)
    assert found.takes.lut >= 6 * found.cells["TRELLIS_DPR16X4"] > 0
    assert found.latches == 0 and found.unknown == ()
    memories = {memory.name: memory for memory in found.memories}
    assert {name: (memory.words, memory.word_bits, memory.read_ports) for name, memory in memories.items()} == {
        "block": (512, 32, 1),
        "few": (16, 8, 1),
        "many": (256, 8, 1),
    }
    assert [name for name, memory in memories.items() if memory.block] == ["block"]
    assert [name for name, memory in memories.items() if memory.accidental] == ["many"]


@pytest.mark.parametrize(("bits", "depth"), [(2, 4), (4, 5), (1, 18), (6, 4)])
def test_no_queue_becomes_flip_flops_by_accident(tmp_path: Path, bits: int, depth: int) -> None:
    found = synthesised(to_verilog(Queue(bits, depth=depth), name="top"), "ecp5", tmp_path)
    assert not any(memory.accidental for memory in found.memories), found.memories


@pytest.mark.parametrize("family", FAMILIES)
def test_latches_are_counted(tmp_path: Path, family: str) -> None:
    found = synthesised(LATCH, family, tmp_path)
    assert found.latches >= 1
    with pytest.raises(DeviceError, match=rf"but has {found.latches} latches, and outside block RAM: none; this is a"):
        require_sound(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_many_readers_of_a_memory_are_copies_of_it(tmp_path: Path, family: str) -> None:
    found = synthesised(READERS, family, tmp_path)
    (memory,) = found.memories
    assert (memory.name, memory.read_ports, memory.block) == ("shared", 16, True)
    assert found.takes.block_ram == 16


def test_a_block_memory_on_xilinx7(tmp_path: Path) -> None:
    found = synthesised(DESIGN, "xilinx7", tmp_path)
    assert (found.takes.dsp, found.takes.block_ram, found.unknown) == (1, 1, ())
    assert [memory.name for memory in found.memories if memory.block] == ["block"]


def test_a_broken_design_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^yosys must accept top for ecp5, but it says: .*syntax error") as caught:
        synthesised("module top (; endmodule", "ecp5", tmp_path)
    assert "\n" not in str(caught.value)


def test_without_yosys_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "_YOSYS", "a_package_that_is_not_there")
    with pytest.raises(DeviceError, match=r"pip install 'tilewright\[fpga\]'"):
        require_yosys(FAMILIES["ecp5"])


def test_the_key_tells_designs_and_families_apart() -> None:
    keys = [synthesis_key(text, family, top="top") for text in (DESIGN, LATCH) for family in FAMILIES.values()]
    assert len({tuple(key) for key in keys}) == 4


def test_boards_are_of_known_families_and_not_empty() -> None:
    for name, board in BOARDS.items():
        assert board.name == name and board.family in FAMILIES
        assert all(count > 0 for _, count in board.has.items())


def test_resources_add_up() -> None:
    assert Resources(lut=1, dsp=2) + Resources(lut=3) * 2 == Resources(lut=7, dsp=2)
