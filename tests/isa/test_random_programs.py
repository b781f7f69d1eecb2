"""Random programs: legal, free of races and deadlocks, varied, repeatable; and shrinking them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tilewright.errors import ProgramError
from tilewright.isa.checker import check
from tilewright.isa.dependence import footprint
from tilewright.isa.races import find_races
from tilewright.isa.random_programs import RandomProgram, ordered, random_program
from tilewright.isa.shrink import shrink
from tilewright.isa.table import Function, Memory, Opcode
from tilewright.isa.tokens import execution_order, run_tokens

SEEDS = range(12)


def test_programs_are_legal_and_have_one_result(config):
    for seed in SEEDS:
        program = random_program(config, seed)
        findings = check(program.instructions, config, program.segment_sizes)
        assert not (program.strict and findings), findings[0]
        order = execution_order(program.instructions, config)
        assert sorted(order) == list(range(24))
        assert not find_races(program.instructions, config)


def test_small_counters_never_deadlock(tiny):
    """Redundant tokens leave room for those that are needed."""
    config = tiny.replace(token_bits=1, queue_depth=2)
    for seed in (*range(20), 60, 288):
        program = random_program(config, seed, points=20, size=40)
        assert run_tokens(program.instructions, config).deadlock is None


def test_everything_is_covered(tiny):
    seen = Counter()
    for seed in range(60):
        program = random_program(tiny, seed)
        seen[("strict", program.strict)] += 1
        for i in program.instructions:
            seen[i.opcode] += 1
            seen[(i.opcode, "depth", sum(bound > 1 for bound in i.nest.bounds))] += 1
            if i.opcode is Opcode.VECTOR:
                seen.update(
                    (name, i[name]) for name in ("function", "reduce", "residual", "table_enable", "dst_memory")
                )
            if i.opcode in (Opcode.LOAD, Opcode.STORE):
                seen[(i.opcode, Memory(i["memory"]))] += 1
    expected = [*Opcode, ("strict", True), ("strict", False)]
    expected += [("function", function) for function in Function] + [("reduce", n) for n in range(6)]
    expected += [(Opcode.LOAD, memory) for memory in Memory] + [(Opcode.STORE, Memory.ACT), (Opcode.STORE, Memory.ACC)]
    expected += [(Opcode.GEMM, "depth", n) for n in range(7)] + [(Opcode.VECTOR, "depth", n) for n in range(6)]
    expected += [(name, 1) for name in ("residual", "table_enable", "dst_memory")]
    assert not [key for key in expected if not seen[key]]


def test_same_seed_same_program_and_file(tiny, tmp_path):
    program = random_program(tiny, 7)
    again = random_program(tiny, 7)
    program.save(tmp_path / "deep" / "case")
    loaded = RandomProgram.load(tmp_path / "deep" / "case")
    for other in (again, loaded):
        assert other.encode() == program.encode() and other.config == tiny and other.strict == program.strict
        assert all(map(np.array_equal, other.segments, program.segments))
        assert all(np.array_equal(other.memories[m], program.memories[m]) for m in Memory)
    with pytest.raises(ProgramError, match="must be readable"):
        RandomProgram.load(tmp_path / "none")


def brute_force(instruction, config):
    """(reads, writes) of a GEMM or VECTOR as sets of (memory, cell), point by point as the manual has it."""
    reads, writes = set(), set()
    bounds = instruction.nest.bounds

    def wide(memory, address, channels):
        granules = channels // config.granule if memory is Memory.ACT else 1
        depth = {Memory.ACT: config.act_depth, Memory.ACC: config.acc_depth, Memory.WGT: config.wgt_depth}[memory]
        return {(memory, (address // granules * granules + k) % depth) for k in range(granules)}

    def at(name, index):
        return instruction[f"{name}_base"] + sum(instruction[f"{name}_stride{d}"] * i for d, i in enumerate(index))

    for index in np.ndindex(*bounds):
        if instruction.opcode is Opcode.GEMM:
            reads |= wide(Memory.ACT, at("act", index), config.block_in) | wide(Memory.WGT, at("wgt", index), 0)
            writes |= wide(Memory.ACC, at("acc", index), 0)
            continue
        split = len(bounds) - instruction["reduce"]
        last = all(i == bound - 1 for i, bound in zip(index[split:], bounds[split:], strict=True))
        memory = {name: Memory.ACC if instruction[f"{name}_memory"] else Memory.ACT for name in ("a", "b", "dst")}
        mac = instruction["function"] == Function.MAC
        if instruction["function"] != Function.ZERO:
            reads |= wide(memory["a"], at("a", index), config.block_out)
        if mac or (instruction["residual"] and last):
            reads |= wide(memory["b"], at("b", index), config.block_out)
        if last:
            writes |= wide(memory["dst"], at("dst", index), config.block_out)
    return reads, writes


def test_footprints_agree_with_the_manual_point_by_point(config):
    compared = 0
    for seed in range(4):
        for instruction in random_program(config, seed, points=60).instructions:
            if instruction.opcode not in (Opcode.GEMM, Opcode.VECTOR):
                continue
            if instruction.opcode is Opcode.VECTOR:
                instruction = instruction.replace(row_mask=255)
            touched = footprint(instruction, config)
            shared = (Memory.BIAS, Memory.SCALE, Memory.TABLE)
            got = [
                {(region.memory, int(cell)) for region in side if region.memory not in shared for cell in region.cells}
                for side in (touched.reads, touched.writes)
            ]
            assert tuple(got) == brute_force(instruction, config)
            compared += 1
    assert compared > 20


def test_shrinking_finds_the_culprit(tiny):
    def fails(program):
        return any(i.opcode is Opcode.GEMM and i["bound5"] >= 3 for i in program.instructions)

    seed = next(seed for seed in range(100) if fails(random_program(tiny, seed)))
    small = shrink(random_program(tiny, seed), fails)
    assert [i.opcode for i in small.instructions] == [Opcode.GEMM, Opcode.FINISH]
    assert small.instructions[0].nest.bounds == (1, 1, 1, 1, 1, 3)


def test_shrinking_keeps_tokens_that_the_failure_needs(tiny):
    def fails(program):
        return sum(i["signal"].bit_count() for i in program.instructions[:-1]) >= tokens

    program = random_program(tiny, 3)
    syncs = [i for i in program.instructions if i.opcode is Opcode.SYNC]
    tokens = sum(i["signal"].bit_count() for i in program.instructions[:-1])
    minimal = ordered(program.instructions[:-1], tiny, program.segment_sizes)
    assert sum(i["signal"].bit_count() for i in minimal) < tokens or not syncs
    small = shrink(program, fails)
    assert fails(small) and len(small.instructions) <= len(program.instructions)
    assert check(small.instructions, tiny, small.segment_sizes) == []
    assert not fails(replace(small, instructions=small.instructions[-1:]))
