"""The requantiser against exact integers."""

import random
from collections import deque
from itertools import product

import pytest
from tilewright.hw.requantise import LATENCY, Requantiser

ROWS, LANES = 2, 4
INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def expected(value, entry, bits):
    """docs/isa.md, Requantise, in Python's integers."""
    product_ = signed(value << entry["left"], 32) * signed(entry["multiplier"], bits)
    right = entry["right"]
    if entry["single"]:
        return signed((product_ + (1 << bits - 2 + right)) >> bits - 1 + right, 32)
    nudged = product_ + (1 << bits - 2 if product_ >= 0 else 1 - (1 << bits - 2))
    toward_zero = abs(nudged) >> bits - 1
    high = signed(toward_zero if nudged >= 0 else -toward_zero, 32)
    magnitude = (abs(high) + (1 << right >> 1)) >> right
    return signed(magnitude if high >= 0 else -magnitude, 32)


def corners(bits):
    """(value, entry): extremes under every shift, and values that end exactly between two results."""
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    values = [INT_MIN, INT_MIN + 1, -1, 0, 1, INT_MAX - 1, INT_MAX]
    for right, single in product(range(32), (0, 1)):
        for value, multiplier in product(values, (least, least + 1, -1, 1, 1 << bits - 2, most)):
            yield value, {"multiplier": multiplier, "left": 0, "right": right, "single": single}
        for value, left in product((INT_MAX, INT_MIN, -3, 0x12345678), (1, 2, 30, 31)):
            yield value, {"multiplier": most, "left": left, "right": right, "single": single}
        for odd, sign, off in product((1, 3), (1, -1), (-1, 0, 1)):
            value = signed(sign * odd * (1 << right) + off, 32)
            yield value, {"multiplier": 1 << bits - 2, "left": 0, "right": right, "single": single}
            yield value, {"multiplier": least, "left": 0, "right": max(right - 1, 0), "single": single}


def randomly(rng, count):
    for _ in range(count):
        value = signed(rng.getrandbits(32) >> rng.randrange(32), 32) * rng.choice((1, -1))
        shift = {"left": rng.choice((0, 0, rng.randrange(32))), "right": rng.randrange(32)}
        yield signed(value, 32), {"multiplier": signed(rng.getrandbits(32), 32), **shift, "single": rng.getrandbits(1)}


class Flow:
    """Sends groups of values that share one entry a lane, with gaps, and compares what comes out."""

    def __init__(self, requantiser, bits, cases, rng, share):
        self.requantiser, self.bits, self.rng, self.share = requantiser, bits, rng, share
        self.cases = list(cases)

    async def body(self, context):
        port, rng = self.requantiser, self.rng
        results = deque([None] * LATENCY)
        while self.cases or any(results):
            wanted = results.popleft()
            if wanted is not None:
                shown = context.get(port.result)
                for row, lane in product(range(ROWS), range(LANES)):
                    result, case = wanted[row][lane]
                    assert shown[row][lane] == result, case
            valid = bool(self.cases) and rng.random() >= self.share
            context.set(port.valid, valid)
            results.append(self._send(context) if valid else None)
            if not valid:
                context.set(port.value, [[rng.randint(INT_MIN, INT_MAX)] * LANES] * ROWS)
            await context.tick()

    def _send(self, context):
        """One case a lane in row 0; row 1 has the values of the neighbouring lanes under the same entries."""
        group = [self.cases.pop() if self.cases else (0, dict.fromkeys(("multiplier", "left", "right", "single"), 0))
                 for _ in range(LANES)]  # fmt: skip
        entries = [entry for _, entry in group]
        values = [[value for value, _ in group], [group[lane - 1][0] for lane in range(LANES)]]
        enable = self.rng.random() < 0.9
        junk = {name: self.rng.getrandbits(1) for name in ("left_unused", "right_unused", "mode_unused", "spare")}
        context.set(self.requantiser.enable, enable)
        context.set(self.requantiser.value, values)
        context.set(self.requantiser.scale, [{**entry, **junk} for entry in entries])
        return [
            [
                (expected(value, entry, self.bits) if enable else value, (value, entry, enable))
                for value, entry in zip(row, entries, strict=True)
            ]
            for row in values
        ]


@pytest.mark.parametrize("bits", [8, 9, 16, 31, 32])
def test_exact(testbench, bits):
    rng = random.Random(bits)
    cases = [*corners(bits), *randomly(rng, 1500)]
    rng.shuffle(cases)
    requantiser = Requantiser(rows=ROWS, lanes=LANES, multiplier_bits=bits)
    testbench(requantiser, Flow(requantiser, bits, cases, rng, 0.1).body)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_rate(testbench, share):
    """A group in every cycle, or with gaps; a gap's junk disturbs nothing."""
    rng = random.Random(1)
    requantiser = Requantiser(rows=ROWS, lanes=LANES, multiplier_bits=16)
    testbench(requantiser, Flow(requantiser, 16, randomly(rng, 800), rng, share).body)


def test_model_by_hand():
    """A few results worked out on paper, so that model and hardware can't share a misreading."""
    half = {"multiplier": 1 << 30, "left": 0, "right": 0, "single": 0}
    assert [expected(value, half, 32) for value in (5, -5, 4, -4, 1, -1)] == [3, -2, 2, -2, 1, 0]
    single = {**half, "single": 1}
    assert [expected(value, single, 32) for value in (5, -5, 1, -1)] == [3, -2, 1, 0]
    away = {**half, "right": 1}
    assert [expected(value, away, 32) for value in (2, -2, 6, -6, 10, -10)] == [1, -1, 2, -2, 3, -3]
    upward = {**away, "single": 1}
    assert [expected(value, upward, 32) for value in (2, -2, 6, -6, 10, -10)] == [1, 0, 2, -1, 3, -2]
    wraps = {"multiplier": INT_MIN, "left": 0, "right": 0, "single": 0}
    assert expected(INT_MIN, wraps, 32) == INT_MIN
