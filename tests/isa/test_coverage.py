"""What random programs reach: bins that follow from the instruction table, counted exactly."""

import pytest
from tilewright.isa.coverage import Coverage, coverage_bins
from tilewright.isa.instruction import finish, gemm, load, sync, vector
from tilewright.isa.random_programs import RandomProgram, random_program
from tilewright.isa.table import INSTRUCTIONS, Engine, Function, Memory


def reached(config, *instructions, sizes=(4096,) * 8):
    """The bins that a program of `instructions` reaches."""
    coverage = Coverage()
    segments = tuple(bytes(size) for size in sizes)
    coverage.add(RandomProgram(config=config, seed=0, instructions=instructions, segments=segments))
    return {name for name, count in coverage.counts.items() if count}


def test_every_part_of_the_table_has_bins():
    bins = coverage_bins()
    assert len(set(bins)) == len(bins)
    for spec in INSTRUCTIONS:
        assert spec.name in bins
        for field in spec.fields:
            if field.name not in ("opcode", "reserved", "wait", "signal"):
                assert any(name.startswith(f"{spec.name}.{field.name} ") for name in bins), field.name


def test_nothing_is_reached_that_is_no_bin(config):
    coverage = Coverage()
    for seed in range(30):
        coverage.add(random_program(config, seed))
    assert coverage.counts.keys() <= set(coverage_bins())
    assert 50 < coverage.percent < 100


def test_walks_of_a_gemm(tiny):
    still, back = (0, [0, 0]), (tiny.acc_depth - 1, [-4, 0])
    found = reached(tiny, gemm(bounds=[3, 2], act=(4, [2, 1]), wgt=still, acc=back))
    assert {name for name in found if name.startswith(("GEMM act,", "GEMM wgt,", "GEMM acc,"))} == {
        "GEMM act, ACT, 2 loops, dense",
        "GEMM wgt, WGT, 2 loops, at cell 0",
        "GEMM wgt, WGT, 2 loops, stands still",
        "GEMM acc, ACC, 2 loops, at the last cell",
        "GEMM acc, ACC, 2 loops, backwards",
        "GEMM acc, ACC, 2 loops, repeats",
    }
    assert "GEMM loops 4 5" in found and "GEMM.bound5 is 2" in found and "GEMM.bound4 is between" in found


def test_a_reduction_moves_its_destination_outside_only(tiny):
    a, dst = (Memory.ACC, 0, [4, 1]), (Memory.ACC, 0, [1, 300])
    one = vector(function=Function.SUM, bounds=[3, 4], reduce=1, a=a, dst=dst)
    found = reached(tiny, one)
    assert {"VECTOR SUM a, ACC, 2 loops, dense", "VECTOR SUM dst, ACC, 1 loops, wraps"} <= found
    assert "VECTOR loops 3 4, 1 reduced" in found and "VECTOR SUM, 2 loops, 1 reduced" in found
    assert not any(name.startswith(("VECTOR SUM b,", "VECTOR SUM bias,", "VECTOR.bias_base")) for name in found)


def test_a_transfer_up_to_the_end_of_its_segment(tiny):
    whole = load(memory=Memory.TABLE, segment=5, offset=0, bounds=[2, 128], dram_strides=[128], mem=(0, [128, 1]))
    sizes = (64,) * 5 + (256, 64, 64)
    assert {name for name in reached(tiny, whole, sizes=sizes) if name.startswith("LOAD DRAM")} == {
        f"LOAD DRAM, TABLE, 1 loops, {corner}" for corner in ("at cell 0", "at the last cell", "dense")
    }


def test_tokens_and_neighbours(tiny):
    taken, given = sync(Engine.GEMM, wait=[Engine.LOAD]), sync(Engine.LOAD, signal=[Engine.GEMM, Engine.STORE])
    found = reached(tiny, taken, given, taken, finish())
    assert {"SYNC of GEMM, wait LOAD", "SYNC of GEMM, signal nobody", "SYNC of LOAD, signal GEMM STORE"} <= found
    assert "SYNC, then SYNC in GEMM" in found and "SYNC, then SYNC in LOAD" not in found


def test_counts_of_several_processes_add_up(tiny):
    parts = Coverage(), Coverage()
    for seed in range(8):
        parts[seed % 2].add(random_program(tiny, seed))
    whole = Coverage()
    for seed in range(8):
        whole.add(random_program(tiny, seed))
    parts[0].merge(parts[1].to_json())
    assert (parts[0].programs, parts[0].instructions) == (8, 200)
    assert parts[0].missing == whole.missing and parts[0].percent == whole.percent
    assert parts[0].counts["GEMM"] == whole.counts["GEMM"]


def test_what_is_missing_is_listed(tiny):
    coverage = Coverage()
    coverage.add(random_program(tiny, 0))
    lines = str(coverage).splitlines()
    assert f"of {len(coverage_bins()):,} bins" in lines[0] and "by 1 programs of 25 instructions" in lines[0]
    assert len(lines) == 1 + len(coverage.missing) and lines[1].startswith("never reached: ")
    assert coverage.percent == pytest.approx(100 * (1 - len(coverage.missing) / len(coverage_bins())))
