"""Instructions through the front and the end of an engine, with tokens and nests played by the test."""

import random
from collections import deque

import pytest
from tilewright.hw.sequencer import Sequencer
from tilewright.isa.instruction import gemm, sync
from tilewright.isa.table import Engine, Opcode

OTHERS = (Engine.LOAD, Engine.VECTOR, Engine.STORE)
IN_FLIGHT = 8


def random_instruction(rng, syncs=0.3):
    wait, signal = ([engine for engine in OTHERS if rng.random() < 0.4] for _ in range(2))
    if rng.random() < syncs:
        return sync(Engine.GEMM, wait=wait, signal=signal)
    return gemm(bounds=[rng.randint(1, 9)], act=(rng.randrange(99), [1]), wgt=(0, [1]), acc=(0, [0]), wait=wait,
                signal=signal)  # fmt: skip


class Surroundings:
    """The queue before a sequencer, its tokens, and the engine that walks and completes nests.

    Members
    -------
    log
        (cycle, event, index of the instruction), in order of time.
    acquire, release, nest
        Shares of the cycles in which those are accepted.
    complete
        Share of the cycles in which the oldest running nest completes.
    """

    def __init__(self, sequencer, context, instructions, rng, *, acquire=1.0, release=1.0, nest=1.0, complete=1.0):
        self.sequencer, self.context, self.rng = sequencer, context, rng
        self.instructions = list(instructions)
        self.shares = {"acquire": acquire, "release": release, "nest": nest, "complete": complete}
        self.log, self.now = [], 0
        self.head = self.released = self.acquired = 0
        self.nests, self.running = [n for n, i in enumerate(instructions) if i.opcode is not Opcode.SYNC], deque()
        self.completed = set()

    def _chance(self, name):
        return self.rng.random() < self.shares[name]

    def times(self, event):
        return {index: cycle for cycle, what, index in self.log if what == event}

    def _note(self, event, index):
        self.log.append((self.now, event, index))

    async def cycle(self):
        port, get, put = self.sequencer, self.context.get, self.context.set
        put(port.instruction.valid, self.head < len(self.instructions))
        if self.head < len(self.instructions):
            word = int.from_bytes(self.instructions[self.head].encode(), "little")
            put(port.instruction.payload.as_value(), word << 32 | self.head)
            put(port.instruction.payload.sync, self.instructions[self.head].opcode is Opcode.SYNC)
            put(port.instruction.payload.free, self.instructions[self.head]["wait"] == 0)
        put(port.tokens.acquire.ready, self._chance("acquire"))
        put(port.tokens.release.ready, self._chance("release"))
        put(port.nest.ready, self._chance("nest"))
        done = self.running.popleft() if self.running and self._chance("complete") else None
        put(port.complete, done is not None)
        if get(port.retired):
            self._note("retired", get(port.retired_index))
        if get(port.tokens.acquire.valid) and get(port.tokens.acquire.ready):
            assert get(port.tokens.acquire.payload) == self.instructions[self.head]["wait"] != 0
            assert self.now - 1 not in self.times("acquired").values(), "what was taken is not subtracted yet"
            self._note("acquired", self.head)
            self.acquired += 1
        if get(port.tokens.release.valid) and get(port.tokens.release.ready):
            assert get(port.tokens.release.payload) == self.instructions[self.released]["signal"]
            self._note("released", self.released)
            self.released += 1
        if get(port.nest.valid) and get(port.nest.ready):
            index = get(port.nest.payload.index)
            assert index == self.nests.pop(0)
            assert get(port.nest.payload.word).as_bits().to_bytes(64, "little") == self.instructions[index].encode()
            self.running.append(index)
            self._note("nest", index)
        if get(port.started):
            assert get(port.started_index) == self.head
            self._note("started", self.head)
        assert get(port.started) == (get(port.instruction.valid) & get(port.instruction.ready))
        self.head += get(port.instruction.ready) and get(port.instruction.valid)
        if done is not None:
            self._note("completed", done)
        await self.context.tick()
        self.now += 1

    async def until_retired(self, limit=5000):
        while self.released < len(self.instructions):
            await self.cycle()
            assert self.now < limit, self.log[-10:]


@pytest.fixture
def play(testbench):
    """Runs ``body(surroundings)`` around a fresh sequencer."""

    def run(instructions, body, **shares):
        sequencer = Sequencer(Opcode.GEMM)

        async def bench(context):
            await body(Surroundings(sequencer, context, instructions, random.Random(1), **shares))

        testbench(sequencer, bench)

    return run


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"acquire": 0.3},
        {"release": 0.3},
        {"nest": 0.3},
        {"complete": 0.3},
        {"acquire": 0.5, "release": 0.5, "nest": 0.5, "complete": 0.5},
    ],
)
def test_order(play, shares):
    rng = random.Random(2)
    instructions = [random_instruction(rng) for _ in range(150)]
    syncs = {n for n, i in enumerate(instructions) if i.opcode is Opcode.SYNC}

    async def body(world):
        await world.until_retired()
        times = {event: world.times(event) for event in ("acquired", "started", "retired", "released", "completed")}
        everything = list(range(len(instructions)))
        for event in ("started", "retired", "released"):
            assert list(times[event]) == everything, event
        assert list(times["acquired"]) == [n for n in everything if instructions[n]["wait"]]
        assert times["released"] == times["retired"]
        for n in everything:
            assert times["acquired"].get(n, -1) < times["started"][n] < times["retired"][n]
            if n in syncs:
                assert n not in times["completed"]
            else:
                assert times["completed"][n] < times["retired"][n]
            running = sum(start < times["started"][n] for start in times["started"].values())
            ended = sum(end < times["started"][n] for end in times["retired"].values())
            assert running - ended <= IN_FLIGHT + 2
        assert world.context.get(world.sequencer.pending) == 0

    play(instructions, body, **shares)


def test_tokens_are_taken_while_the_nest_before_runs(play):
    """The next instruction stands with its tokens, and goes in the very cycle in which the walker takes it."""
    instructions = [random_instruction(random.Random(n), syncs=0).replace(wait=1) for n in range(3)]

    async def body(world):
        await world.cycle()
        await world.cycle()
        world.shares |= {"nest": 0.0}
        for _ in range(10):
            await world.cycle()
        assert (world.acquired, world.head) == (2, 1)
        world.shares |= {"nest": 1.0, "acquire": 0.0}
        await world.cycle()
        assert world.log[-1] == (world.now - 1, "started", 1)
        await world.cycle()
        assert world.head == 2
        assert world.context.get(world.sequencer.waiting) == 1
        world.shares |= {"acquire": 1.0}
        await world.cycle()
        assert world.log[-1] == (world.now - 1, "acquired", 2)
        await world.cycle()
        assert {"nest", "started"} <= {event for now, event, _ in world.log if now == world.now - 1}

    play(instructions, body, complete=0.0)


def test_a_full_counter_holds_retirement_not_starts(play):
    """Giving waits and everything behind it retires later, but nests go on as far as there is room for them."""
    instructions = [random_instruction(random.Random(n), syncs=0) for n in range(20)]

    async def body(world):
        for _ in range(40):
            await world.cycle()
        assert world.released == 0
        assert not world.times("retired")
        assert IN_FLIGHT <= world.head <= IN_FLIGHT + 2
        port = world.sequencer
        assert [world.context.get(s) for s in (port.waiting, port.pending, port.oldest)] == [1, 1, 0]
        world.shares |= {"release": 1.0}
        await world.cycle()
        assert world.released == 1
        await world.until_retired()

    play(instructions, body, release=0.0)


def test_sync_waits_for_the_nests_before_it(play):
    instructions = [random_instruction(random.Random(1), syncs=0), sync(Engine.GEMM, signal=[Engine.STORE])]

    async def body(world):
        for _ in range(30):
            await world.cycle()
        assert (world.head, world.released) == (2, 0)
        world.shares |= {"complete": 1.0}
        await world.until_retired()
        assert world.times("retired")[0] < world.times("retired")[1]

    play(instructions, body, complete=0.0)


def test_sync_needs_no_walker(play):
    async def body(world):
        await world.until_retired(20)

    play([sync(Engine.GEMM, wait=[Engine.LOAD], signal=[Engine.STORE])] * 3, body, nest=0.0)


def test_halt(play):
    """Nothing is taken or started any more; what runs completes."""
    instructions = [random_instruction(random.Random(n), syncs=0.5) for n in range(6)]

    async def body(world):
        port = world.sequencer
        await world.cycle()
        world.context.set(port.halt, 1)
        before = world.acquired, world.head
        for _ in range(10):
            assert not world.context.get(port.tokens.acquire.valid)
            assert not world.context.get(port.nest.valid)
            await world.cycle()
        assert (world.acquired, world.head) == before
        assert world.context.get(port.awake)
        world.context.set(port.halt, 0)
        await world.until_retired()

    play(instructions, body)
