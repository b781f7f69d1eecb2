"""The serial line, against itself and against a line drawn by hand."""

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from tilewright.fpga.soc.uart import UartReceiver, UartTransmitter

BAUD = 3_000_000


class Loop(wiring.Component):
    """A transmitter whose line goes to a receiver with a slightly other clock."""

    def __init__(self, clock_hz, drift):
        self.clock_hz, self.drift = clock_hz, drift
        self.sender = UartTransmitter(clock_hz=clock_hz, baud=BAUD)
        self.receiver = UartReceiver(clock_hz=clock_hz, baud=round(BAUD * drift))
        super().__init__({"unused": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules += [self.sender, self.receiver]
        m.d.comb += self.receiver.line.eq(self.sender.line)
        return m


@pytest.mark.parametrize("clock_hz, drift", [(50e6, 1), (12e6, 1), (25e6, 1), (100e6, 1.03), (50e6, 0.97)])
def test_what_is_sent_arrives(testbench, clock_hz, drift):
    loop = Loop(int(clock_hz), drift)
    sent = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7E, *range(7, 250, 41)]
    received = []

    async def send(context):
        stream = loop.sender.input
        for byte in sent:
            context.set(stream.payload, byte)
            context.set(stream.valid, 1)
            await context.tick().until(stream.ready)
        context.set(stream.valid, 0)
        await context.tick().repeat(int(12 * clock_hz / BAUD))
        assert received == sent

    async def watch(context):
        output = loop.receiver.output
        async for _, _, valid, payload in context.tick().sample(output.valid, output.payload):
            if valid:
                received.append(payload)

    testbench(loop, send, watch)


def test_a_glitch_and_a_missing_stop_bit_are_no_bytes(testbench):
    receiver = UartReceiver(clock_hz=10 * BAUD, baud=BAUD)
    received = []

    async def main(context):
        async def level(value, bits):
            context.set(receiver.line, value)
            for _ in range(round(10 * bits)):
                await context.tick()
                if context.get(receiver.output.valid):
                    received.append(context.get(receiver.output.payload))

        await level(1, 3)
        await level(0, 0.3)  # no start bit
        await level(1, 12)
        await level(0, 10.5)  # zeros, and no stop bit
        await level(1, 12)
        assert received == []
        await level(0, 1)
        await level(1, 12)  # FF
        assert received == [0xFF]

    testbench(receiver, main)
