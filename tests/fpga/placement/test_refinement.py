"""A small placed design, refined: what it is worth, that it stays legal, and what stays where it is."""

import json
from collections import Counter
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from tilewright.errors import DeviceError
from tilewright.fpga.bitstream import require_tools
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.families import FAMILIES
from tilewright.fpga.place_route import CONFIGURATION, CONSTRAINTS, place_and_route, read_routed
from tilewright.fpga.placement.macros import FIXED, SITE
from tilewright.fpga.placement.native import Annealer
from tilewright.fpga.placement.placed_design import PlacedDesign
from tilewright.fpga.placement.problem import Problem
from tilewright.fpga.placement.refinement import Effort, refine
from tilewright.fpga.placement.ties import with_ties
from tilewright.fpga.synthesis import NETLIST_JSON, synthesise

BOARD = BOARDS["ulx3s-85f"]
QUICK = Effort(rounds=10, moves=30, analyses=10)
DESIGN = """
module system (input clk, input data, output lamp);
    reg [23:0] counted;
    reg [15:0] product;
    reg [17:0] memory [0:1023];
    reg [17:0] read;
    reg [7:0] few [0:15];
    reg [7:0] chosen;
    reg [3:0] state;
    reg [31:0] sum;
    always @(posedge clk) begin
        counted <= counted + {23'b1, data};
        product <= counted[23:16] * counted[7:0];
        memory[counted[9:0]] <= product;
        read <= memory[counted[19:10]];
        few[counted[5:2]] <= product[7:0];
        if (counted[5]) chosen <= 0;
        else if (counted[3]) chosen <= few[product[3:0]];
        case (state)
            0: state <= counted[4];
            1: state <= counted[3:0];
            2: state <= chosen[3:0];
            5: state <= chosen[7:4] ^ counted[11:8];
            7: state <= state + chosen;
            9: state <= state ^ {4{read[3]}};
            default: state <= chosen[6:3];
        endcase
        sum <= state == 3 ? 32'h55 : sum + (state[0] ? chosen * 3 : read);
    end
    assign lamp = ^product ^ ^sum;
endmodule
"""
PINS = """
LOCATE COMP "clk" SITE "G2";
LOCATE COMP "data" SITE "M1";
LOCATE COMP "lamp" SITE "B2";
FREQUENCY PORT "clk" 50 MHZ;
"""


@pytest.fixture(scope="module")
def routed(tmp_path_factory) -> Path:
    """A folder in which the design was placed, refined and routed, with nextpnr's own placement still in it."""
    require_tools(BOARD)
    folder = tmp_path_factory.mktemp("refined")
    synthesise(DESIGN, FAMILIES["ecp5"], folder, top="system", netlist=True)
    (folder / CONSTRAINTS).write_text(PINS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, **_: None)
        place_and_route(BOARD, folder, seed=1, progress=str)
    return folder


@pytest.fixture
def placed(routed: Path) -> PlacedDesign:
    return PlacedDesign(routed / "placed.json")


def places(design: PlacedDesign) -> dict[str, tuple[int, int, str]]:
    return {cell.name: (cell.x, cell.y, cell.bel) for cell in design.cells}


def test_what_was_routed(routed: Path) -> None:
    found = read_routed(routed, seed=1)
    assert found.refinement and [*found.wanted_mhz.values()] == [50] and min(found.fmax_mhz.values()) > 50
    before, after = found.refinement.before, found.refinement.after
    assert after.longest < before.longest or after.wire_length < before.wire_length


def test_what_nextpnr_can_not_route_is_routed_as_it_placed_it(routed: Path, tmp_path: Path, monkeypatch) -> None:
    asked, said = list[tuple[str, ...]](), list[str]()

    def nextpnr(attempt: object, *options: str, quiet: bool = False) -> float:
        asked.append(options)
        if "--no-place" in options:
            raise DeviceError("nextpnr must place and route the design, but ends with status 1")
        return 50.0

    monkeypatch.setattr("tilewright.fpga.place_route._Attempt.nextpnr", nextpnr)
    for name in (NETLIST_JSON, "placed.json"):
        (tmp_path / name).write_bytes((routed / name).read_bytes())
    place_and_route(BOARD, tmp_path, seed=1, progress=said.append)
    assert [options[1] for options in asked] == [NETLIST_JSON, "sites.json", "refined.json", NETLIST_JSON]
    assert "--freq" in asked[2] and "--no-route" not in asked[3] and said[-1].endswith("is routed instead")
    assert {path.name for path in tmp_path.iterdir()} == {NETLIST_JSON, "nextpnr.log"}


def test_a_compiler_that_fails_costs_nobody_a_bitstream(tmp_path: Path, monkeypatch) -> None:
    asked, said = list[tuple[str, ...]](), list[str]()

    def nextpnr(attempt: object, *options: str, quiet: bool = False) -> float:
        asked.append(options)
        return 50.0

    def refine(attempt: object) -> None:
        raise DeviceError("the C compiler must compile the refinement, but ends with status 1")

    monkeypatch.setattr("tilewright.fpga.place_route._Attempt.nextpnr", nextpnr)
    monkeypatch.setattr("tilewright.fpga.place_route._Attempt.refine", refine)
    place_and_route(BOARD, tmp_path, seed=1, progress=said.append)
    assert [options[1] for options in asked] == [NETLIST_JSON, NETLIST_JSON] and "--no-route" not in asked[1]
    assert said == [
        "the C compiler must compile the refinement, but ends with status 1; nextpnr's own placement is routed instead"
    ]


def test_ties_are_those_of_an_unrefined_design(routed: Path, tmp_path: Path, monkeypatch) -> None:
    for name in (NETLIST_JSON, CONSTRAINTS):
        (tmp_path / name).write_bytes((routed / name).read_bytes())
    monkeypatch.setattr("tilewright.fpga.place_route.has_compiler", lambda: False)
    place_and_route(BOARD, tmp_path, seed=1, progress=str)

    def ties(folder: Path) -> Counter[str]:
        lines = (folder / CONFIGURATION).read_text().splitlines()
        return Counter(line.split()[2] for line in lines if line.startswith("enum: CIB.J") and "MUX" in line)

    assert ties(routed) == ties(tmp_path) and ties(routed).total() > 50
    assert read_routed(tmp_path, seed=1).refinement is None


def test_it_gets_better_and_stays_legal(placed: PlacedDesign) -> None:
    before = places(placed)
    done = refine(placed, effort=QUICK)
    assert done.after.mhz > done.before.mhz > 0 and done.after.wire_length < 1.1 * done.before.wire_length
    assert Annealer(Problem(placed.cells)).illegal_tiles() == 0
    after = places(placed)
    assert len({*after.values()}) == len(after) == len(before)
    assert sum(after[name] != before[name] for name in after) > len(after) / 4


def test_the_same_seed_gives_the_same(routed: Path) -> None:
    results = []
    for seed in (1, 1, 2):
        design = PlacedDesign(routed / "placed.json")
        refine(design, seed=seed, effort=replace(QUICK, rounds=3))
        results.append(places(design))
    assert results[0] == results[1] != results[2]


def test_what_is_placed_by_a_user_stays(routed: Path, tmp_path: Path) -> None:
    content = json.loads((routed / "placed.json").read_text())
    top = max(content["modules"].values(), key=lambda module: len(module["cells"]))
    for cell in top["cells"].values():
        cell["attributes"]["BEL_STRENGTH"] = "101"
    (tmp_path / "locked.json").write_text(json.dumps(content))
    design = PlacedDesign(tmp_path / "locked.json")
    before = places(design)
    refine(design, effort=replace(QUICK, rounds=1))
    assert places(design) == before


def test_cells_that_belong_together(placed: PlacedDesign) -> None:
    problem = Problem(placed.cells)
    arrays = problem.arrays
    steps = dict.fromkeys((cell.type for cell in placed.cells), 0)
    for cell, macro in zip(placed.cells, arrays["cell_macro"].tolist(), strict=True):
        size = int(arrays["macro_first"][macro + 1] - arrays["macro_first"][macro])
        steps[cell.type] = max(steps[cell.type], size)
        step = int(arrays["macro_step"][macro])
        assert (step == SITE) == (cell.type in ("DP16KD", "MULT18X18D"))
        assert (step == FIXED) == (cell.constant or cell.type in ("TRELLIS_IO", "DCCA"))
    assert steps["TRELLIS_COMB"] >= 32 and steps["TRELLIS_RAMW"] >= 7 and steps["DP16KD"] == 1


def test_what_nextpnr_would_not_accept_is_counted(placed: PlacedDesign) -> None:
    flip_flops = [cell for cell in placed.cells if cell.type == "TRELLIS_FF"]
    tiles = Counter((cell.x, cell.y) for cell in flip_flops if "LSR" in cell.inputs)
    crowded = tiles.most_common(1)[0][0]
    with_reset = next(cell for cell in flip_flops if (cell.x, cell.y) == crowded)
    without = next(cell for cell in flip_flops if "LSR" not in cell.inputs)
    places = [(cell.x, cell.y, cell.bel) for cell in (without, with_reset)]
    for cell, (x, y, bel) in zip((with_reset, without), places, strict=True):
        cell.x, cell.y, cell.bel = x, y, bel
    assert tiles[crowded] > 1 and Annealer(Problem(placed.cells)).illegal_tiles() > 0


def test_multipliers_of_a_block_share_the_wires_to_their_ports(placed: PlacedDesign) -> None:
    one = next(cell for cell in placed.cells if cell.type == "MULT18X18D")
    other = copy(one)
    base = one.x - int(one.bel[-1])
    place = 1 if one.bel != "MULT18_1" else 0
    other.name, other.x, other.bel = "other", base + place, f"MULT18_{place}"
    for clock, illegal in ((one.inputs["CLK0"], 0), (one.inputs["A0"], 1)):
        other.inputs = {"CLK0": clock}
        other.outputs = {}
        assert bool(Annealer(Problem([*placed.cells, other])).illegal_tiles()) == illegal


def test_what_is_no_placed_design_is_refused(routed: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"modules": {')
    with pytest.raises(DeviceError, match=r"^a placed design must be what nextpnr writes \(cut.json\)"):
        PlacedDesign(tmp_path / "cut.json")
    with pytest.raises(DeviceError, match=r"^a placed design must have cells with a place, and .* has none$"):
        PlacedDesign(routed / NETLIST_JSON)


def test_ties_go_where_they_lack() -> None:
    routed = ".device X\n\n.tile A:CIB\narc: P Q\nenum: CIB.JA0MUX 0\n\n.tile B:PLC2\nenum: SLICEA.MODE CCU2\n"
    sites = ".device X\n\n.tile A:CIB\nenum: CIB.JA0MUX 0\nenum: CIB.JCE1MUX 1\n\n"
    sites += ".tile C:CIB\nenum: CIB.JB0MUX 0\nword: W 1\n"
    assert with_ties(routed, sites) == (
        ".device X\n\n.tile A:CIB\narc: P Q\nenum: CIB.JA0MUX 0\nenum: CIB.JCE1MUX 1\n\n"
        ".tile B:PLC2\nenum: SLICEA.MODE CCU2\n\n.tile C:CIB\nenum: CIB.JB0MUX 0\n"
    )
