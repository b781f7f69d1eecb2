"""The vector engine's window of pending destinations against a list."""

import random
from collections import deque

import pytest
from amaranth.lib.data import StructLayout
from tilewright.hw.vector_window import VectorWindow

PLACES = (0, 1, 2, 255, 256, 257, 259, 511)
WRITTEN = StructLayout({"rows": 2, "last": 1})


@pytest.mark.parametrize(("depth", "claims"), [(2, 0.5), (5, 0.3), (5, 0.8), (21, 0.95)])
def test_window(testbench, depth, claims):
    rng = random.Random(depth)
    window = VectorWindow(place_bits=9, written=WRITTEN, depth=depth)
    seen = {"full": 0, "empty": 0, "hit_a": 0, "hit_b": 0, "twice": 0, "both at once": 0, "held": 0}

    async def body(context):
        held, places, ages = deque(), deque(), deque()
        present = None
        for now in range(1500):
            assert context.get(window.room) == (len(held) < depth)
            seen["full"] += len(held) == depth
            seen["empty"] += not held
            seen["twice"] += len(set(places)) < len(places)
            for operand, place in (present or {}).items():
                assert context.get(getattr(window, f"hit_{operand}")) == (place in places)
                seen[f"hit_{operand}"] += place in places
            shows = bool(held) and now >= ages[0] + 2
            if shows:
                oldest = context.get(window.oldest)
                assert {name: oldest[name] for name in held[0]} == held[0]
            move = rng.random() < 0.7
            claim, release = len(held) < depth and rng.random() < claims, shows and rng.random() < 0.5
            coming = {operand: rng.choice(PLACES) for operand in "ab"}
            for operand, place in coming.items():
                context.set(getattr(window, f"next_{operand}"), place)
            context.set(window.move, move)
            present = coming if move else present
            seen["held"] += not move
            entry, place = {"rows": rng.getrandbits(2), "last": rng.getrandbits(1)}, rng.choice(PLACES)
            context.set(window.claimed, entry)
            context.set(window.place, place)
            context.set(window.claim, claim)
            context.set(window.release, release)
            claim = claim and move
            seen["both at once"] += claim and release
            await context.tick()
            if release:
                for queue in (held, places, ages):
                    queue.popleft()
            if claim:
                held.append(entry)
                places.append(place)
                ages.append(now + 1)

    testbench(window, body)
    assert all(seen.values()), seen
