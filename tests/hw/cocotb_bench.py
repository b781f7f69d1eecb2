"""What cocotb tests of components share: clock, reset, streams, random pauses, a memory with latency."""

import itertools
import os
import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiRam
from tilewright.config import Config
from tilewright.isa.table import Opcode, spec_of


def configuration():
    return Config.from_toml(os.environ["CONFIG"])


async def begin(dut):
    """Starts the clock, clears every input, and resets."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    await cycles(dut, 3)
    dut.rst.value = 0
    await cycles(dut, 2)


async def cycles(dut, count):
    for _ in range(count):
        await RisingEdge(dut.clk)


def pauses(rng, share):
    """An endless pause generator: `share` of the cycles, in bursts."""
    while True:
        pause = rng.random() < share
        yield from itertools.repeat(pause, rng.randint(1, 6))


def axi_ram(dut, size, rng=None, share=0.0):
    """cocotbext-axi's memory on ``m_axi``, which pauses on every channel."""
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi_"), dut.clk, dut.rst, size=size)
    if share:
        for channel in (
            ram.read_if.ar_channel, ram.read_if.r_channel,
            ram.write_if.aw_channel, ram.write_if.w_channel, ram.write_if.b_channel,
        ):  # fmt: skip
            channel.set_pause_generator(pauses(rng, share))
    return ram


class Stream:
    """A stream of the device under test by its flattened name."""

    def __init__(self, dut, name):
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")

    @property
    def moves(self):
        """Whether a payload is passed at the clock edge that has just come."""
        return bool(int(self.valid.value)) and bool(int(self.ready.value))


async def feed(dut, stream, payloads, rng, share):
    """Sends all `payloads` (integers), pausing at random."""
    for payload in payloads:
        while rng.random() < share:
            await RisingEdge(dut.clk)
        stream.payload.value = payload
        stream.valid.value = 1
        await RisingEdge(dut.clk)
        while not int(stream.ready.value):
            await RisingEdge(dut.clk)
        stream.valid.value = 0


def word(instruction, index):
    """As it lies in an engine's queue, with what fetch has found out about it."""
    return marks(instruction) << 544 | int.from_bytes(instruction.encode(), "little") << 32 | index


def marks(instruction):
    """Is it a SYNC, does it wait for no token, and which loops have one iteration."""
    spec = spec_of(instruction.opcode)
    single = sum((instruction[f"bound{d}"] == 1) << d for d in range(spec.dims))
    return single << 2 | (instruction["wait"] == 0) << 1 | (instruction.opcode is Opcode.SYNC)


def unpack(layout, bits):
    return layout.from_bits(bits)


class LatentReads:
    """A read memory that answers every burst `latency` cycles after it was asked, a beat a cycle when busy.

    Members
    -------
    beats
        How many were passed.
    first, last
        The cycles of the first and of the last beat.
    """

    def __init__(self, dut, image, latency):
        self.dut, self.image, self.latency = dut, image, latency
        self.beats = self.first = self.last = 0
        self._task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, width = self.dut, len(self.dut.m_axi__rdata) // 8
        waiting, now = deque(), 0
        dut.m_axi__arready.value = 1
        dut.m_axi__rvalid.value = 0
        while True:
            await RisingEdge(dut.clk)
            now += 1
            if int(dut.m_axi__arvalid.value):
                address, number = int(dut.m_axi__araddr.value), int(dut.m_axi__arid.value)
                count = int(dut.m_axi__arlen.value) + 1
                for beat in range(count):
                    waiting.append((now + self.latency, number, address + beat * width, beat == count - 1))
            if int(dut.m_axi__rvalid.value) and int(dut.m_axi__rready.value):
                self.beats += 1
                self.first, self.last = self.first or now, now
                waiting.popleft()
                dut.m_axi__rvalid.value = 0
            if waiting and waiting[0][0] <= now:
                _, number, address, last = waiting[0]
                dut.m_axi__rid.value = number
                dut.m_axi__rdata.value = int.from_bytes(self.image[address : address + width], "little")
                dut.m_axi__rlast.value = last
                dut.m_axi__rresp.value = 0
                dut.m_axi__rvalid.value = 1


class LatentWrites:
    """A write memory that takes everything at once, forgets it, and answers each burst after `latency` cycles.

    Members
    -------
    beats, first, last
        As in LatentReads.
    """

    def __init__(self, dut, latency):
        self.dut, self.latency = dut, latency
        self.beats = self.first = self.last = 0
        self._task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, answers, now = self.dut, deque(), 0
        dut.m_axi__awready.value = dut.m_axi__wready.value = 1
        dut.m_axi__bvalid.value = dut.m_axi__bresp.value = dut.m_axi__bid.value = 0
        while True:
            await RisingEdge(dut.clk)
            now += 1
            if int(dut.m_axi__wvalid.value):
                self.beats += 1
                self.first, self.last = self.first or now, now
                if int(dut.m_axi__wlast.value):
                    answers.append(now + self.latency)
            due = bool(answers) and answers[0] <= now
            dut.m_axi__bvalid.value = due
            if due:
                answers.popleft()


def generator(seed):
    return random.Random(seed)
