"""The token network and the static checker, rule by rule."""

import time

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import ProgramError
from tilewright.isa.checker import check, check_program, require_legal, require_program
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, sync, vector
from tilewright.isa.program import Program, Run, Segment, encode_instructions
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, Function, Memory, Opcode
from tilewright.isa.tokens import execution_order, run_tokens

LOAD, GEMM, VECTOR, STORE = Engine
SEGMENTS = [4096, 256]


def lines(instructions, config=None):
    return [str(finding) for finding in check(instructions, config or load_config("tiny"), SEGMENTS)]


def test_order_follows_tokens(tiny):
    program = [
        sync(GEMM, wait=[LOAD]),
        sync(VECTOR, wait=[GEMM]),
        sync(LOAD, signal=[GEMM]),
        sync(GEMM, signal=[VECTOR]),
    ]
    assert execution_order(program, tiny) == (2, 0, 3, 1)
    assert lines([*program, finish()]) == []


def test_deadlocks_name_the_oldest_instruction(tiny):
    circle = [
        sync(LOAD),
        sync(GEMM, wait=[VECTOR], signal=[VECTOR]),
        sync(VECTOR, wait=[GEMM], signal=[GEMM]),
        finish(),
    ]
    assert lines(circle) == [
        "instruction 1 (SYNC): deadlock: GEMM waits for a token from VECTOR that never comes (3 instructions fetched)"
    ]
    with pytest.raises(ProgramError, match="instruction 1: deadlock"):
        execution_order(circle, tiny)


def test_a_full_queue_hides_what_would_help(tiny):
    """Four wait in the queue (queue_depth), so the one that gives is never fetched."""
    stuck = [sync(GEMM, wait=[LOAD])] + [sync(GEMM)] * tiny.queue_depth + [sync(LOAD, signal=[GEMM])]
    assert run_tokens(stuck, tiny).deadlock.index == 0
    assert run_tokens(stuck[:1] + stuck[2:], tiny).deadlock is None


def test_a_full_counter_stops_its_giver(tiny):
    narrow = tiny.replace(token_bits=1)
    giving = [sync(LOAD, signal=[GEMM])] * 2 + [sync(LOAD, signal=[VECTOR])]
    taking = [sync(GEMM, wait=[VECTOR]), sync(GEMM, wait=[LOAD]), sync(GEMM, wait=[LOAD])]
    middle = [sync(VECTOR, wait=[LOAD], signal=[GEMM])]
    assert lines([*giving, *taking, *middle, finish()], narrow) == [
        "instruction 1 (SYNC): deadlock: LOAD can't give a token to GEMM, whose counter stays full"
    ]
    assert lines([*giving, *taking, *middle, finish()], tiny) == []


def test_tokens_left_over_are_found():
    program = [sync(LOAD, signal=[GEMM]), sync(LOAD, signal=[GEMM]), sync(GEMM, wait=[LOAD]), finish()]
    assert lines(program) == ["instruction 1 (SYNC): 1 tokens that LOAD gives to GEMM are never taken"]


def test_ends():
    assert lines([]) == ["instruction 0 (end): the last instruction of a run must be FINISH"]
    assert lines([sync(LOAD)]) == ["instruction 0 (end): the last instruction of a run must be FINISH"]
    assert lines([finish(), finish()]) == ["instruction 0 (FINISH): FINISH must be the last instruction of a run"]


MOVE = load(memory=Memory.ACT, segment=0, offset=0, bounds=[2, 8], dram_strides=[32], mem=(0, [8, 1]))
OUT = store(memory=Memory.ACC, segment=1, offset=0, bounds=[2, 8], dram_strides=[128], mem=(0, [8, 1]))
MULTIPLY = gemm(bounds=[2, 8], act=(0, [8, 1]), wgt=(0, [1, 0]), acc=(0, [0, 1]))
SCALE = vector(
    function=Function.SUM, bounds=[4, 4], a=(Memory.ACC, 0, [4, 1]), b=(Memory.ACC, 0, [4, 1]), residual=True,
    dst=(Memory.ACT, 0, [4, 1]), bias=0, scale=0, channel_strides=[1, 0], table=0,
)  # fmt: skip

RULES = [
    (MOVE, {"memory": 6}, "LOAD): memory must be one of ACT, ACC, WGT, BIAS, SCALE, TABLE, not number 6"),
    (OUT, {"memory": 2}, "STORE): memory must be one of ACT, ACC, not number 2"),
    (OUT, {"row": 1}, "STORE): row must be below 1, not 1"),
    (MOVE, {"bound1": 0}, "LOAD): bound1 must be at least 1, not 0"),
    (MOVE, {"wait": 1}, "LOAD): wait must not name the instruction's own engine (bit 0)"),
    (sync(STORE), {"signal": 8}, "SYNC): signal must not name the instruction's own engine (bit 3)"),
    (MOVE, {"mem_base": 1009}, "LOAD mem): ACT addresses must be from 0 to 1023, not 1009 to 1024"),
    (MOVE, {"mem_stride2": -1}, "LOAD mem): ACT addresses must be from 0 to 1023, not -1 to 7"),
    (MOVE, {"offset": 4064}, "LOAD offset): segment 0 has 4096 bytes, not bytes 4064 to 4127"),
    (MOVE, {"segment": 2}, "LOAD offset): segment 2 has 0 bytes, not bytes 0 to 63"),
    (MOVE, {"dram_stride2": -32}, "LOAD offset): segment 0 has 4096 bytes, not bytes -32 to 31"),
    (MOVE, {"offset": 2}, "LOAD): offset must be a multiple of 4, not 2"),
    (MOVE, {"dram_stride2": 30}, "LOAD): dram_stride2 must be a multiple of 4, not 30"),
    (OUT, {"dram_stride2": 129}, "STORE): dram_stride2 must be a multiple of 8, not 129"),
    (MULTIPLY, {"wgt_base": 255}, "GEMM wgt): WGT addresses must be from 0 to 255, not 255 to 256"),
    (MULTIPLY, {"acc_base": 250}, "GEMM acc): ACC addresses must be from 0 to 255, not 250 to 257"),
    (SCALE, {"function": 5}, "VECTOR): function must be at most 4, not 5"),
    (SCALE, {"reduce": 6}, "VECTOR): reduce must be at most 5, not 6"),
    (SCALE, {"function": 4}, "VECTOR a): a_memory must be ACT (0) with MAC, not ACC (1)"),
    (SCALE, {"dst_memory": 1}, "VECTOR dst): dst_memory must be ACT (0) with a table, not ACC (1)"),
    (SCALE, {"table": 1}, "VECTOR): table must be below 1, not 1"),
    (SCALE, {"bias_base": 29}, "VECTOR bias_base): BIAS addresses must be from 0 to 31, not 29 to 32"),
    (SCALE, {"scale_base": 29}, "VECTOR scale_base): SCALE addresses must be from 0 to 31, not 29 to 32"),
    (
        SCALE,
        {"scale_base": 32, "scale_shared": 1},
        "VECTOR scale_base): SCALE addresses must be from 0 to 31, not 32 to 32",
    ),
    (SCALE, {"dst_base": 1020}, "VECTOR dst): ACT addresses must be from 0 to 1023, not 1020 to 1035"),
    (SCALE, {"b_base": 250}, "VECTOR b): ACC addresses must be from 0 to 255, not 250 to 265"),
]


@pytest.mark.parametrize(("instruction", "changes", "finding"), RULES, ids=[str(n) for n in range(len(RULES))])
def test_each_rule(instruction, changes, finding):
    segments = [4096, 1024]
    config = load_config("tiny")
    assert check([instruction, finish()], config, segments) == []
    found = [str(f) for f in check([sync(LOAD), instruction.replace(**changes), finish()], config, segments)]
    assert any(line.startswith(f"instruction 1 ({finding}") for line in found)
    with pytest.raises(ProgramError, match=r"instruction 1 \("):
        require_legal([sync(LOAD), instruction.replace(**changes), finish()], config, segments)


@pytest.mark.parametrize(
    ("instruction", "changes"),
    [
        (SCALE, {"b_base": 9999, "residual": 0}),
        (SCALE, {"a_base": 9999, "function": 0}),
        (SCALE, {"table": 7, "table_enable": 0}),
        (SCALE, {"bias_base": 4095, "bias_enable": 0}),
        (SCALE, {"reduce": 1, "dst_stride4": -1, "dst_base": 3}),
        (SCALE, {"minimum": 3, "maximum": -3}),
        (MULTIPLY, {"acc_stride0": 30000}),
        (MOVE, {"offset": 4096 - 64}),
    ],
)
def test_what_is_not_used_does_not_matter(instruction, changes):
    assert check([instruction.replace(**changes), finish()], load_config("tiny"), [4096, 1024]) == []


def test_wide_operands_must_be_aligned():
    config = load_config("8x16")
    odd = vector(function=Function.MAX, bounds=[2], a=(Memory.ACT, 1, [2]), dst=(Memory.ACT, 0, [3]))
    assert lines([odd, finish()], config) == [
        "instruction 0 (VECTOR a): a_base must be a multiple of 2, not 1",
        "instruction 0 (VECTOR dst): dst_stride4 must be a multiple of 2, not 3",
    ]


def test_bytes_that_are_no_instruction():
    raw = encode_instructions([sync(LOAD), sync(LOAD), finish()]).copy()
    raw[0] = 0
    raw[1, 60] = 1
    raw[2, 1] = 255
    assert lines(raw) == [
        "instruction 0 (unknown): opcode 0 is not known",
        "instruction 1 (SYNC): reserved bits must be 0",
        "instruction 2 (FINISH): reserved bits must be 0",
    ]


def test_random_bytes_never_crash_it(tiny):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (2000, 64), dtype=np.uint8)
    raw[:, 0] = raw[:, 0] & 0xF0 | rng.integers(1, 7, 2000, dtype=np.uint8)
    findings = check(raw, tiny, SEGMENTS)
    assert len(findings) > 2000 and all("\n" not in str(finding) for finding in findings)


def test_a_program_of_several_runs(tiny):
    code = encode_instructions([sync(LOAD), finish(), MOVE.replace(mem_base=9999), finish()])
    segment = Segment(name="s", size=4096, role="constants")
    steps = (Run(first=0, count=2), Run(first=2, count=2))
    program = Program(config=tiny, instructions=code, segments=(segment,), steps=steps)
    assert [finding.index for finding in check_program(program)] == [2]
    with pytest.raises(ProgramError, match=r"^instruction 2 \(LOAD mem\)"):
        require_program(program)


def test_a_hundred_thousand_instructions_take_seconds(tiny):
    program = random_program(tiny, 0, size=100, loose=0)
    raw = np.frombuffer(program.encode()[:-64] * 1000, dtype=np.uint8).reshape(-1, 64)
    raw = np.concatenate([raw, encode_instructions([finish()])])
    start = time.process_time()
    assert check(raw, tiny, program.segment_sizes) == []
    assert time.process_time() - start < 10


def test_every_opcode_reaches_the_checker():
    assert {i.opcode for i in (MOVE, OUT, MULTIPLY, SCALE, sync(LOAD), finish())} == set(Opcode)
    assert Instruction(Opcode.SYNC, {"engine": 3}).engine is STORE
