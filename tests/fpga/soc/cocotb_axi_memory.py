"""The core's bus on the system's memory; run by test_axi_memory.py inside the simulator."""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Combine, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

BASE, SIZE, WORD = (int(os.environ[name]) for name in ("BASE", "SIZE", "WORD"))


async def begin(dut, share):
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    master = AxiMaster(AxiBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
    rng = random.Random(int(100 * share))
    write, read = master.write_if, master.read_if
    for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
        channel.set_pause_generator(iter(lambda: rng.random() < share, None))
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    return master, rng


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.5))
async def random_bursts(dut, share):
    """Reads and writes at once, in parts of the memory that are each one task's alone."""
    master, rng = await begin(dut, share)
    part = SIZE // 4

    async def task(number):
        start, copy = number * part, bytearray(part)
        await master.write(BASE + start, bytes(part))
        for _ in range(30):
            place, length = rng.randrange(part), rng.choice([1, 3, 8, 16, 64, 256])
            length = min(length, part - place)
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                copy[place : place + length] = data
                await master.write(BASE + start + place, data)
            else:
                answer = await master.read(BASE + start + place, length)
                assert answer.data == bytes(copy[place : place + length]) and answer.resp == AxiResp.OKAY
        assert (await master.read(BASE + start, part)).data == bytes(copy)

    await Combine(*[cocotb.start_soon(task(number)) for number in range(4)])


@cocotb.test()
async def outside(dut):
    master, _ = await begin(dut, 0.0)
    await master.write(BASE, bytes(range(64)))
    for address in (BASE - 64, BASE + SIZE, BASE ^ 0x8000_0000, 0):
        assert (await master.write(address, b"\xff" * 64)).resp == AxiResp.DECERR
        assert (await master.read(address, 64)).resp == AxiResp.DECERR
    answer = await master.read(BASE, 64)
    assert answer.resp == AxiResp.OKAY and answer.data == bytes(range(64))
    assert WORD == 8
