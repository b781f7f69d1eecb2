"""Whatever the engines' timing: random orders that tokens allow all give what the order written gives."""

from itertools import pairwise

import numpy as np
import pytest
from tilewright.isa.instruction import finish, sync
from tilewright.isa.launch import Launch
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import ENGINES, Memory
from tilewright.isa.tokens import run_tokens
from tilewright.simulator.oracle import OracleSimulator


def random_order(instructions, rng):
    """An order of the instructions without FINISH in which tokens are given before they are taken."""
    queues = {e: [n for n, i in enumerate(instructions) if i.engine == e] for e in ENGINES}
    tokens = {(e, f): 0 for e in ENGINES for f in ENGINES}
    order = []
    favourite = rng.permutation(len(ENGINES))
    while any(queues.values()):
        able = [
            e
            for e in ENGINES
            if queues[e] and all(tokens[f, e] for f in ENGINES if instructions[queues[e][0]]["wait"] >> f & 1)
        ]
        assert able, "deadlock"
        engine = min(able, key=lambda e: favourite[e]) if rng.random() < 0.7 else able[int(rng.integers(len(able)))]
        index = queues[engine].pop(0)
        for other in ENGINES:
            tokens[other, engine] -= instructions[index]["wait"] >> other & 1
            tokens[engine, other] += instructions[index]["signal"] >> other & 1
        order.append(index)
    return order


def one_after_the_other(instructions):
    """The instructions with tokens that allow the given order only."""
    chained = [i.replace(wait=0, signal=0) for i in instructions]
    for n, (before, after) in enumerate(pairwise(instructions)):
        if before.engine != after.engine:
            chained[n] = chained[n].replace(signal=1 << after.engine)
            chained[n + 1] = chained[n + 1].replace(wait=1 << before.engine)
    return chained


def result(program, instructions):
    """Everything that running `instructions` one after the other leaves behind, as bytes."""
    device = OracleSimulator(program.config)
    bases = [device.allocate(len(data)) for data in program.segments]
    for base, data in zip(bases, program.segments, strict=True):
        device.write(base, data)
    for memory, cells in program.memories.items():
        for row, copy in enumerate(cells):
            device.poke(memory, copy, row)
    raw = b"".join(i.encode() for i in one_after_the_other(instructions)) + finish().encode()
    code = device.allocate(len(raw))
    device.write(code, raw)
    limits = tuple(zip(bases, program.segment_sizes, strict=True))
    outcome = device.run(Launch(program=code, count=len(instructions) + 1, segments=limits))
    assert outcome.error == 0
    left = [device.read(base, len(data)).tobytes() for base, data in zip(bases, program.segments, strict=True)]
    return left + [device.peek(m, row).tobytes() for m in Memory for row in range(len(program.memories[m]))]


@pytest.mark.parametrize("seed", range(4))
def test_random_orders_give_one_result(config, seed):
    program = random_program(config, seed)
    body = program.instructions[:-1]
    rng = np.random.default_rng(seed)
    expected = result(program, body)
    orders = {tuple(random_order(body, rng)) for _ in range(4)} - {tuple(range(len(body)))}
    assert orders
    for order in orders:
        assert result(program, [body[index] for index in order]) == expected


def test_greedy_tokens_agree_with_random_orders(tiny):
    """Random tokens, most of them deadlocks: the greedy run ends where random orders with endless room end."""
    roomy = tiny.replace(queue_depth=64, token_bits=8)
    rng = np.random.default_rng(3)
    ends = 0
    for _ in range(300):
        body = []
        for _ in range(8):
            engine = ENGINES[int(rng.integers(4))]
            others = [e for e in ENGINES if e is not engine]
            wait, signal = ([e for e in others if rng.random() < p] for p in (0.1, 0.3))
            body.append(sync(engine, wait=wait, signal=signal))
        stuck = run_tokens(body, roomy).deadlock
        try:
            random_order(body, rng)
        except AssertionError:
            assert stuck
        else:
            assert stuck is None
            ends += 1
    assert 30 < ends < 270
