"""Start, stop, errors and reset of a run; the watchdog's own tests are in test_supervisor.py."""

import random

import pytest
from tilewright.hw.supervisor import Supervisor
from tilewright.isa.table import ErrorCode

SOURCES = ("fetch", "load", "gemm", "vector", "store")
PATIENCE = 60


class Desk:
    """Hands on the supervisor's inputs."""

    def __init__(self, supervisor, context):
        self.supervisor, self.context = supervisor, context
        context.set(supervisor.bus_idle, 1)

    def set(self, **values):
        for name, value in values.items():
            self.context.set(getattr(self.supervisor, name), value)

    def get(self, *names):
        values = tuple(self.context.get(getattr(self.supervisor, name)) for name in names)
        return values if len(names) > 1 else values[0]

    async def tick(self, count=1):
        for _ in range(count):
            await self.context.tick()

    async def pulse(self, name):
        """For one cycle; whether `begin` showed in it."""
        self.set(**{name: 1})
        shown = self.get("begin")
        await self.tick()
        self.set(**{name: 0})
        return shown

    async def fault(self, *sources, code=ErrorCode.ALIGNMENT, index=0):
        """All in one cycle, the first with `index`, each further one with 1 more."""
        ports = [getattr(self.supervisor, source) for source in sources]
        for number, port in enumerate(ports):
            self.context.set(port.valid, 1)
            self.context.set(port.code, code)
            self.context.set(port.index, index + number)
        await self.tick()
        for port in ports:
            self.context.set(port.valid, 0)

    async def until_reset(self):
        """Up to the cycle after `reset`, which shows in exactly one; how long it took."""
        waited = 0
        while not self.get("reset"):
            await self.tick()
            waited += 1
            assert waited < PATIENCE, "the reset must come"
        await self.tick()
        assert not self.get("reset")
        assert self.get("busy", "done", "error", "code", "index", "halt") == (0, 0, 0, ErrorCode.NONE, 0, 0)
        return waited


@pytest.fixture
def run(testbench):
    def start(body):
        supervisor = Supervisor(SOURCES)

        async def bench(context):
            await body(Desk(supervisor, context))

        testbench(supervisor, bench)

    return start


def test_a_good_run(run):
    async def body(desk):
        await desk.tick(3)
        assert desk.get("busy", "done", "error", "begin") == (0, 0, 0, 0)
        assert await desk.pulse("start")
        await desk.tick(10)
        assert desk.get("busy", "done", "error", "halt", "begin") == (1, 0, 0, 0, 0)
        await desk.pulse("finished")
        assert desk.get("busy", "done", "error", "code") == (0, 1, 0, 0)
        assert await desk.pulse("start")
        assert desk.get("busy", "done") == (1, 0)

    run(body)


def test_start_is_ignored_while_running_or_in_error(run):
    async def body(desk):
        await desk.pulse("start")
        await desk.tick(2)
        assert not await desk.pulse("start")
        await desk.fault("gemm")
        for _ in range(PATIENCE):
            assert not await desk.pulse("start")
        assert desk.get("busy", "error") == (0, 1)
        await desk.pulse("soft_reset")
        while not desk.get("reset"):
            assert not await desk.pulse("start")
        desk.set(start=1)
        assert not desk.get("begin")
        await desk.tick()
        assert desk.get("begin")

    run(body)


@pytest.mark.parametrize("seed", range(4))
def test_first_error_stays(run, seed):
    """Of several in one cycle the first listed wins; later ones change nothing."""
    rng = random.Random(seed)

    async def body(desk):
        for _ in range(12):
            await desk.pulse("start")
            await desk.tick(rng.randrange(4))
            together = sorted(rng.sample(range(len(SOURCES)), rng.randint(1, 5)))
            await desk.fault(*(SOURCES[n] for n in together), code=ErrorCode.BUS_READ, index=17)
            first = (ErrorCode.BUS_READ, 17)
            assert desk.get("code", "index") == first
            assert desk.get("halt", "error", "busy", "done") == (1, 1, 1, 0)
            await desk.fault(*SOURCES, code=ErrorCode.SEGMENT_LIMIT, index=3)
            await desk.pulse("finished")
            await desk.tick(rng.randrange(30))
            assert desk.get("code", "index") == first
            assert desk.get("done") == 0
            await desk.pulse("soft_reset")
            await desk.until_reset()

    run(body)


def test_faults_without_a_run_are_nothing(run):
    async def body(desk):
        await desk.fault("load")
        assert desk.get("error", "halt") == (0, 0)
        assert await desk.pulse("start")

    run(body)


def test_busy_until_the_bus_is_quiet(run):
    """After an error, and for a reset, transfers on the bus come to their end first."""

    async def body(desk):
        await desk.pulse("start")
        desk.set(bus_idle=0)
        await desk.fault("store")
        for _ in range(50):
            assert desk.get("busy", "halt", "reset") == (1, 1, 0)
            await desk.tick()
        await desk.pulse("soft_reset")
        for _ in range(50):
            assert desk.get("busy", "halt", "reset", "error") == (1, 1, 0, 1)
            await desk.tick()
        desk.set(bus_idle=1)
        await desk.tick(10)
        desk.set(bus_idle=0)
        await desk.tick()
        desk.set(bus_idle=1)
        assert await desk.until_reset() > 10

    run(body)


def test_error_ends_busy_without_a_reset(run):
    async def body(desk):
        await desk.pulse("start")
        await desk.fault("vector", code=ErrorCode.BUS_WRITE, index=9)
        await desk.tick(PATIENCE)
        assert desk.get("busy", "error", "code", "index", "halt") == (0, 1, ErrorCode.BUS_WRITE, 9, 1)

    run(body)


@pytest.mark.parametrize("when", ["idle", "running", "done", "in error"])
def test_reset_from_everywhere(run, when):
    async def body(desk):
        if when != "idle":
            await desk.pulse("start")
        if when == "done":
            await desk.pulse("finished")
        if when == "in error":
            await desk.fault("load")
        await desk.pulse("soft_reset")
        assert desk.get("busy", "halt") == (1, 1)
        await desk.until_reset()
        assert await desk.pulse("start")
        await desk.pulse("finished")
        assert desk.get("busy", "done", "error") == (0, 1, 0)

    run(body)
