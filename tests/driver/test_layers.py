"""Whose the cycles and bytes of a run are, on programs small enough to count by hand."""

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.driver.activity import Activity, activities_from_counters, bound_of
from tilewright.driver.layers import LayerReport, layer_reports, total_report
from tilewright.driver.session import StepRecord, layers_of_step
from tilewright.driver.timeline import timeline
from tilewright.isa.instruction import finish, gemm, load, store, sync, vector
from tilewright.isa.program import Layer, Program, Run, Segment, encode_instructions
from tilewright.isa.registers import COUNTERS
from tilewright.isa.table import ENGINES, Engine, Function, Memory

CONFIG = load_config("vta-16")
EVENTS = np.dtype([("cycle", "<u8"), ("index", "<u4"), ("engine", "u1"), ("retired", "u1")])
TILE = 256  # bytes of a weight tile
INSTRUCTIONS = [
    load(memory=Memory.ACT, segment=0, offset=0, bounds=[8], mem=(0, [1])),
    load(memory=Memory.WGT, segment=0, offset=0, bounds=[1], mem=(0, [1])),
    gemm(bounds=[8], act=(0, [1]), wgt=(0, [0]), acc=(0, [1])),
    load(memory=Memory.WGT, segment=0, offset=0, bounds=[2], mem=(4, [1])),  # for the second layer
    vector(function=Function.MAX, bounds=[8], a=(Memory.ACC, 0, [1]), dst=(Memory.ACT, 64, [1])),
    gemm(bounds=[2, 8], act=(64, [0, 1]), wgt=(4, [1, 0]), acc=(16, [0, 1])),
    store(memory=Memory.ACC, segment=1, offset=0, bounds=[8], mem=(16, [1])),
    finish(),
]
#          load    load     gemm      load      vector    gemm      store
TIMES = [(0, 20), (2, 50), (52, 60), (50, 90), (62, 80), (92, 110), (112, 150)]
CYCLES = 155


def program() -> Program:
    return Program(
        config=CONFIG,
        instructions=encode_instructions(INSTRUCTIONS),
        segments=(
            Segment(name="constants", size=4096, role="constants"),
            Segment(name="activations", size=4096, role="activations"),
        ),
        steps=(Run(first=0, count=len(INSTRUCTIONS)),),
        layers=(
            Layer(name="one", operator="conv", target="accelerator", macs=8 * TILE, first=0, count=5),
            Layer(name="two", operator="conv", target="accelerator", macs=16 * TILE, first=5, count=2),
        ),
    )


def record(events: bool = True) -> StepRecord:
    rows = [
        (cycle, index, INSTRUCTIONS[index].engine, retired)
        for index, times in enumerate(TIMES)
        for retired, cycle in enumerate(times)
    ]
    counters = dict.fromkeys(COUNTERS, 0) | {"cycles": CYCLES, "gemm_busy": 90, "load_busy": 85, "gemm_token": 10}
    step = program().steps[0]
    return StepRecord(step, layers_of_step(program(), 0), 0.0, counters, np.array(rows, EVENTS) if events else None)


def reports(events: bool = True) -> list[LayerReport]:
    return layer_reports(program(), [record(events)])


def test_cycles_go_to_the_layer_that_is_worked_for() -> None:
    one, two = reports()
    # Between the engines' work for layer one, the load for layer two has the core for two cycles, twice.
    assert one.cycles == 50 + (60 - 52) + (80 - 62)
    assert two.cycles == (52 - 50) + (62 - 60) + (CYCLES - 80)
    assert one.cycles + two.cycles == CYCLES
    assert one.busy == {"load": 50, "gemm": 8, "vector": 18, "store": 0}
    assert two.busy == {"load": 14, "gemm": 18, "vector": 0, "store": 38}
    assert (one.bound, two.bound) == ("load", "token")


def test_bytes_go_to_the_layer_that_reads_them() -> None:
    for one, two in (reports(), reports(events=False)):
        assert (one.bytes_read, one.bytes_written) == (8 * 16 + TILE, 0)
        assert (two.bytes_read, two.bytes_written) == (2 * TILE, 8 * 64)
        assert (one.ideal_cycles, two.ideal_cycles) == ((128 + TILE) // 8, 2 * TILE // 8)


def test_utilisation() -> None:
    one, two = reports()
    assert one.cycles and one.utilisation == pytest.approx(8 / one.cycles)
    assert two.cycles and two.utilisation == pytest.approx(16 / two.cycles)


@pytest.mark.parametrize("events", [True, False])
def test_the_total_is_the_counters(events: bool) -> None:
    total = total_report(program(), [record(events)], reports(events))
    assert (total.cycles, total.macs, total.bound) == (CYCLES, 24 * TILE, "load")
    assert total.busy == {"load": 85, "gemm": 80, "vector": 0, "store": 0}
    assert total.utilisation == pytest.approx(24 / CYCLES)
    assert total.ideal_cycles == (128 + 3 * TILE) // 8


def test_without_events_layers_have_no_time() -> None:
    for report in reports(events=False):
        assert report.cycles is report.utilisation is report.bound is None and report.busy == {}
    untimed = StepRecord(record().step, record().layers, 0.0, {"instructions": 8})
    total = total_report(program(), [untimed], layer_reports(program(), [untimed]))
    assert total.cycles is total.bound is None


def test_runs_follow_one_another_in_a_timeline() -> None:
    once, twice = (timeline(program(), [record()] * count)["traceEvents"] for count in (1, 2))
    slices = [event for event in once if event["ph"] == "X"]
    again = [event for event in twice if event["ph"] == "X"][len(slices) :]
    assert len(again) == len(slices)
    for first, second in zip(slices, again, strict=True):
        assert second["ts"] == pytest.approx(first["ts"] + CYCLES / 1000)
    prefetch = next(event for event in slices if event["args"].get("index") == 3)
    assert (prefetch["name"], prefetch["cat"], prefetch["ts"], prefetch["dur"]) == ("two", "LOAD", 0.05, 0.04)


def test_a_program_without_layers() -> None:
    bare = Program(
        config=CONFIG,
        instructions=encode_instructions([sync(Engine.LOAD), finish()]),
        steps=(Run(first=0, count=2),),
    )
    events = np.array([(5, 0, 0, 0), (6, 0, 0, 1)], EVENTS)
    ran = StepRecord(bare.steps[0], (), 0.0, {"cycles": 9}, events)
    assert layer_reports(bare, [ran]) == []
    assert [event["name"] for event in timeline(bare, [ran])["traceEvents"] if event["ph"] == "X"] == ["SYNC"]


@pytest.mark.parametrize(
    ("work", "bank", "expected"),
    [
        ({Engine.LOAD: 90, Engine.GEMM: 40}, {}, "load"),
        ({Engine.LOAD: 99, Engine.GEMM: 97}, {}, "gemm"),
        ({Engine.STORE: 80, Engine.LOAD: 30}, {}, "store"),
        ({Engine.VECTOR: 45, Engine.GEMM: 30}, {}, "token"),
        ({Engine.VECTOR: 30}, {Engine.VECTOR: 60}, "bank"),
        ({}, {}, "token"),
    ],
)
def test_what_binds(work: dict[Engine, int], bank: dict[Engine, int], expected: str) -> None:
    activities = {engine: Activity(work.get(engine, 0), bank.get(engine, 0)) for engine in ENGINES}
    assert bound_of(100, activities) == expected


def test_counters_that_are_not_there() -> None:
    assert activities_from_counters({"cycles": 5}) == {}
