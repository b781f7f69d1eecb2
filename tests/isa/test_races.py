"""The race checker beside the reference: random programs and what becomes of them when a token is removed.

A soak (TILEWRIGHT_PROGRAMS from 100,000 on) plants a thousand races where the usual run plants a few.
"""

import os

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import ProgramError
from tilewright.isa.checker import check
from tilewright.isa.instruction import finish, gemm, load, store, sync
from tilewright.isa.program import Program, Run, Segment, encode_instructions
from tilewright.isa.race_reference import RaceReference, matched_tokens, without_token
from tilewright.isa.races import find_races, program_races, require_race_free
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, Memory

LOAD, GEMM, VECTOR, STORE = Engine
SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
PLANTED = 150 if SOAK else 20  # for each configuration
REMOVALS = 12  # of each program


def latest(races, instructions):
    """Of all racing pairs those that the checker reports: with the latest of each engine."""
    found = {}
    for first, second in sorted(races):
        found[second, instructions[first].engine] = first
    return {(first, second) for (second, _), first in found.items()}


def require_same(found, reference, instructions):
    """The checker's races are exactly those of the reference, cell by cell; whether there are any."""
    expected = reference.races(instructions)
    assert {(race.first, race.second) for race in found} == latest(expected, instructions)
    for race in found:
        assert (race.giver, race.taker) == (instructions[race.first].engine, instructions[race.second].engine)
        told = {
            (kind, (meeting.memory, meeting.number, cell))
            for meeting in race.meetings
            for kind in [(meeting.first_writes, meeting.second_writes)]
            for cell in meeting.cells.tolist()
        }
        kinds = ((True, False), (True, True), (False, True))
        known = zip(kinds, reference.meetings(race.first, race.second), strict=True)
        assert told == {(kind, place) for kind, met in known for place in met}
    return bool(expected)


def test_planted_races_are_found_and_nothing_else(config, record_property):
    """The checker finds exactly what the reference finds, whichever token is removed."""
    planted = harmless = seed = 0
    while planted < PLANTED:
        program = random_program(config, seed, points=40)
        body = program.instructions[:-1]
        reference = RaceReference(body, config)
        assert not require_same(find_races(body, config), reference, body)
        rng = np.random.default_rng(seed)
        tokens = matched_tokens(body)
        for place in rng.permutation(len(tokens))[:REMOVALS]:
            changed = without_token(body, *tokens[place])
            if program.strict:
                assert check([*changed, finish()], config, program.segment_sizes) == []
            if require_same(find_races(changed, config), reference, changed):
                planted += 1
            else:
                harmless += 1
        seed += 1
    line = f"{planted} races planted in random programs for {config.name}, all found; {harmless} removals left no race"
    record_property("figure", line)


def test_programs_without_tokens(config):
    for seed in range(3):
        body = [i.replace(wait=0, signal=0) for i in random_program(config, seed, points=20).instructions[:-1]]
        reference = RaceReference(body, config)
        require_same(find_races(body, config), reference, body)


def pair(giver=(), taker=()):
    """A LOAD of 4 cells of WGT and a GEMM that reads two of them."""
    return [
        load(memory=Memory.WGT, segment=0, offset=0, bounds=[4], mem=(0, [1]), signal=giver),
        gemm(bounds=[2], act=(0, [0]), wgt=(2, [1]), acc=(0, [0]), wait=taker),
        finish(),
    ]


def test_a_race_tells_all_that_is_needed():
    tiny = load_config("tiny")
    (race,) = find_races(pair(), tiny, first=10)
    assert str(race) == (
        "instructions 10 (LOAD) and 11 (GEMM) meet in WGT cells 2..3, which 10 writes and 11 reads; no token orders "
        "them: 10 must give one to GEMM, and 11 take it from LOAD"
    )
    assert find_races(pair([GEMM], [LOAD]), tiny) == []


def test_what_follows_finish_does_not_count():
    tiny = load_config("tiny")
    assert find_races([finish(), *pair()], tiny) == []


def test_bytes_of_dram_and_rows():
    config = load_config("vta-16").replace(rows=2)
    cell = config.granule
    instructions = [
        store(memory=Memory.ACT, row=1, segment=3, offset=2 * cell, bounds=[2], mem=(0, [1])),
        load(memory=Memory.ACT, row_mask=2, segment=3, offset=3 * cell, bounds=[9], mem=(1, [1])),
        finish(),
    ]
    (race,) = find_races(instructions, config)
    assert {str(meeting) for meeting in race.meetings} == {"bytes 48..63 of segment 3", "ACT cells 1 of row 1"}
    other_row = [instructions[0].replace(row=0, segment=4), *instructions[1:]]
    assert find_races(other_row, config) == []


def test_tokens_given_later_in_the_program():
    tiny = load_config("tiny")
    first, second, _ = pair()
    turned = [second.replace(wait=1 << LOAD), first.replace(signal=1 << GEMM), finish()]
    assert find_races(turned, tiny) == []
    assert [(race.first, race.second) for race in find_races([second, first, finish()], tiny)] == [(0, 1)]


def test_a_deadlock_is_no_race():
    with pytest.raises(ProgramError, match="deadlock"):
        find_races([sync(GEMM, wait=[LOAD]), finish()], load_config("tiny"))


def test_runs_of_a_program_are_apart():
    tiny = load_config("tiny")
    first, second, end = pair()
    both = [first, second, end]
    apart = [first, end, second, end]
    segments = (Segment(name="weights", size=4096, role="constants"),)

    def program(instructions, *runs):
        steps = tuple(Run(first=start, count=count) for start, count in runs)
        return Program(config=tiny, instructions=encode_instructions(instructions), segments=segments, steps=steps)

    assert program_races(program(apart, (0, 2), (2, 2))) == []
    with pytest.raises(ProgramError, match=r"instructions 3 \(LOAD\) and 4 .*\(and 1 more races\)"):
        require_race_free(program([first, second, end, *both, *both], (3, 3), (6, 3)))


def test_long_programs_without_order_take_seconds():
    """10,000 instructions that nothing orders: 50 million pairs, none of which is looked at alone."""
    config = load_config("vta-16")
    body = []
    for where in (n % 512 for n in range(5000)):
        body.append(load(memory=Memory.ACT, segment=0, offset=0, bounds=[1], mem=(where, [1])))
        body.append(store(memory=Memory.ACT, segment=1, offset=0, bounds=[1], mem=(where + 512, [1])))
    assert find_races([*body, finish()], config) == []
