"""Token counters against a table of numbers."""

import random
from itertools import permutations

import pytest
from tilewright.config import Config
from tilewright.hw.tokens import Tokens
from tilewright.isa.table import ENGINES


class Counting:
    """Random givers and takers; the counters' model decides what must be accepted."""

    def __init__(self, tokens, token_bits, rng, cycles, giving):
        self.links = {engine: getattr(tokens, engine.name.lower()) for engine in ENGINES}
        self.most = (1 << token_bits) - 1
        self.rng, self.cycles, self.giving = rng, cycles, giving
        self.counts = dict.fromkeys(permutations(ENGINES, 2), 0)
        self.seen = {"empty": 0, "full": 0, "both at once": 0, "several": 0}

    def _mask(self, engine):
        return sum((self.rng.random() < 0.3) << other for other in ENGINES if other is not engine)

    async def body(self, context):
        offers, took = {}, set()
        for _ in range(self.cycles):
            taken, given, rests, took = set(), set(), took, set()
            for key in [key for key in offers if self.rng.random() < 0.05]:
                del offers[key]  # otherwise all of them soon wait for one another
            for engine, link in self.links.items():
                for kind, share in (("acquire", 1 - self.giving), ("release", self.giving)):
                    stream = getattr(link, kind)
                    key = engine, kind
                    if key not in offers and key not in rests and self.rng.random() < share:
                        offers[key] = self._mask(engine)
                        context.set(stream.payload, offers[key])
                    context.set(stream.valid, key in offers)
            for (engine, kind), mask in sorted(offers.items(), key=lambda offer: offer[0][1], reverse=True):
                pairs = self._pairs(engine, kind, mask)
                stream = getattr(self.links[engine], kind)
                accepted = self._accepts(kind, pairs, given)
                assert context.get(stream.ready) == accepted, (engine, kind, mask, self.counts)
                self.seen["several"] += accepted and len(pairs) > 1
                if accepted:
                    (taken if kind == "acquire" else given).update(pairs)
                    del offers[engine, kind]
                    if kind == "acquire":
                        took.add((engine, kind))
            self.seen["both at once"] += len(taken & given)
            for pair in self.counts:
                self.counts[pair] += (pair in given) - (pair in taken)
            await context.tick()

    def _pairs(self, engine, kind, mask):
        others = [other for other in ENGINES if mask >> other & 1]
        return [(other, engine) if kind == "acquire" else (engine, other) for other in others]

    def _accepts(self, kind, pairs, given):
        """All or nothing. What is given can be taken at once, but what is taken makes room a cycle later."""
        if kind == "acquire":
            self.seen["empty"] += any(self.counts[pair] == 0 for pair in pairs)
            return all(self.counts[pair] > 0 or pair in given for pair in pairs)
        self.seen["full"] += any(self.counts[pair] == self.most for pair in pairs)
        return all(self.counts[pair] < self.most for pair in pairs)


@pytest.mark.parametrize(("token_bits", "giving"), [(1, 0.5), (2, 0.3), (2, 0.7), (4, 0.5), (4, 0.8)])
def test_counting(testbench, token_bits, giving):
    tokens = Tokens(Config(token_bits=token_bits))
    counting = Counting(tokens, token_bits, random.Random(token_bits), 1500, giving)
    testbench(tokens, counting.body)
    assert all(counting.seen.values()), counting.seen


def test_every_pair_by_itself(testbench):
    """A token from one engine to another is nobody else's."""
    tokens = Tokens(Config(token_bits=3))
    links = {engine: getattr(tokens, engine.name.lower()) for engine in ENGINES}

    def ready(context, source, target):
        acquire = links[target].acquire
        context.set(acquire.payload, 1 << source)
        return context.get(acquire.ready)

    async def body(context):
        for giver, taker in permutations(ENGINES, 2):
            context.set(links[giver].release.payload, 1 << taker)
            context.set(links[giver].release.valid, 1)
            await context.tick()
            context.set(links[giver].release.valid, 0)
            for pair in permutations(ENGINES, 2):
                assert ready(context, *pair) == (pair == (giver, taker))
            assert ready(context, giver, taker)
            context.set(links[taker].acquire.valid, 1)
            await context.tick()
            context.set(links[taker].acquire.valid, 0)
            assert not ready(context, giver, taker)

    testbench(tokens, body)
