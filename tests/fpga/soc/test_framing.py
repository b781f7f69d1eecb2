"""Flags and escapes in hardware against those of the driver."""

import random

from tilewright.driver.frames import ESCAPE, FLAG, on_line
from tilewright.fpga.soc.framing import Deframer, Framer

FRAMES = [
    bytes([0]),
    bytes([FLAG]),
    bytes([ESCAPE]),
    bytes([ESCAPE, FLAG, FLAG, ESCAPE, ESCAPE]),
    bytes(range(256)),
    random.Random(1).randbytes(100),
]


def test_frames_to_the_line(testbench):
    framer = Framer()
    line = bytearray()
    rng = random.Random(2)

    async def main(context):
        for frame in FRAMES:
            for place, byte in enumerate(frame):
                context.set(framer.input.p.byte, byte)
                context.set(framer.input.p.last, place == len(frame) - 1)
                context.set(framer.input.valid, 1)
                await context.tick().until(framer.input.ready)
                context.set(framer.input.valid, 0)
                await context.tick().repeat(rng.choice([1, 1, 3]))
        await context.tick().repeat(20)
        assert bytes(line) == b"".join(map(on_line, FRAMES))

    async def take(context):
        while True:
            context.set(framer.output.ready, rng.random() < 0.6)
            _, _, valid, ready, byte = await context.tick().sample(
                framer.output.valid, framer.output.ready, framer.output.payload
            )
            if valid and ready:
                line.append(byte)

    testbench(framer, main, take)


def test_frames_from_the_line(testbench):
    deframer = Deframer()
    found = [b""]
    noise = bytes([1, 2, ESCAPE, 3])

    async def main(context):
        for byte in noise + b"".join(map(on_line, FRAMES)) + bytes([FLAG, ESCAPE, FLAG, FLAG]):
            context.set(deframer.input.payload, byte)
            context.set(deframer.input.valid, 1)
            await context.tick()
            context.set(deframer.input.valid, 0)
        await context.tick().repeat(3)
        assert [frame for frame in found if frame] == [bytes([1, 2, 3 ^ 0x20]), *FRAMES]

    async def watch(context):
        output = deframer.output
        async for _, _, valid, byte, flag in context.tick().sample(output.valid, output.payload, deframer.flag):
            if valid:
                found[-1] += bytes([byte])
            if flag:
                found.append(b"")

    testbench(deframer, main, watch)
