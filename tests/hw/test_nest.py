"""The nest counters against loops in Python."""

import random
from itertools import product

import pytest
from tilewright.hw.nest import NestWalker

OPERANDS = {"a": 8, "b": 5}
CONTEXT_BITS = 6
DIMS = 3


def singles(bounds):
    return sum((bound == 1) << d for d, bound in enumerate(bounds))


def random_nest(rng, dims, longest):
    bounds = [rng.choice([1, 1, 2, 3, rng.randint(1, longest)]) for _ in range(dims)]
    nest = {"bound": bounds, "single": singles(bounds), "context": rng.getrandbits(CONTEXT_BITS)}
    for name, bits in OPERANDS.items():
        nest[f"{name}_base"] = rng.getrandbits(bits)
        nest[f"{name}_stride"] = [rng.randint(-(1 << bits - 1), (1 << bits - 1) - 1) for _ in range(dims)]
    return nest


def points(nest):
    """Every point of `nest` as the walker has to show it."""
    bounds = nest["bound"]
    for index in product(*map(range, bounds)):
        addresses = {
            name: (nest[f"{name}_base"] + sum(i * s for i, s in zip(index, nest[f"{name}_stride"], strict=True)))
            % (1 << bits)
            for name, bits in OPERANDS.items()
        }
        zero = sum((i == 0) << d for d, i in enumerate(index))
        end = sum((i == b - 1) << d for d, (i, b) in enumerate(zip(index, bounds, strict=True)))
        yield {**addresses, "zero": zero, "end": end, "last": int(end == (1 << len(bounds)) - 1),
               "context": nest["context"]}  # fmt: skip


class Walk:
    """Offers nests, takes points, and notes the cycle of each."""

    def __init__(self, walker, nests, rng, share):
        self.walker, self.nests, self.rng, self.share = walker, list(nests), rng, share
        self.expected = [point for nest in nests for point in points(nest)]
        self.cycles = []
        self.started = []

    async def body(self, context):
        start, point = self.walker.start, self.walker.point
        now, offered = 0, 0
        while self.expected:
            assert now < 50_000, "the walker must come to an end"
            offered = offered or (self.nests and self.rng.random() >= self.share)
            if offered:
                context.set(start.payload, self.nests[0])
            context.set(start.valid, bool(offered))
            context.set(point.ready, self.rng.random() >= self.share)
            ready = context.get(point.ready)
            if context.get(point.valid):
                shown = context.get(point.payload)
                assert {name: shown[name] for name in self.expected[0]} == self.expected[0]
                if ready:
                    self.expected.pop(0)
                    self.cycles.append(now)
            if offered and context.get(start.ready):
                self.nests.pop(0)
                self.started.append(now)
                offered = 0
            await context.tick()
            now += 1
        context.set(start.valid, 0)
        for _ in range(4):
            assert not context.get(point.valid), "no point may follow the last nest's last"
            await context.tick()


@pytest.mark.parametrize("dims", [1, 2, DIMS, 6])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_points(testbench, dims, share):
    rng = random.Random(dims)
    walker = NestWalker(dims=dims, bound_bits=4, operands=OPERANDS, context=CONTEXT_BITS)
    testbench(walker, Walk(walker, [random_nest(rng, dims, 15 if dims < 3 else 4) for _ in range(25)], rng, share).body)


def test_no_gap_between_nests(testbench):
    """The first point follows its nest by one cycle; after that there is a point in every cycle."""
    rng = random.Random(7)
    nests = [random_nest(rng, DIMS, 5) for _ in range(30)]
    nests[3:7] = [{**nest, "bound": [1] * DIMS, "single": singles([1] * DIMS)} for nest in nests[3:7]]
    walker = NestWalker(dims=DIMS, bound_bits=4, operands=OPERANDS, context=CONTEXT_BITS)
    walk = Walk(walker, nests, rng, 0.0)
    count = len(walk.expected)
    testbench(walker, walk.body)
    assert walk.cycles == list(range(1, count + 1))


def test_start_waits_for_the_last_point(testbench):
    """A nest is taken in no earlier cycle than the last point of the one before."""
    rng = random.Random(8)
    nests = [random_nest(rng, 2, 9) for _ in range(10)]
    walker = NestWalker(dims=2, bound_bits=4, operands=OPERANDS, context=CONTEXT_BITS)
    walk = Walk(walker, nests, rng, 0.3)
    sizes = [len(list(points(nest))) for nest in nests]
    testbench(walker, walk.body)
    for number in range(1, len(nests)):
        assert walk.started[number] >= walk.cycles[sum(sizes[:number]) - 1]


def test_greatest_bounds(testbench):
    """All bits of a bound count."""
    rng = random.Random(9)
    nest = {**random_nest(rng, 2, 4), "bound": [255, 2], "single": 0}
    walker = NestWalker(dims=2, bound_bits=8, operands=OPERANDS, context=CONTEXT_BITS)
    testbench(walker, Walk(walker, [nest, {**nest, "bound": [1, 254], "single": 1}], rng, 0.0).body)
