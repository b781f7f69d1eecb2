"""Place and route, on a design of a handful of cells, and what is read off it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth import Cat, ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib.io import Buffer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from tilewright.cache import CACHE_VARIABLE
from tilewright.config import Config, load_config
from tilewright.errors import ConfigError, DeviceError
from tilewright.fpga import bitstream
from tilewright.fpga.bitstream import build_bitstream, pack, require_sound, require_tools, route_seeds
from tilewright.fpga.bitstream_report import BitstreamReport
from tilewright.fpga.board_system import usual_system
from tilewright.fpga.boards import BOARDS, boards_with_bitstreams
from tilewright.fpga.families import FAMILIES, Resources
from tilewright.fpga.fitting import block_rams, least_of_system, least_resources, require_fit
from tilewright.fpga.place_route import CONFIGURATION, CONSTRAINTS, Routed, place_and_route, read_routed
from tilewright.fpga.sdram_chip import SdramChip
from tilewright.fpga.soc.sdram import SdramPins
from tilewright.fpga.synthesis import PlacedMemory, Synthesis, read_synthesis, synthesise
from tilewright.fpga.system_config import SystemConfig

SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
BOARD = BOARDS["ulx3s-85f"]
CHIP = SdramChip()
DESIGN = """
module system (input clk, output lamp);
    reg [23:0] counted;
    reg [15:0] product;
    always @(posedge clk) begin
        counted <= counted + 1;
        product <= counted[23:16] * counted[7:0];
    end
    assign lamp = ^product;
endmodule
"""
PINS = """
LOCATE COMP "clk" SITE "G2";
IOBUF PORT "clk" IO_TYPE=LVCMOS33;
LOCATE COMP "lamp" SITE "B2";
IOBUF PORT "lamp" IO_TYPE=LVCMOS33;
FREQUENCY PORT "clk" {mhz} MHZ;
"""


@pytest.fixture(scope="module")
def netlist(tmp_path_factory) -> tuple[Path, Synthesis]:
    require_tools(BOARD)
    folder = tmp_path_factory.mktemp("netlist")
    synthesise(DESIGN, FAMILIES["ecp5"], folder, top="system", netlist=True)
    return folder, read_synthesis(folder, FAMILIES["ecp5"], top="system")


def report_of(folder: Path, synthesis: Synthesis, mhz: int) -> BitstreamReport:
    stages: list[str] = []
    (folder / CONSTRAINTS).write_text(PINS.format(mhz=mhz))
    place_and_route(BOARD, folder, seed=3, progress=stages.append)
    assert stages.count("packing") == 1 and stages.index("packing") < stages.index("routing")
    assert stages[-1].startswith("routed at ")
    best = read_routed(folder, seed=3)
    return BitstreamReport(
        config=load_config("tiny"), system=SystemConfig(), board=BOARD, synthesis=synthesis, best=best,
        attempts=(best,), tools={"nextpnr": "1"},
    )  # fmt: skip


def test_from_netlist_to_bitstream(netlist: tuple[Path, Synthesis]) -> None:
    folder, synthesis = netlist
    report = report_of(folder, synthesis, mhz=25)
    report.require_timing()
    ((clock, fmax),) = report.best.fmax_mhz.items()
    path = report.best.paths[clock]
    assert fmax > 50 and report.best.wanted_mhz[clock] == 25
    assert path.nanoseconds == pytest.approx(1000 / fmax, rel=0.02) and 0 < path.logic < path.nanoseconds
    assert path.begin in ("counted", "product") and path.end in ("counted", "product")
    assert {kind: used for kind, (used, _) in report.resources.items() if kind != "LUT"} == {
        "FF": 24,  # of 40: the product's 16 are the multiplier's own
        "DSP": 1,
        "EBR": 0,
    }
    assert report.resources["DSP"] == (1, 155) and report.resources["EBR"] == (0, 208)
    shown = report.to_json()
    assert shown["seed"] == 3 and shown["clocks"][clock]["critical_path"]["begin"] == path.begin
    text = "\n".join(report.lines())
    assert "tiny on ulx3s-85f" in text and "155 left" in text and path.begin in text and "nextpnr 1" in text
    assert len(pack(folder)) > 100_000


def test_a_clock_that_is_too_fast_is_refused(netlist: tuple[Path, Synthesis]) -> None:
    folder, synthesis = netlist
    with pytest.raises(
        DeviceError, match=r"^clock must be at most .* MHz, not 400, for tiny on ulx3s-85f \(best of see"
    ):
        report_of(folder, synthesis, mhz=400).require_timing()


def test_of_several_seeds_those_that_succeed(netlist: tuple[Path, Synthesis], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    plan, said = tmp_path / "plan", list[str]()
    plan.mkdir()
    (plan / CONSTRAINTS).write_text(PINS.format(mhz=25))

    def fails_with_seed_2(*arguments: object, seed: int, **options: object) -> None:
        if seed == 2:
            raise DeviceError("nextpnr must place and route the design, but does not")
        place_and_route(*arguments, seed=seed, **options)

    monkeypatch.setattr(bitstream, "place_and_route", fails_with_seed_2)
    found = route_seeds(BOARD, plan, netlist[0], [1, 2, 3], 2, said.append)
    assert [attempt.seed for _, attempt in found] == [1, 3]
    assert all((folder / CONFIGURATION).is_file() and attempt.slowest[0] > 1 for folder, attempt in found)
    assert said[-1].startswith("nextpnr must place") and {"Seed 1: routing", "Seed 3: routing"} <= {*said}
    with pytest.raises(DeviceError, match="but does not"):
        route_seeds(BOARD, plan, netlist[0], [2], 1, said.append)


def test_an_accident_is_refused() -> None:
    def synthesis(latches: int, words: int) -> Synthesis:
        memory = PlacedMemory(name="m", words=words, word_bits=8, read_ports=1, cell="TRELLIS_DPR16X4", block=False)
        return Synthesis(takes=Resources(), latches=latches, memories=(memory,), cells={}, unknown=())

    require_sound(synthesis(0, 16))
    with pytest.raises(DeviceError, match="but has 2 latches, and outside block RAM: none; this is a mistake"):
        require_sound(synthesis(2, 16))
    with pytest.raises(DeviceError, match=r"but has 0 latches, and outside block RAM: m \(TRELLIS_DPR16X4\); "):
        require_sound(synthesis(0, 512))


class Planted(Elaboratable):
    """A system of which a memory is too deep for the look-up tables that its asynchronous port needs."""

    def __init__(self, *system: object) -> None:
        pass

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        clock, serial = platform.request("clk25", dir="-"), platform.request("uart", dir="-")
        m.submodules.clock, m.submodules.rx = pin, rx = Buffer("i", clock), Buffer("i", serial.rx)
        m.submodules.tx = tx = Buffer("o", serial.tx)
        m.submodules.forgotten = memory = Memory(shape=8, depth=512, init=[])
        write, read, count = memory.write_port(), memory.read_port(domain="comb"), Signal(9)
        m.d.comb += [ClockSignal().eq(pin.i), write.addr.eq(count), write.data.eq(count), write.en.eq(rx.i)]
        m.d.comb += [read.addr.eq(~count), tx.o.eq(read.data.xor())]
        m.d.sync += count.eq(count + 1)
        return m


def test_an_accident_in_the_description_ends_the_bitstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr("tilewright.fpga.soc.top.BoardTop", Planted)
    with pytest.raises(DeviceError, match=r"has 0 latches, and outside block RAM: forgotten \(TRELLIS_DPR16X4"):
        build_bitstream(load_config("tiny"), SystemConfig(clock_hz=25_000_000), BOARD)


def test_what_can_not_fit_is_refused_before_synthesis() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^configuration vta-16 with 65,536 bytes of memory must fit ulx3s-85f \(LFE5U-85F\), but takes "
        r"\d+ block RAMs of 18 kbit of 208: take a smaller configuration or a larger board",
    ):
        build_bitstream(load_config("vta-16"), SystemConfig(), BOARD)
    tiny = least_resources(load_config("tiny"), SystemConfig(), BOARD)
    require_fit(tiny, BOARD, name="tiny", way_out="")
    assert (tiny.dsp, tiny.block_ram) == (16 + 4 * 4, 46)
    narrow = least_of_system(load_config("ecp5-8x8"), usual_system(BOARDS["colorlight-i9"]), BOARDS["colorlight-i9"])
    assert narrow.block_ram > BOARDS["colorlight-i9"].has.block_ram  # which a whole synthesis would say, too


@pytest.mark.parametrize(
    ("preset", "board"),
    [("ecp5-4x4", "ulx3s-45f"), ("ecp5-8x8", "ulx3s-85f"), ("ecp5-8x16", "ulx3s-85f"), ("ecp5-16x16", "ulx3s-85f")],
)
def test_presets_for_boards_fit_them(preset: str, board: str) -> None:
    config, there = load_config(preset), BOARDS[board]
    for system in (SystemConfig(), SystemConfig(memory_bytes=CHIP.size, sdram=CHIP)):
        require_fit(least_of_system(config, system, there), there, name=preset, way_out="")


def test_block_rams_by_shape() -> None:
    assert [block_rams(*size) for size in ((64, 99), (512, 36), (512, 64), (8192, 64), (16384, 1), (2049, 9))] == [
        0, 1, 2, 32, 1, 2,
    ]  # fmt: skip


def test_boards_without_bitstreams() -> None:
    with pytest.raises(DeviceError, match=r"^board pynq-z2 must be one that bitstreams can be made for"):
        build_bitstream(load_config("tiny"), SystemConfig(), BOARDS["pynq-z2"])


class Echo(Component):
    """In place of a system: the line's bits, a little later."""

    def __init__(self, config: Config, system: SystemConfig) -> None:
        chip = {"sdram": Out(SdramPins(system.sdram))} if system.sdram else {}
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "running": Out(1), **chip})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.sync += self.tx.eq(self.rx)
        if "sdram" in self.signature.members:
            pins = self.sdram
            commands = (pins.ras, pins.cas, pins.we, pins.bank, pins.address, pins.mask, pins.output, pins.drive)
            m.d.sync += [line.eq(Cat(line[1:], self.rx)) for line in commands]
            m.d.comb += self.running.eq(pins.input.xor())
        return m


@pytest.mark.parametrize("board", boards_with_bitstreams() if SOAK else ["colorlight-i9"])
def test_pins_clock_and_options_of_a_board(board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr("tilewright.fpga.soc.top.System", Echo)
    config = load_config("tiny").replace(vector_lanes=1)
    system = replace(usual_system(BOARDS[board]), clock_hz=75_000_000)
    content, report = build_bitstream(config, system, BOARDS[board])
    assert len(content) > 10_000 and [*report.best.wanted_mhz.values()] == [pytest.approx(75, rel=1e-4)]


@pytest.mark.skipif(not SOAK, reason="takes minutes: in make soak")
@pytest.mark.parametrize("board", ["ulx3s-85f", "ulx3s-45f"])
def test_a_whole_board(board: str) -> None:
    content, report = build_bitstream(load_config("tiny"), SystemConfig(clock_hz=25_000_000), BOARDS[board])
    assert len(content) > 100_000 and report.resources["DSP"][0] == 36
    assert isinstance(report.best, Routed) and report.synthesis.latches == 0
