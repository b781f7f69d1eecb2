"""Performance counters against sums."""

import random

from tilewright.config import Config
from tilewright.hw.counters import Counters
from tilewright.isa.registers import COUNTERS
from tilewright.isa.table import ENGINES

ACTIVITIES = ("busy", "token", "memory", "bank")


def test_counting(testbench):
    config = Config(bus_bits=128)
    counters, rng = Counters(config), random.Random(1)

    async def body(context):
        totals = dict.fromkeys(COUNTERS, 0)
        late, later, cleared = {}, {}, False
        for _ in range(700):
            shown = context.get(counters.values)
            assert {name: shown[n] for n, name in enumerate(COUNTERS)} == totals
            running, clear = rng.random() < 0.9, rng.random() < 0.01
            strobe = rng.getrandbits(config.bus_bytes) if rng.random() < 0.7 else 0
            beat, retired = rng.getrandbits(1), rng.getrandbits(len(ENGINES))
            steps = {"cycles": 1, "instructions": retired.bit_count(), "bytes_read": beat * config.bus_bytes,
                     "bytes_written": strobe.bit_count()}  # fmt: skip
            for engine in ENGINES:
                name = engine.name.lower()
                activity = {what: rng.getrandbits(1) for what in (*ACTIVITIES, "progress")}
                for what, value in activity.items():
                    context.set(getattr(getattr(counters, name), what), value)
                steps |= {f"{name}_{what}": activity[what] for what in ACTIVITIES}
            for name, value in {"running": running, "clear": clear, "retired": retired, "read_beat": beat,
                                "write_strobe": strobe}.items():  # fmt: skip
                context.set(getattr(counters, name), value)
            await context.tick()
            totals = {name: 0 if cleared else totals[name] + late.get(name, 0) for name in COUNTERS}
            late, later = ({}, {}) if clear else (later, steps if running else {})
            cleared = clear
        assert all(totals.values())

    testbench(counters, body)
