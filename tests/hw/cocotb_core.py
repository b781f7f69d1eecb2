"""Programs on the whole core; run by test_core.py inside the simulator.

On-chip memories are filled by programs of LOADs and shown by programs of STOREs, so nothing is looked at but DRAM.
"""

from itertools import count

import cocotb
import numpy as np
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb_bench import axi_ram, begin, configuration, cycles, generator, pauses
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from tilewright.driver.registers import RegisterDriver
from tilewright.errors import DeviceError
from tilewright.isa.instruction import finish, gemm, load, store, sync
from tilewright.isa.launch import Launch
from tilewright.isa.memories import ROW_MEMORIES, memory_shape
from tilewright.isa.random_programs import random_program
from tilewright.isa.registers import Control, Status, register
from tilewright.isa.table import INSTRUCTION_BYTES, Engine, ErrorCode, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

CONFIG = configuration()
RAM_BYTES = 1 << 20
GUARD = 256


class Host:
    """A processor with the core on its buses: DRAM, the register page, and what passed on the bus.

    Members
    -------
    read_beats, written_bytes
        Words that came from DRAM, bytes that went there, since they were last set to 0.
    """

    def __init__(self, dut, share):
        rng = generator(1)
        self.dut = dut
        self.ram = axi_ram(dut, RAM_BYTES, rng, share)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_"), dut.clk, dut.rst)
        if share:
            write, read = self.master.write_if, self.master.read_if
            for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
                channel.set_pause_generator(pauses(rng, share))
        self.read_beats = self.written_bytes = 0
        self.open_reads = self.open_writes = 0

    async def watch(self):
        bus = self.dut
        signals = {
            channel: [getattr(bus, f"m_axi__{channel}{end}") for end in ("valid", "ready")]
            for channel in ("ar", "r", "aw", "w", "b")
        }
        while True:
            await RisingEdge(bus.clk)
            moves = {name: all(int(each.value) for each in pair) for name, pair in signals.items()}
            self.read_beats += moves["r"]
            if moves["w"]:
                self.written_bytes += int(bus.m_axi__wstrb.value).bit_count()
            self.open_reads += moves["ar"] - (moves["r"] and int(bus.m_axi__rlast.value))
            self.open_writes += moves["aw"] - moves["b"]

    async def read(self, name):
        return await self.master.read_dword(register(name))

    async def write(self, name, value):
        await self.master.write_dword(register(name), int(value))

    async def until_idle(self, limit=2000):
        for _ in range(limit):
            status = Status(await self.read("STATUS"))
            if not status & Status.BUSY:
                return status
        raise AssertionError("the core must come to an end")

    async def driver(self):
        return await bridge(lambda: RegisterDriver(RegisterPage(self), CONFIG, idle=self._idle, interrupt=True))()

    def _idle(self):
        resume(cycles)(self.dut, 20)

    async def prepare(self, launch):
        """The registers of a launch, without the start."""
        await self.write("PROGRAM_BASE_LO", launch.program)
        await self.write("PROGRAM_COUNT", launch.count)
        await self.write("WATCHDOG", launch.watchdog)
        for number, (base, limit) in enumerate(launch.segments):
            await self.write(f"SEGMENT{number}_BASE_LO", base)
            await self.write(f"SEGMENT{number}_LIMIT", limit)


class RegisterPage:
    """What the driver, which does not know of cocotb, takes for its bus."""

    def __init__(self, host):
        self.read32 = resume(host.master.read_dword)
        self.write32 = resume(host.master.write_dword)


async def power_on(dut, share=0.3):
    host = Host(dut, share)
    await begin(dut)
    cocotb.start_soon(host.watch())
    return host


class Image:
    """DRAM as it is before the launches, with guard bytes around everything in it."""

    def __init__(self, seed):
        self.dram = Dram(size=RAM_BYTES, base=0)
        self.dram.bytes[:] = np.random.default_rng(seed).integers(0, 256, RAM_BYTES, dtype=np.uint8)
        self.launches = []

    def place(self, data):
        """(address, length) of a copy of `data`."""
        self.dram.allocate(GUARD)
        address = self.dram.allocate(len(data))
        self.dram.view(address, len(data))[:] = np.frombuffer(bytes(data), np.uint8)
        return address, len(data)

    def add(self, instructions, segments, watchdog=5000):
        text, _ = self.place(b"".join(each.encode() for each in instructions))
        self.launches.append(Launch(text, len(instructions), tuple(segments), watchdog))

    def add_random(self, program):
        """All memories filled, `program`, and what it left in ACT and ACC stored."""
        filling, storing, kept = [], [], []
        for number, (memory, cells) in enumerate(program.memories.items()):
            for row, copy in enumerate(cells):
                filling.append(
                    load(memory=memory, segment=number, offset=row * copy.size, bounds=[len(copy)], mem=(0, [1]),
                         row_mask=1 << row)
                )  # fmt: skip
        self.add([*filling, finish()], [self.place(cells.tobytes()) for cells in program.memories.values()])
        self.add(program.instructions, [self.place(data.tobytes()) for data in program.segments])
        for memory in ROW_MEMORIES:
            shape = memory_shape(CONFIG, memory)
            for row in range(shape.rows):
                storing.append(
                    store(memory=memory, segment=len(kept), offset=0, bounds=[shape.depth], mem=(0, [1]), row=row)
                )
                kept.append(self.place(bytes(shape.depth * shape.cell_bytes)))
        self.add([*storing, finish()], kept)


def expected_dram(image):
    """After all launches, by the oracle; `image` stays as it is."""
    dram = Dram(size=RAM_BYTES, base=0)
    dram.bytes[:] = image.dram.bytes
    simulator = OracleSimulator(CONFIG, dram=dram)
    for launch in image.launches:
        assert simulator.run(launch).error is ErrorCode.NONE
    writable = np.zeros(RAM_BYTES, bool)
    for launch in image.launches:
        for base, limit in launch.segments:
            writable[base : base + limit] = True
    assert not np.any((dram.bytes != image.dram.bytes) & ~writable)
    return dram.bytes


async def run_all(host, driver, image):
    """Every launch of `image` on the core; DRAM must be the oracle's, to the last byte, and counters true."""
    host.ram.write(0, image.dram.bytes.tobytes())
    for launch in image.launches:
        host.read_beats = host.written_bytes = 0
        outcome = await bridge(driver.run)(launch)
        assert outcome.error is ErrorCode.NONE, outcome
        assert (host.open_reads, host.open_writes) == (0, 0)
        check_counters(host, outcome.counters, launch)
    actual = np.frombuffer(host.ram.read(0, RAM_BYTES), np.uint8)
    different = np.flatnonzero(actual != expected_dram(image))
    assert not len(different), f"{len(different)} bytes differ, the first at {different[0]:#x}"


def check_counters(host, counters, launch):
    assert counters["instructions"] == launch.count - 1
    assert counters["bytes_read"] == host.read_beats * CONFIG.bus_bytes
    assert counters["bytes_read"] >= launch.count * INSTRUCTION_BYTES
    assert counters["bytes_written"] == host.written_bytes
    assert counters["cycles"] >= host.read_beats
    for name, value in counters.items():
        if name not in ("bytes_read", "bytes_written"):
            assert 0 <= value <= counters["cycles"], name
    for engine in Engine:
        stalled = sum(counters[f"{engine.name.lower()}_{what}"] for what in ("token", "memory", "bank"))
        assert stalled == 0 or counters[f"{engine.name.lower()}_busy"]


def small_programs(first):
    """Random programs that use every engine."""
    for seed in count(first):
        program = random_program(CONFIG, seed, size=16, points=40)
        if {each.engine for each in program.instructions} >= set(Engine):
            yield program


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.3))
async def random_programs(dut, share):
    """One after another without a reset between them."""
    host = await power_on(dut, share)
    driver = await host.driver()
    for _, program in zip(range(3 if share else 2), small_programs(10 if share else 0), strict=False):
        image = Image(program.seed)
        image.add_random(program)
        await run_all(host, driver, image)
        assert int(dut.irq.value)
    await host.write("CONTROL", 0)
    await cycles(dut, 3)
    assert not int(dut.irq.value)


def endless(image):
    """Work for a long time with all engines busy: loads, products and stores that do not end soon."""
    source, target = image.place(bytes(4096)), image.place(bytes(4096))
    body = [
        load(memory=Memory.ACT, segment=0, offset=0, bounds=[200, 64], dram_strides=[0], mem=(0, [0, 1])),
        gemm(bounds=[300, 50], act=(512, [0, 1]), wgt=(0, [0, 1]), acc=(0, [0, 1])),
        store(memory=Memory.ACC, segment=1, offset=0, bounds=[200, 32], dram_strides=[0], mem=(64, [0, 1])),
    ]
    image.add([*body, finish()], [source, target])
    return source, target


@cocotb.test()
async def soft_reset_in_the_middle(dut):
    """Transfers under way end properly; the core is as new; nothing outside the segment was written."""
    host = await power_on(dut)
    driver = await host.driver()
    rng = generator(3)
    for wait in (0, rng.randrange(60), rng.randrange(200, 600)):
        image = Image(wait)
        _, (base, limit) = endless(image)
        host.ram.write(0, image.dram.bytes.tobytes())
        await host.prepare(image.launches[0])
        await host.write("CONTROL", Control.START)
        await ClockCycles(dut.clk, wait + 1)
        await host.write("CONTROL", Control.SOFT_RESET)
        assert await host.until_idle() == 0
        assert (host.open_reads, host.open_writes) == (0, 0)
        assert (await host.read("ERROR_CODE"), await host.read("ERROR_INDEX")) == (0, 0)
        quiet = host.read_beats, host.written_bytes
        await cycles(dut, 100)
        assert (host.read_beats, host.written_bytes) == quiet
        after = np.frombuffer(host.ram.read(0, RAM_BYTES), np.uint8)
        changed = np.flatnonzero(after != image.dram.bytes)
        assert not len(changed) or base <= changed[0] <= changed[-1] < base + limit
    assert host.written_bytes > 0
    await still_right(host, driver)


async def still_right(host, driver):
    program = next(small_programs(40))
    image = Image(40)
    image.add_random(program)
    await run_all(host, driver, image)


@cocotb.test()
async def deadlock(dut):
    """The watchdog names the oldest instruction; the core ignores starts until it is reset; then all is well."""
    host = await power_on(dut)
    driver = await host.driver()
    image = Image(5)
    stuck = [sync(Engine.STORE), sync(Engine.GEMM, wait=[Engine.LOAD]), sync(Engine.LOAD, wait=[Engine.GEMM])]
    image.add([*stuck, finish()], [], watchdog=150)
    host.ram.write(0, image.dram.bytes.tobytes())
    (launch,) = image.launches
    await host.prepare(launch)
    await host.write("CONTROL", Control.START | Control.IRQ_ENABLE)
    assert await host.until_idle() == Status.ERROR
    assert int(dut.irq.value)
    found = await host.read("ERROR_CODE"), await host.read("ERROR_INDEX")
    assert found == (ErrorCode.WATCHDOG, 1)
    beats = host.read_beats
    await host.write("CONTROL", Control.START | Control.IRQ_ENABLE)
    await cycles(dut, 100)
    assert await host.read("STATUS") == Status.ERROR
    assert host.read_beats == beats
    outcome = await bridge(driver.run)(launch)
    assert (outcome.error, outcome.index) == found
    assert outcome.counters["cycles"] > 150
    assert outcome.counters["gemm_token"] > 100
    assert await host.read("STATUS") == 0
    await still_right(host, driver)


@cocotb.test()
async def another_configuration(dut):
    """The driver names what differs from the configuration it was given."""
    host = await power_on(dut, 0.0)
    other = CONFIG.replace(queue_depth=CONFIG.queue_depth + 1)
    try:
        await bridge(lambda: RegisterDriver(RegisterPage(host), other, known=(CONFIG,)))()
    except DeviceError as error:
        assert "queue_depth" in str(error)
    else:
        raise AssertionError("another configuration must be refused")


@cocotb.test()
async def no_finish(dut):
    """A program without its end is told so, and the next one runs."""
    host = await power_on(dut)
    driver = await host.driver()
    image = Image(6)
    image.add([sync(Engine.LOAD)] * 5, [])
    host.ram.write(0, image.dram.bytes.tobytes())
    outcome = await bridge(driver.run)(image.launches[0])
    assert (outcome.error, outcome.index) == (ErrorCode.PROGRAM_END, 5)
    await still_right(host, driver)
