"""The Verilator harness by itself, with a small copying machine in the core's place that can be told to misbehave."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tilewright.cache import cache_directory
from tilewright.errors import DeviceError
from tilewright.isa.table import Memory
from tilewright.simulator.cycle.harness import Harness, ProtocolError, Settings
from tilewright.simulator.cycle.model import Array, Emitted, build_model

SOURCE, DESTINATION, BEATS, FAULT, CONTROL, STATUS = 0x20, 0x24, 0x28, 0x2C, 0x10, 0x14
EARLY_LAST, DROPPED_VALID, CHANGED_DATA = 1, 2, 3
FST_HEADER = b"\0" + (329).to_bytes(8, "big")  # a file begins with its header block, which has always this length
BASE, SIZE, BURST = 0x1000_0000, 1 << 16, 4

COPIER = r"""
module \tilewright.cells (clk, write, waddr, wdata, raddr, rdata);
  input clk, write; input [7:0] waddr, raddr; input [63:0] wdata; output [63:0] rdata;
  reg [63:0] memory [255:0];
  reg [63:0] rdata;
  always @(posedge clk) begin
    if (write) memory[waddr] <= wdata;
  end
  always @* rdata = memory[raddr];
endmodule

module tilewright (clk, rst, irq,
    m_axi__awvalid, m_axi__awready, m_axi__awid, m_axi__awaddr, m_axi__awlen, m_axi__awsize, m_axi__awburst,
    m_axi__wvalid, m_axi__wready, m_axi__wdata, m_axi__wstrb, m_axi__wlast,
    m_axi__bvalid, m_axi__bready, m_axi__bid, m_axi__bresp,
    m_axi__arvalid, m_axi__arready, m_axi__arid, m_axi__araddr, m_axi__arlen, m_axi__arsize, m_axi__arburst,
    m_axi__rvalid, m_axi__rready, m_axi__rid, m_axi__rdata, m_axi__rresp, m_axi__rlast,
    s_axi__awvalid, s_axi__awready, s_axi__awaddr, s_axi__awprot,
    s_axi__wvalid, s_axi__wready, s_axi__wdata, s_axi__wstrb, s_axi__bvalid, s_axi__bready, s_axi__bresp,
    s_axi__arvalid, s_axi__arready, s_axi__araddr, s_axi__arprot,
    s_axi__rvalid, s_axi__rready, s_axi__rdata, s_axi__rresp,
    trace__load__started, trace__load__started_index, trace__load__retired, trace__load__retired_index,
    trace__gemm__started, trace__gemm__started_index, trace__gemm__retired, trace__gemm__retired_index,
    trace__vector__started, trace__vector__started_index, trace__vector__retired, trace__vector__retired_index,
    trace__store__started, trace__store__started_index, trace__store__retired, trace__store__retired_index,
    clocks__load, clocks__gemm, clocks__vector, clocks__store, clocks__front, clocks__sample,
    awake__load, awake__gemm, awake__vector, awake__store, awake__front, awake__sample);
  input clk, rst; output irq;
  input clocks__load, clocks__gemm, clocks__vector, clocks__store, clocks__front, clocks__sample;
  output awake__load, awake__gemm, awake__vector, awake__store, awake__front, awake__sample;
  assign {awake__load, awake__gemm, awake__vector, awake__store, awake__front, awake__sample} = 0;
  output m_axi__awvalid; input m_axi__awready; output m_axi__awid; output [31:0] m_axi__awaddr;
  output [7:0] m_axi__awlen; output [2:0] m_axi__awsize; output [1:0] m_axi__awburst;
  output m_axi__wvalid; input m_axi__wready; output [63:0] m_axi__wdata; output [7:0] m_axi__wstrb;
  output m_axi__wlast; input m_axi__bvalid; output m_axi__bready; input m_axi__bid; input [1:0] m_axi__bresp;
  output m_axi__arvalid; input m_axi__arready; output m_axi__arid; output [31:0] m_axi__araddr;
  output [7:0] m_axi__arlen; output [2:0] m_axi__arsize; output [1:0] m_axi__arburst;
  input m_axi__rvalid; output m_axi__rready; input m_axi__rid; input [63:0] m_axi__rdata;
  input [1:0] m_axi__rresp; input m_axi__rlast;
  input s_axi__awvalid; output s_axi__awready; input [11:0] s_axi__awaddr; input [2:0] s_axi__awprot;
  input s_axi__wvalid; output s_axi__wready; input [31:0] s_axi__wdata; input [3:0] s_axi__wstrb;
  output s_axi__bvalid; input s_axi__bready; output [1:0] s_axi__bresp;
  input s_axi__arvalid; output s_axi__arready; input [11:0] s_axi__araddr; input [2:0] s_axi__arprot;
  output s_axi__rvalid; input s_axi__rready; output [31:0] s_axi__rdata; output [1:0] s_axi__rresp;
  output trace__load__started, trace__load__retired, trace__gemm__started, trace__gemm__retired;
  output trace__vector__started, trace__vector__retired, trace__store__started, trace__store__retired;
  output [31:0] trace__load__started_index, trace__load__retired_index, trace__gemm__started_index;
  output [31:0] trace__gemm__retired_index, trace__vector__started_index, trace__vector__retired_index;
  output [31:0] trace__store__started_index, trace__store__retired_index;

  reg [31:0] source, destination, beats, fault, runs;
  reg b_valid, r_valid, running, done, error, toggle;
  reg [31:0] r_data;
  reg [31:0] ar_beat, r_beat, aw_beat, w_beat, b_beat;

  wire csr_write = s_axi__awvalid & s_axi__wvalid & ~b_valid;
  assign s_axi__awready = csr_write, s_axi__wready = csr_write, s_axi__bvalid = b_valid, s_axi__bresp = 0;
  assign s_axi__arready = ~r_valid, s_axi__rvalid = r_valid, s_axi__rdata = r_data, s_axi__rresp = 0;
  assign irq = done;

  assign m_axi__arvalid = running & ar_beat < beats & ~(fault == 2 & toggle);
  assign m_axi__araddr = source + 8 * ar_beat, m_axi__arlen = 3, m_axi__arsize = 3, m_axi__arburst = 1;
  assign m_axi__arid = 0, m_axi__rready = running;
  wire loaded = running & r_beat == beats;
  assign m_axi__awvalid = loaded & aw_beat < beats;
  assign m_axi__awaddr = destination + 8 * aw_beat, m_axi__awlen = 3, m_axi__awsize = 3, m_axi__awburst = 1;
  assign m_axi__awid = 0, m_axi__wvalid = loaded & w_beat < beats, m_axi__wstrb = 8'hff, m_axi__bready = running;
  assign m_axi__wlast = (w_beat & 3) == (fault == 1 ? 1 : 3);
  wire [63:0] word;
  assign m_axi__wdata = word ^ {63'b0, fault == 3 & toggle};
  \tilewright.cells  cells (.clk(clk), .write(m_axi__rvalid & m_axi__rready), .waddr(r_beat[7:0]),
    .wdata(m_axi__rdata), .raddr(w_beat[7:0]), .rdata(word));

  assign trace__load__started = m_axi__arvalid & m_axi__arready & ar_beat == 0, trace__load__started_index = runs;
  assign trace__load__retired = m_axi__rvalid & m_axi__rready & r_beat + 1 == beats, trace__load__retired_index = runs;
  assign trace__gemm__started = 0, trace__gemm__retired = 0, trace__vector__started = 0, trace__vector__retired = 0;
  assign trace__gemm__started_index = 0, trace__gemm__retired_index = 0;
  assign trace__vector__started_index = 0, trace__vector__retired_index = 0;
  assign trace__store__started = m_axi__awvalid & m_axi__awready & aw_beat == 0, trace__store__started_index = runs;
  assign trace__store__retired = m_axi__bvalid & b_beat + 4 == beats, trace__store__retired_index = runs;

  always @(posedge clk) begin
    toggle <= ~toggle;
    if (s_axi__bready) b_valid <= 0;
    if (s_axi__rready) r_valid <= 0;
    if (csr_write) begin
      b_valid <= 1;
      case (s_axi__awaddr)
        12'h20: source <= s_axi__wdata;
        12'h24: destination <= s_axi__wdata;
        12'h28: beats <= s_axi__wdata;
        12'h2c: fault <= s_axi__wdata;
        12'h10: begin
          running <= 1; done <= 0; error <= 0; runs <= runs + 1;
          ar_beat <= 0; r_beat <= 0; aw_beat <= 0; w_beat <= 0; b_beat <= 0;
        end
      endcase
    end
    if (s_axi__arvalid & ~r_valid) begin
      r_valid <= 1;
      r_data <= s_axi__araddr == 12'h14 ? {29'b0, error, done, running} : source;
    end
    if (m_axi__arvalid & m_axi__arready) ar_beat <= ar_beat + 4;
    if (m_axi__rvalid & m_axi__rready) begin r_beat <= r_beat + 1; error <= error | m_axi__rresp != 0; end
    if (m_axi__awvalid & m_axi__awready) aw_beat <= aw_beat + 4;
    if (m_axi__wvalid & m_axi__wready) w_beat <= w_beat + 1;
    if (m_axi__bvalid & m_axi__bready) begin
      b_beat <= b_beat + 4; error <= error | m_axi__bresp != 0;
      if (b_beat + 4 == beats) begin running <= 0; done <= 1; end
    end
    if (rst) begin
      b_valid <= 0; r_valid <= 0; running <= 0; done <= 0; error <= 0; runs <= 0; toggle <= 0;
      ar_beat <= 0; r_beat <= 0; aw_beat <= 0; w_beat <= 0; b_beat <= 0; fault <= 0; beats <= 0;
    end
  end
endmodule
"""
CELLS = Array(Memory.ACT, 0, 0, ("cells", "memory"), 256, 8)


class Copier:
    """The copying machine with its DRAM."""

    def __init__(
        self,
        *,
        latency: int = 40,
        bandwidth: float = 0,
        stalls: int = 0,
        burst_beats: int = BURST,
        waveform: Path | None = None,
    ) -> None:
        form = waveform.suffix[1:] if waveform else None
        library = build_model(Emitted(COPIER, (CELLS,)), bus_bytes=8, waveform=form, name="cycle-copier")
        self.dram = np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)
        settings = Settings(self.dram.ctypes.data, BASE, SIZE, latency, bandwidth, burst_beats, stalls)
        self.harness = Harness(library, settings, trace=True, waveform=waveform)

    def copy(self, source: int, destination: int, beats: int, fault: int = 0) -> int:
        """Cycles that it took."""
        for register, value in ((SOURCE, source), (DESTINATION, destination), (BEATS, beats), (FAULT, fault)):
            self.harness.csr_write(register, value)
        self.harness.clear_events()
        self.harness.csr_write(CONTROL, 1)
        start = self.harness.cycle
        assert self.harness.run(200_000)
        return self.harness.cycle - start


def runtime_entries() -> list[Path]:
    """Verilator's run-time library in the cache."""
    return list(cache_directory().glob("verilator-*"))


@pytest.fixture
def make_copier():
    made: list[Copier] = []

    def make(**options) -> Copier:
        made.append(Copier(**options))
        return made[-1]

    yield make
    for copier in made:
        copier.harness.close()


@pytest.mark.parametrize("stalls", [0, 1, 2, 3])
@pytest.mark.parametrize("bandwidth", [0, 2.5])
def test_copies_exactly(make_copier, stalls, bandwidth):
    copier = make_copier(stalls=stalls, bandwidth=bandwidth)
    before = copier.dram.copy()
    copier.copy(BASE + 0x100, BASE + 0x8000, 256)
    assert np.array_equal(copier.dram[0x8000:0x8800], before[0x100:0x900])
    copier.dram[0x8000:0x8800] = before[0x8000:0x8800]
    assert np.array_equal(copier.dram, before)
    assert copier.harness.idle
    assert copier.harness.csr_read(STATUS) == 2
    assert np.array_equal(copier.harness.view(CELLS).reshape(-1), before[0x100:0x900])


def test_latency_and_full_rate(make_copier):
    times = {latency: make_copier(latency=latency).copy(BASE, BASE + 0x8000, 256) for latency in (1, 40, 140)}
    assert times[140] - times[40] == 200
    assert times[40] - times[1] == 78
    assert times[40] < 2 * 256 + 2 * 40 + 10


def test_bandwidth(make_copier):
    cycles = make_copier(bandwidth=2).copy(BASE, BASE + 0x8000, 256)
    assert cycles == pytest.approx(2 * 256 * 8 / 2, rel=0.1)


def test_with_verilators_own_scheduler(make_copier, tmp_path, monkeypatch):
    quick = make_copier(stalls=3).copy(BASE, BASE + 0x8000, 256)
    runtime = {entry.name: shutil.copytree(entry, tmp_path / entry.name) for entry in runtime_entries()}
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr("tilewright.simulator.cycle.model.take_over", lambda *_: False)
    copier = make_copier(stalls=3)
    assert copier.copy(BASE, BASE + 0x8000, 256) == quick
    assert np.array_equal(copier.dram[0x8000:0x8800], copier.dram[:0x800])
    assert {entry.name for entry in runtime_entries()} == set(runtime)  # what is not the model's own is built but once


def test_stalls_are_reproducible(make_copier):
    times = [make_copier(stalls=seed).copy(BASE, BASE + 0x8000, 256) for seed in (5, 5, 6)]
    assert times[0] == times[1] != times[2]


def test_outside_dram(make_copier):
    copier = make_copier()
    before = copier.dram.copy()
    copier.copy(BASE, BASE + SIZE - 32, 8)
    assert copier.harness.csr_read(STATUS) == 6
    before[-32:] = before[:32]
    assert np.array_equal(copier.dram, before)
    copier.copy(BASE - 0x1000, BASE, 4)
    assert copier.harness.csr_read(STATUS) == 6


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, (BASE + 0xFF0, BASE, 4), "read burst at 0x10000ff0 of 32 bytes crosses a 4 KiB boundary"),
        ({}, (BASE, BASE + 0xFF0, 4), "write burst at 0x10000ff0 of 32 bytes crosses a 4 KiB boundary"),
        ({}, (BASE + 4, BASE, 4), "read burst at 0x10000004 must start at a multiple of 8 bytes"),
        ({"burst_beats": 2}, (BASE, BASE, 4), "must have at most 2 beats, not 4"),
        ({}, (BASE, BASE, 4, EARLY_LAST), "WLAST is 1 on beat 2 of the 4 beats"),
        ({"stalls": 1}, (BASE, BASE, 256, DROPPED_VALID), "ARVALID fell before it was accepted"),
        ({"bandwidth": 1}, (BASE, BASE, 16, CHANGED_DATA), "the payload of channel W changed before it was accepted"),
    ],
)
def test_violations(make_copier, options, arguments, message):
    copier = make_copier(**options)
    with pytest.raises(ProtocolError, match=message):
        copier.copy(*arguments)
    with pytest.raises(ProtocolError, match=message):
        copier.harness.csr_read(STATUS)
    copier.harness.reset()
    if "burst_beats" not in options:
        copier.copy(BASE, BASE + 0x8000, 16)


def test_events(make_copier):
    copier = make_copier()
    copier.copy(BASE, BASE + 0x8000, 16)
    copier.copy(BASE, BASE + 0x8000, 16)
    events = copier.harness.events()
    assert events[["index", "engine", "retired"]].tolist() == [(2, 0, 0), (2, 0, 1), (2, 3, 0), (2, 3, 1)]
    steps = np.diff(events["cycle"].astype(np.int64))
    assert steps.tolist() == [40 + 15, 1, 15 + 40]


@pytest.mark.parametrize(("suffix", "start"), [("vcd", b"$version"), ("fst", FST_HEADER)])
def test_waveform(make_copier, tmp_path, suffix, start):
    path = tmp_path / f"wave.{suffix}"
    copier = make_copier(waveform=path)
    copier.copy(BASE, BASE + 0x8000, 16)
    copier.harness.close()
    content = path.read_bytes()
    assert len(content) > 1000
    assert content.startswith(start)


def test_models_do_not_disturb_each_other(make_copier):
    first, second = make_copier(), make_copier(latency=7)
    first.copy(BASE, BASE + 0x4000, 16)
    assert not second.harness.view(CELLS).any()
    second.copy(BASE + 0x100, BASE + 0x4000, 16)
    assert np.array_equal(first.harness.view(CELLS)[:16].reshape(-1), first.dram[:128])


def test_missing_verilator(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"verilator on PATH.*apt-get install verilator"):
        Copier()


def test_failed_build_names_its_log(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    broken = Emitted("module tilewright (clk); input clk; assign nonsense here; endmodule\n", ())
    with pytest.raises(DeviceError, match=r"verilator must build .* see .*cycle-broken\.log") as raised:
        build_model(broken, bus_bytes=8, name="cycle-broken")
    assert "nonsense" in Path(str(raised.value).split("see ")[1]).read_text()
