"""Register accesses; run by test_csr.py inside the simulator."""

import cocotb
from cocotb.triggers import RisingEdge
from cocotb_bench import begin, configuration, cycles, generator, pauses
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from tilewright.isa.registers import (
    COUNTERS,
    IDENTITY,
    PAGE_BYTES,
    REGISTERS,
    Control,
    Status,
    counter_address,
    register,
    segment_address,
)
from tilewright.isa.table import ISA_VERSION, SEGMENTS, ErrorCode

CONFIG = configuration()
ADDRESS_MASK = ((1 << CONFIG.address_bits) - 1) & ~63


class Host:
    """A driver's view, and what the core sees."""

    def __init__(self, dut, share=0.0):
        self.dut = dut
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_"), dut.clk, dut.rst)
        if share:
            rng = generator(1)
            write, read = self.master.write_if, self.master.read_if
            for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
                channel.set_pause_generator(pauses(rng, share))
        self.pulses = {"start": 0, "soft_reset": 0}
        for name in ("busy", "done", "error_code", "error_index", "counters"):
            getattr(dut, name).value = 0

    async def watch(self):
        while True:
            await RisingEdge(self.dut.clk)
            for name in self.pulses:
                self.pulses[name] += int(getattr(self.dut, name).value)

    async def read(self, address):
        return await self.master.read_dword(address)

    async def write(self, address, value):
        await self.master.write_dword(address, value)


async def setup(dut, share=0.0):
    host = Host(dut, share)
    await begin(dut)
    cocotb.start_soon(host.watch())
    return host


@cocotb.test()
async def identity(dut):
    host = await setup(dut)
    assert await host.read(register("IDENTITY")) == IDENTITY
    assert await host.read(register("ISA_VERSION")) == ISA_VERSION
    low, high = await host.read(register("CONFIG_HASH_LO")), await host.read(register("CONFIG_HASH_HI"))
    assert f"{high:08x}{low:08x}" == CONFIG.hash


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.5))
async def stored_values(dut, share):
    """Every register keeps its own value, and the core sees it."""
    host = await setup(dut, share)
    rng = generator(2)
    stored = [entry for entry in REGISTERS if entry.access == "rw" and entry.name != "CONTROL"]
    given = {entry.name: rng.getrandbits(32) for entry in stored}
    for entry in stored:
        await host.write(entry.address, given[entry.name])
    expected = dict(given)
    for name in given:
        if name.endswith("BASE_LO"):
            expected[name] &= ADDRESS_MASK
        elif name.endswith("BASE_HI"):
            expected[name] &= ADDRESS_MASK >> 32
    for entry in stored:
        assert await host.read(entry.address) == expected[entry.name], entry.name

    def wide(name):
        return expected[f"{name}_HI"] << 32 | expected[f"{name}_LO"]

    assert int(dut.program_base.value) == wide("PROGRAM_BASE")
    assert int(dut.program_count.value) == given["PROGRAM_COUNT"]
    assert int(dut.watchdog.value) == given["WATCHDOG"]
    bases, limits = int(dut.segments__base.value), int(dut.segments__limit.value)
    for segment in range(SEGMENTS):
        base = bases >> CONFIG.address_bits * segment & ((1 << CONFIG.address_bits) - 1)
        assert base == wide(f"SEGMENT{segment}_BASE")
        assert limits >> 32 * segment & 0xFFFF_FFFF == given[f"SEGMENT{segment}_LIMIT"]
    assert not any(host.pulses.values())


@cocotb.test()
async def strobes(dut):
    host = await setup(dut)
    address = register("PROGRAM_COUNT")
    await host.write(address, 0x11223344)
    await host.master.write(address + 1, b"\xaa")
    await host.master.write(address + 3, b"\xbb")
    assert await host.read(address) == 0xBB22AA44


@cocotb.test()
async def read_only_and_unknown_addresses(dut):
    host = await setup(dut)
    for entry in REGISTERS:
        if entry.access == "ro":
            before = await host.read(entry.address)
            await host.write(entry.address, ~before & 0xFFFF_FFFF)
            assert await host.read(entry.address) == before
    known = {entry.address for entry in REGISTERS} | {
        counter_address(name) + half for name in COUNTERS for half in (0, 4)
    }
    for address in range(0, PAGE_BYTES, 4):
        if address not in known:
            await host.write(address, 0xFFFF_FFFF)
            assert await host.read(address) == 0, hex(address)
    assert int(dut.segments__limit.value) == 0
    assert segment_address(0) in known


@cocotb.test()
async def control(dut):
    """START acts only while the core is neither busy nor in error; SOFT_RESET always."""
    host = await setup(dut)
    for busy, code, starts in ((0, 0, 1), (1, 0, 0), (0, ErrorCode.WATCHDOG, 0)):
        dut.busy.value, dut.error_code.value = busy, code
        host.pulses = {"start": 0, "soft_reset": 0}
        await host.write(register("CONTROL"), Control.START)
        await host.write(register("CONTROL"), Control.SOFT_RESET)
        await cycles(dut, 4)
        assert host.pulses == {"start": starts, "soft_reset": 1}
        assert await host.read(register("CONTROL")) == 0


@cocotb.test()
async def status_and_interrupt(dut):
    host = await setup(dut)
    for enable in (0, Control.IRQ_ENABLE):
        await host.write(register("CONTROL"), enable)
        assert await host.read(register("CONTROL")) == enable
        for busy, done, code, index in (
            (0, 0, 0, 0),
            (1, 0, 0, 0),
            (0, 1, 0, 0),
            (0, 0, ErrorCode.ALIGNMENT, 0xDEADBEEF),
        ):
            dut.busy.value, dut.done.value, dut.error_code.value, dut.error_index.value = busy, done, code, index
            status = busy * Status.BUSY | done * Status.DONE | bool(code) * Status.ERROR
            assert await host.read(register("STATUS")) == status
            assert await host.read(register("ERROR_CODE")) == code
            assert await host.read(register("ERROR_INDEX")) == index
            assert int(dut.irq.value) == bool(enable and (done or code))


@cocotb.test()
async def counters_do_not_tear(dut):
    host = await setup(dut)
    rng = generator(3)
    values = [rng.getrandbits(64) for _ in COUNTERS]

    def show():
        dut.counters.value = sum(value << 64 * number for number, value in enumerate(values))

    show()
    for number, name in enumerate(COUNTERS):
        low = await host.read(counter_address(name))
        before = values[number]
        values[number] = rng.getrandbits(64)
        show()
        high = await host.read(counter_address(name) + 4)
        assert high << 32 | low == before, name
        assert await host.read(counter_address(name) + 4) == values[number] >> 32
