"""The course of a run: what starts it, what ends it, and who is to blame."""

import pytest
from tilewright.hw.supervisor import Supervisor
from tilewright.isa.table import ErrorCode


async def started(supervisor, context, **inputs):
    context.set(supervisor.bus_idle, 1)
    for name, value in inputs.items():
        context.set(getattr(supervisor, name), value)
    context.set(supervisor.start, 1)
    await context.tick()
    context.set(supervisor.start, 0)


async def cycles_until(context, signal, limit=200):
    for cycle in range(limit):
        if context.get(signal):
            return cycle
        await context.tick()
    return None


@pytest.mark.parametrize("watchdog, cycles", [(0, None), (1, 10), (8, 10), (20, 22)])
def test_the_watchdog_counts_cycles_without_progress(testbench, watchdog, cycles):
    supervisor = Supervisor(("engine",))

    async def body(context):
        await started(supervisor, context, watchdog=watchdog, oldest=7, progress=1)
        assert await cycles_until(context, supervisor.error) is None
        context.set(supervisor.progress, 0)
        assert await cycles_until(context, supervisor.error) == cycles
        if cycles is not None:
            assert (context.get(supervisor.code), context.get(supervisor.index)) == (ErrorCode.WATCHDOG, 7)

    testbench(supervisor, body)


@pytest.mark.parametrize("before", [0, 100_000])
def test_a_watchdog_set_late_still_ends_a_dead_program(testbench, before):
    supervisor = Supervisor(("engine",))

    async def body(context):
        await started(supervisor, context, watchdog=before)
        assert await cycles_until(context, supervisor.error) is None
        context.set(supervisor.watchdog, 30)
        assert await cycles_until(context, supervisor.error) is not None

    testbench(supervisor, body)


def test_an_end_in_the_last_moment_is_a_good_one(testbench):
    supervisor = Supervisor(("engine",))

    async def body(context):
        await started(supervisor, context, watchdog=20)
        await context.tick().repeat(20)
        context.set(supervisor.finished, 1)
        await context.tick()
        assert context.get(supervisor.done) and not context.get(supervisor.error) and not context.get(supervisor.busy)

    testbench(supervisor, body)


def test_the_first_fault_stays_until_a_soft_reset(testbench):
    supervisor = Supervisor(("fetch", "engine"))

    async def body(context):
        await started(supervisor, context)
        context.set(supervisor.bus_idle, 0)
        for name, code, index in (("fetch", ErrorCode.BUS_READ, 3), ("engine", ErrorCode.ALIGNMENT, 1)):
            fault = getattr(supervisor, name)
            context.set(fault.code, code)
            context.set(fault.index, index)
            context.set(fault.valid, 1)
            await context.tick()
            context.set(fault.valid, 0)
            assert (context.get(supervisor.code), context.get(supervisor.index)) == (ErrorCode.BUS_READ, 3)
        await context.tick().repeat(100)
        assert context.get(supervisor.busy) and context.get(supervisor.halt)
        context.set(supervisor.bus_idle, 1)
        await context.tick().repeat(20)
        assert not context.get(supervisor.busy) and context.get(supervisor.halt)
        context.set(supervisor.start, 1)
        assert not context.get(supervisor.begin)
        context.set(supervisor.start, 0)
        context.set(supervisor.soft_reset, 1)
        await context.tick()
        context.set(supervisor.soft_reset, 0)
        assert await cycles_until(context, supervisor.reset) is not None
        await context.tick()
        for name in ("busy", "done", "error", "code", "index", "halt"):
            assert not context.get(getattr(supervisor, name)), name
        context.set(supervisor.start, 1)
        assert context.get(supervisor.begin)

    testbench(supervisor, body)


@pytest.mark.parametrize("delay", range(1, 31))
def test_a_soft_reset_leaves_no_error_behind(testbench, delay):
    supervisor = Supervisor(("engine",))

    async def body(context):
        await started(supervisor, context, watchdog=20)
        await context.tick().repeat(delay)
        context.set(supervisor.soft_reset, 1)
        await context.tick()
        context.set(supervisor.soft_reset, 0)
        assert await cycles_until(context, supervisor.reset) is not None
        await context.tick()
        assert not context.get(supervisor.error) and not context.get(supervisor.busy)

    testbench(supervisor, body)
