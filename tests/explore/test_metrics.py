"""Metrics, objectives and constraints; energy and clock."""

from pathlib import Path

import pytest
from tilewright.config import Config, load_config
from tilewright.errors import TilewrightError
from tilewright.explore.clock import ClockModel, clock_model, estimate_fmax
from tilewright.explore.energy import access_energy, run_energy
from tilewright.explore.measured_clocks import ClockSample, add_samples, read_samples
from tilewright.explore.metrics import FITS, METRICS, fitting, parse_constraint, parse_objectives, require_room
from tilewright.explore.rungs import Knowledge, Measurement, Rung
from tilewright.fpga.boards import BOARDS

BOARD = BOARDS["ulx3s-85f"]
RESOURCES = {"lut": 41_820.0, "ff": 8_364.0, "dsp": 39.0, "block_ram": 52.0}
KNOWN = Knowledge.of(
    [
        Measurement(Rung.SYNTHESIS, {"lut": 62_730.0}),
        Measurement(Rung.CLOSED_FORM, {**RESOURCES, "fmax": 1e8, "cycles": 1000.0, "macs": 1e6}),
        Measurement(Rung.TIMING, {"cycles": 200_000.0, "bytes_read": 3000.0, "bytes_written": 96.0}),
    ]
)


def test_each_number_is_of_the_highest_rung_that_knows_it() -> None:
    latency, area = METRICS["latency"], METRICS["area"]
    assert latency.of(KNOWN, BOARD) == pytest.approx(2e-3)
    assert latency.rungs(KNOWN) == (Rung.CLOSED_FORM, Rung.TIMING)
    assert area.of(KNOWN, BOARD) == pytest.approx(0.75) and METRICS["lut"].rungs(KNOWN) == (Rung.SYNTHESIS,)
    assert METRICS["throughput"].of(KNOWN, BOARD) == pytest.approx(5e8)
    assert METRICS["traffic"].of(KNOWN, BOARD) == 3096


@pytest.mark.parametrize(
    ("text", "excess"),
    [
        ("latency<=2ms", 0.0),
        ("latency <= 1 ms", 1.0),
        ("latency<=0.001s", 1.0),
        ("dsp<=60", -0.35),
        ("dsp>=60", 0.35),
        ("area<=50%", 0.5),
        ("area<=1.5", -0.5),
        ("throughput>=1GMAC/s", 0.5),
        ("traffic<=3KiB", 24 / 3072),
        ("fmax≥50MHz", -1.0),
    ],
)
def test_constraints(text: str, excess: float) -> None:
    assert parse_constraint(text).excess(KNOWN, BOARD) == pytest.approx(excess, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("latency<2ms", "constraint must read like 'latency<=2ms'"),
        ("speed<=2", "a metric must be one of latency, throughput, "),
        ("latency<=2kg", "the unit of latency must be s, with a prefix or without, not 'kg'"),
        ("latency<=2", "the unit of latency must be s"),
        ("dsp<=2ms", "the unit of dsp must be none, not 'ms'"),
        ("dsp<=2.3.4", "a constraint's limit must be a number, not '2.3.4'"),
    ],
)
def test_constraints_that_say_nothing(text: str, complaint: str) -> None:
    with pytest.raises(TilewrightError, match=f"^{complaint}"):
        parse_constraint(text)


def test_objectives() -> None:
    goals = parse_objectives(["latency"], ["throughput"])
    assert [goal.cost(KNOWN, BOARD) for goal in goals] == pytest.approx([2e-3, -5e8])
    with pytest.raises(TilewrightError, match=r"^objective area must be given once, not 2 times$"):
        parse_objectives(["area", "area"])
    with pytest.raises(TilewrightError, match=r"^the search must have an objective"):
        parse_objectives([])
    assert str(FITS) == "area <= 100.0%" and str(parse_constraint("latency<=2ms")) == "latency <= 2 ms"


def test_a_twentieth_of_the_look_up_tables_stays_free() -> None:
    area, lut = fitting(BOARD)
    assert area is FITS and str(lut) == "lut <= 79,458"


def test_constraints_that_leave_nothing() -> None:
    texts = ("latency<=2ms", "area<=80%", "latency>=3ms")
    with pytest.raises(TilewrightError, match=r"^constraints must leave .* not latency >= 3 ms with latency <= 2 ms$"):
        require_room([parse_constraint(text) for text in texts])
    require_room([parse_constraint(text) for text in ("latency<=2ms", "latency>=2ms")])


def test_energy_is_the_table_s() -> None:
    assert [access_energy(8, size << 10) for size in (8, 32, 1024)] == pytest.approx([10, 20, 100])
    config = load_config("vta-16")
    byte = run_energy(config, gemm_points=0, vector_steps=0, dram_bytes=1)
    assert byte == pytest.approx(1e-12 * (1950 / 8 + access_energy(1, 32 << 10)))
    point = run_energy(config, gemm_points=1, vector_steps=0, dram_bytes=0)
    memories = access_energy(16, 32 << 10) + access_energy(256, 256 << 10) + 2 * access_energy(64, 16 << 10)
    assert point == pytest.approx(1e-12 * (256 * 0.3 + memories))


def test_larger_arrays_have_slower_clocks() -> None:
    config = load_config("vta-16")
    clocks = [estimate_fmax(config.replace(block_in=size)) for size in (4, 8, 16, 32)]
    assert clocks == sorted(clocks, reverse=True) and 1.2 < clocks[0] / clocks[-1] < 1.5
    assert 0 < clock_model().worst_error < 0.5


def test_the_clock_is_a_line_through_systems_that_were_measured() -> None:
    def sample(size: int, placed: float, routed: float = 0.0, **other: int) -> ClockSample:
        config = Config(block_in=size, block_out=size, vector_lanes=4, **other)
        return ClockSample(config=config, board="ulx3s-85f", placed_mhz=placed, routed_mhz=routed)

    one = ClockModel.fitted([sample(4, 40, 50), sample(4, 60)])
    assert one.samples == 1 and one.fmax(sample(4, 1).config) == pytest.approx(75e6), "the latest, as if routed"
    assert one.exponent == pytest.approx(-0.152) and one.worst_error == pytest.approx(0.3)
    steep = [sample(size, 0, 100 * size**-0.6) for size in (4, 8, 16, 32)]
    many = ClockModel.fitted(steep)
    assert -0.3 < many.exponent < -0.2 and 0 < many.worst_error < 0.2
    assert ClockModel.fitted([*steep, sample(8, 0, 10)]).samples == 4


def test_measured_clocks_are_kept(tmp_path: Path) -> None:
    table = tmp_path / "clocks.json"
    table.write_text("[]")
    found = ClockSample(config=load_config("tiny"), board="ulx3s-85f", routed_mhz=47.5, tools={"pyosys": "1"})
    assert add_samples([found], table) == read_samples(table) == [found]
    assert add_samples([found], table) == [] and len(read_samples(table)) == 1
    with pytest.raises(TilewrightError, match=r"^the clock of tiny must be known as placed or as routed, in MHz$"):
        ClockSample(config=load_config("tiny"), board="ulx3s-85f")
    assert all(sample.tools and sample.date for sample in read_samples())
