"""The board's end of the link, asked by frames that the driver's own code makes."""

import random

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped
from tilewright.driver.frames import (
    ANSWER,
    PAYLOAD_BYTES,
    PROTOCOL_VERSION,
    SYSTEM_PAGE,
    Deframer,
    Frame,
    Kind,
    Status,
    System,
    on_line,
)
from tilewright.fpga.soc.block_memory import BlockMemory
from tilewright.fpga.soc.link import HostLink
from tilewright.hw.signatures import AxiLite

BASE, SIZE, WORD = 0x4000_0000, 8192, 8
SESSION = 0x1234_5678
FAILING = 0x0F0


class Board(wiring.Component):
    """Link and memory; registers are the test's."""

    def __init__(self):
        self.link = HostLink(base=BASE, size=SIZE, word_bytes=WORD, clock_hz=50_000_000)
        super().__init__({"registers": Out(AxiLite())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link, m.submodules.memory = self.link, BlockMemory(words=SIZE // WORD, word_bytes=WORD)
        connect(m, self.link.memory, m.submodules.memory.bus)
        connect(m, self.link.registers, flipped(self.registers))
        return m


class Host:
    """Sends frames to a Board, and keeps what its registers were asked for."""

    def __init__(self, board):
        self.board = board
        self.values = {4 * n: 0x1111 * n for n in range(8)}
        self.accesses = []
        self.sequence = 0

    def bind(self, context):
        self.context = context
        return self

    async def line(self, raw, *, patience=30_000):
        """Bytes onto the line; the frames that come back until it has been silent."""
        context, link = self.context, self.board.link
        deframer, frames, silent = Deframer(), [], 0
        pending = list(raw)
        context.set(link.sent.ready, 1)
        for cycle in range(patience):
            if pending and cycle % 2 == 0:  # a line's bytes come 40 cycles apart at least
                context.set(link.received.payload, pending.pop(0))
                context.set(link.received.valid, 1)
                silent = 0
            _, _, valid, byte = await context.tick().sample(link.sent.valid, link.sent.payload)
            context.set(link.received.valid, 0)
            silent = 0 if valid else silent + 1
            if valid:
                frames += deframer.feed(bytes([byte]))
            elif silent > 700:
                break
        return [Frame.decode(frame) for frame in frames]

    async def ask(self, kind, *, sequence=None, session=SESSION, **fields):
        if sequence is None:
            self.sequence = sequence = (self.sequence + 1) % 256
        request = Frame(kind=kind, sequence=sequence, session=session, **fields)
        (answer,) = await self.line(on_line(request.encode()))
        return answer

    async def open(self):
        self.sequence = 0
        answer = await self.ask(Kind.OPEN, sequence=0)
        assert (answer.kind, answer.address, answer.value) == (Kind.OPEN | ANSWER, Status.DONE, PROTOCOL_VERSION)
        return self

    async def registers(self, context):
        """An AXI4-Lite subordinate that is in no hurry."""
        bus = self.board.registers
        while True:
            await context.tick()
            if context.get(bus.arvalid):
                address = context.get(bus.araddr)
                self.accesses.append((address, None))
                await self.handshake(context, bus.arready)
                context.set(bus.rdata, self.values.get(address, 0))
                context.set(bus.rresp, 2 * (address == FAILING))
                await self.handshake(context, bus.rvalid)
            elif context.get(bus.wvalid):
                address, value = context.get(bus.awaddr), context.get(bus.wdata)
                self.accesses.append((address, value))
                self.values[address] = value
                await self.handshake(context, bus.wready)
                await self.handshake(context, bus.awready)
                context.set(bus.bresp, 2 * (address == FAILING))
                await self.handshake(context, bus.bvalid)

    @staticmethod
    async def handshake(context, line):
        context.set(line, 1)
        await context.tick()
        context.set(line, 0)
        await context.tick().repeat(2)


@pytest.fixture
def host(testbench):
    """``host(body)`` runs the coroutine ``body(host)`` against a board."""

    def run(body):
        board = Board()
        made = Host(board)

        async def main(context):
            await body(made.bind(context))

        testbench(board, main, made.registers)

    return run


def test_memory_keeps_what_is_written_and_nothing_beside_it(host):
    async def body(host):
        await host.open()
        rng = random.Random(1)
        copy = bytearray(await read(host, 0, SIZE))
        for start, length in ((0, 8), (SIZE - 24, 24), (1000, PAYLOAD_BYTES), (128, 64), (128, 8)):
            head, tail = rng.randrange(8), rng.randrange(8)
            if length == 8 and head + tail > 7:
                head = tail = 0
            payload = rng.randbytes(length)
            answer = await host.ask(
                Kind.WRITE_MEMORY, address=BASE + start, length=length, payload=payload, value=head | tail << 8
            )
            assert answer.address == Status.DONE and answer.payload == b""
            copy[start + head : start + length - tail] = payload[head : length - tail]
        assert await read(host, 0, SIZE) == bytes(copy)
        assert await read(host, 1000, 16) == bytes(copy[1000:1016])

    host(body)


async def read(host, start, length):
    parts = []
    for place in range(start, start + length, PAYLOAD_BYTES):
        size = min(PAYLOAD_BYTES, start + length - place)
        answer = await host.ask(Kind.READ_MEMORY, address=BASE + place, length=size)
        assert (answer.address, answer.length, len(answer.payload)) == (Status.DONE, size, size)
        parts.append(answer.payload)
    return b"".join(parts)


def test_registers(host):
    async def body(host):
        await host.open()
        assert (await host.ask(Kind.READ_REGISTER, address=8)).value == 0x2222
        answer = await host.ask(Kind.WRITE_REGISTER, address=12, value=0xFEDC_BA98)
        assert (answer.address, answer.value) == (Status.DONE, 0)
        assert (await host.ask(Kind.READ_REGISTER, address=12)).value == 0xFEDC_BA98
        assert (await host.ask(Kind.READ_REGISTER, address=FAILING)).address == Status.FAILED
        assert (await host.ask(Kind.WRITE_REGISTER, address=FAILING)).address == Status.FAILED
        for place, value in zip(System, (BASE, SIZE, WORD, 50_000_000), strict=True):
            assert (await host.ask(Kind.READ_REGISTER, address=SYSTEM_PAGE + place)).value == value

    host(body)


def test_a_request_is_carried_out_once(host):
    async def body(host):
        await host.open()
        for _ in range(3):
            answer = await host.ask(Kind.WRITE_REGISTER, sequence=1, address=4, value=7)
            assert (answer.address, answer.sequence) == (Status.DONE, 1)
        assert host.accesses == [(4, 7)]
        host.values[4] = 1
        for _ in range(2):
            assert (await host.ask(Kind.READ_REGISTER, sequence=2, address=4)).value == 1
            host.values[4] = 2
        assert host.accesses == [(4, 7), (4, None)]
        for sequence in (0, 1, 4, 255):
            answer = await host.ask(Kind.WRITE_REGISTER, sequence=sequence, address=4, value=9)
            assert answer.address == Status.OUT_OF_SEQUENCE
        assert len(host.accesses) == 2

    host(body)


def test_without_its_session_nothing_is_carried_out(host):
    async def body(host):
        for session in (0, SESSION):
            answer = await host.ask(Kind.WRITE_REGISTER, sequence=1, session=session, address=4, value=7)
            assert answer.address == Status.NO_SESSION
        await host.open()
        assert (await host.ask(Kind.WRITE_REGISTER, session=99, address=4)).address == Status.NO_SESSION
        assert host.accesses == []

    host(body)


def test_what_is_not_allowed(host):
    async def body(host):
        await host.open()
        for kind, fields in (
            (Kind.READ_MEMORY, {"address": BASE - 8, "length": 8}),
            (Kind.READ_MEMORY, {"address": BASE + SIZE, "length": 8}),
            (Kind.READ_MEMORY, {"address": BASE + SIZE - 8, "length": 16}),
            (Kind.READ_MEMORY, {"address": BASE + 4, "length": 8}),
            (Kind.READ_MEMORY, {"address": BASE, "length": 12}),
            (Kind.READ_MEMORY, {"address": BASE, "length": 0}),
            (Kind.READ_MEMORY, {"address": BASE, "length": PAYLOAD_BYTES + 8}),
            (Kind.READ_MEMORY, {"address": 0xFFFF_FFF8, "length": 16}),
            (Kind.READ_REGISTER, {"address": 6}),
            (Kind.READ_REGISTER, {"address": 2 * SYSTEM_PAGE}),
            (Kind.WRITE_REGISTER, {"address": SYSTEM_PAGE}),
            (17, {}),
        ):
            assert (await host.ask(kind, **fields)).address == Status.REFUSED, (kind, fields)
        assert host.accesses == []

    host(body)


def test_damage_is_noticed_and_harms_nothing(host):
    async def body(host):
        await host.open()
        rng = random.Random(3)
        request = Frame(kind=Kind.WRITE_REGISTER, sequence=1, session=SESSION, address=4, value=0x0102_0304)
        whole = on_line(request.encode())
        for place in range(1, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.randrange(8)
            answers = await host.line(bytes(damaged))
            assert answers and all((a.kind, a.address) == (ANSWER, Status.DAMAGED) for a in answers)
        for damaged in (whole[:5] + whole, rng.randbytes(60) + whole[1:-3] + b"\x7e", whole[:9] + b"\x7d\x7e"):
            await host.line(damaged)
        too_long = Frame(
            kind=Kind.WRITE_MEMORY, sequence=1, session=SESSION, length=8, payload=bytes(PAYLOAD_BYTES + 99)
        )
        for odd in (too_long, Frame(kind=Kind.READ_REGISTER, sequence=1, session=SESSION, payload=b"1")):
            (answer,) = await host.line(on_line(odd.encode()))
            assert answer.address == Status.DAMAGED
        assert host.accesses in ([], [(4, 0x0102_0304)])  # once at the most, where a whole frame was among it
        assert (await host.ask(Kind.WRITE_REGISTER, sequence=1, address=4, value=0x0102_0304)).address == Status.DONE
        assert host.accesses == [(4, 0x0102_0304)]

    host(body)
