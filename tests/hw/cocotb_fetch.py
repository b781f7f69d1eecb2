"""Programs for the instruction fetch; run by test_fetch.py inside the simulator."""

import cocotb
from cocotb.triggers import RisingEdge
from cocotb_bench import LatentReads, Stream, axi_ram, begin, configuration, cycles, generator, marks
from tilewright.isa.instruction import decode, finish, gemm, load, store, sync, vector
from tilewright.isa.table import INSTRUCTION_BYTES, Engine, ErrorCode, Function, Memory, Opcode, spec_of

CONFIG = configuration()
BASE = 0x1FC0
RAM_BYTES = 1 << 16
QUEUES = {engine: engine.name.lower() for engine in Engine}

LOAD = load(memory=Memory.TABLE, segment=7, offset=5, bounds=[3], mem=(9, [-1]), wait=[Engine.GEMM])
STORE = store(memory=Memory.ACC, segment=1, offset=64, bounds=[2, 2], dram_strides=[-64], mem=(1, [1, 0]))
GEMM = gemm(bounds=[2, 3], act=(0, [1, 0]), wgt=(0, [0, 1]), acc=(0, [1, 1]), signal=[Engine.STORE])
VECTOR = vector(
    function=Function.MAC,
    bounds=[2],
    dst=(Memory.ACC, 0, [1]),
    a=(Memory.ACT, 0, [1]),
    b=(Memory.ACT, 0, [1]),
    reduce=5,
)
GOOD = [LOAD, STORE, GEMM, VECTOR, *(sync(engine, wait=[Engine((engine + 1) % 4)]) for engine in Engine)]


def altered(instruction, **fields):
    """The bytes of `instruction` with fields that the encoder would refuse."""
    word = int.from_bytes(instruction.encode(), "little")
    spec = spec_of(word & 0xF)
    for name, value in fields.items():
        width, offset = spec.by_name[name].width, spec.offsets[name]
        word = word & ~(((1 << width) - 1) << offset) | value << offset
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def top_bit(instruction):
    return altered(instruction, reserved=1 << (instruction.spec.by_name["reserved"].width - 1))


BAD = [
    bytes(INSTRUCTION_BYTES),
    b"\x07" + bytes(INSTRUCTION_BYTES - 1),
    b"\x0f" + bytes(INSTRUCTION_BYTES - 1),
    *(top_bit(each) for each in (LOAD, STORE, GEMM, finish(), sync(Engine.LOAD))),
    *(altered(each, reserved=1) for each in (LOAD, STORE, GEMM, finish(), sync(Engine.LOAD))),
    *(altered(each, **{f"bound{d}": 0}) for each in (LOAD, STORE, GEMM, VECTOR) for d in range(each.spec.dims)),
    *(altered(LOAD, memory=memory) for memory in (6, 7)),
    *(altered(STORE, memory=memory) for memory in range(2, 8)),
    *(altered(VECTOR, function=function) for function in (5, 6, 7)),
    *(altered(VECTOR, reduce=reduce) for reduce in (6, 7)),
    altered(VECTOR, a_memory=1),
    altered(VECTOR, b_memory=1),
    altered(VECTOR, function=Function.SUM, table_enable=1, dst_memory=1),
    *(altered(each, wait=1 << each.engine) for each in GOOD),
    *(altered(each, signal=1 << each.engine) for each in GOOD),
]
if VECTOR.spec.by_name["reserved"].width:
    BAD.append(top_bit(VECTOR))
LEGAL = [
    altered(VECTOR, function=Function.SUM, a_memory=1, b_memory=1),
    altered(VECTOR, table_enable=1, dst_memory=0),
    *(altered(LOAD, memory=memory) for memory in Memory),
    *(altered(STORE, memory=memory) for memory in (Memory.ACT, Memory.ACC)),
    *(altered(each, wait=0xF & ~(1 << each.engine), signal=0xF & ~(1 << each.engine)) for each in GOOD),
]


class Outside:
    """Takes instructions from the four queues, as slowly as `share` says."""

    def __init__(self, dut, rng, share):
        self.dut, self.rng, self.share = dut, rng, share
        self.taken, self.faults, self.finished = [], [], 0
        self.queues = {engine: Stream(dut, name) for engine, name in QUEUES.items()}
        for name in ("start", "base", "count", "halt", "engines_idle"):
            getattr(dut, name).value = 0
        for queue in self.queues.values():
            queue.ready.value = 0

    async def run(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            for engine, queue in self.queues.items():
                if queue.moves:
                    bits = int(queue.payload.value)
                    word = (bits >> 32 & (1 << 8 * INSTRUCTION_BYTES) - 1).to_bytes(INSTRUCTION_BYTES, "little")
                    assert bits >> 32 + 8 * INSTRUCTION_BYTES == marks(decode(word))
                    self.taken.append((bits & 0xFFFF_FFFF, engine, word))
                queue.ready.value = self.rng.random() >= self.share
            if int(dut.fault__valid.value):
                self.faults.append((ErrorCode(int(dut.fault__code.value)), int(dut.fault__index.value)))
            self.finished += int(dut.finished.value)


async def setup(dut, share=0.0):
    rng = generator(1)
    outside = Outside(dut, rng, share)
    ram = axi_ram(dut, RAM_BYTES, rng, share)
    await begin(dut)
    cocotb.start_soon(outside.run())
    return outside, ram


async def start(dut, ram, program, count=None):
    raw = [each if isinstance(each, bytes) else each.encode() for each in program]
    ram.write(0, bytes(RAM_BYTES))
    ram.write(BASE, b"".join(raw))
    dut.base.value, dut.count.value, dut.start.value = BASE, len(program) if count is None else count, 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    await cycles(dut, 2)
    return raw


async def until_inactive(dut, limit=6000):
    for _ in range(limit):
        await RisingEdge(dut.clk)
        if not int(dut.active.value):
            return
    raise AssertionError("fetch must come to an end")


def engine_of(raw):
    opcode = Opcode(raw[0] & 0xF)
    spec = spec_of(opcode)
    if opcode is Opcode.SYNC:
        return Engine(int.from_bytes(raw, "little") >> spec.offsets["engine"] & 3)
    return spec.engine


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.5))
async def every_legal_instruction_arrives(dut, share):
    """Twice, so that nothing of the first program is left for the second."""
    outside, ram = await setup(dut, share)
    for _ in range(2):
        outside.taken.clear()
        raw = await start(dut, ram, [*GOOD, *LEGAL, *GOOD, finish(), *GOOD])
        await cycles(dut, 3000)
        assert not outside.finished, "FINISH must wait for the engines"
        dut.engines_idle.value = 1
        await until_inactive(dut)
        dut.engines_idle.value = 0
        last = len(GOOD) * 2 + len(LEGAL)
        assert outside.taken == [(index, engine_of(each), each) for index, each in enumerate(raw[:last])]
        assert outside.finished == 1 and not outside.faults
        outside.finished = 0
        assert int(dut.idle.value)


@cocotb.test()
async def every_illegal_instruction_is_refused(dut):
    outside, ram = await setup(dut)
    for number, bad in enumerate(BAD):
        outside.taken.clear()
        outside.faults.clear()
        await start(dut, ram, [LOAD, bad, LOAD, finish()])
        await until_inactive(dut)
        assert outside.faults == [(ErrorCode.ILLEGAL_INSTRUCTION, 1)], (number, bad.hex(), outside.faults)
        assert [index for index, _, _ in outside.taken] == [0]
    assert not outside.finished


@cocotb.test()
async def program_end(dut):
    outside, ram = await setup(dut, 0.2)
    for count in (0, 1, 3):
        outside.faults.clear()
        outside.taken.clear()
        await start(dut, ram, [*GOOD[:3], finish()], count)
        await until_inactive(dut)
        await cycles(dut, 3)
        assert outside.faults == [(ErrorCode.PROGRAM_END, count)]
        assert len(outside.taken) == count


@cocotb.test()
async def bus_error(dut):
    outside, ram = await setup(dut)
    sound = ram.read_if._read

    async def broken(address, length):
        if BASE + 5 * INSTRUCTION_BYTES <= address < BASE + 6 * INSTRUCTION_BYTES:
            raise OSError("broken on purpose")
        return await sound(address, length)

    ram.read_if._read = broken
    await start(dut, ram, [*GOOD, finish()])
    await until_inactive(dut)
    assert outside.faults == [(ErrorCode.BUS_READ, 5)]
    assert [index for index, _, _ in outside.taken] == list(range(5))
    assert int(dut.idle.value)


@cocotb.test()
async def halt_stops_fetching(dut):
    outside, ram = await setup(dut, 0.3)
    await start(dut, ram, [LOAD] * 60 + [finish()])
    while len(outside.taken) < 10:
        await RisingEdge(dut.clk)
    dut.halt.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    count = len(outside.taken)
    await until_inactive(dut)
    assert len(outside.taken) == count
    assert int(dut.idle.value) and not outside.faults and not outside.finished


@cocotb.test()
async def keeps_up_with_the_bus(dut):
    """One instruction per 64 bytes of bus, once it flows."""
    rng = generator(1)
    outside = Outside(dut, rng, 0.0)
    count, latency = 64, 40 if CONFIG.bus_bits == 64 else 1
    image = bytearray(RAM_BYTES)
    image[BASE : BASE + count * INSTRUCTION_BYTES] = LOAD.encode() * count
    memory = LatentReads(dut, image, latency)
    await begin(dut)
    cocotb.start_soon(outside.run())
    dut.base.value, dut.count.value, dut.start.value = BASE, count, 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    while len(outside.taken) < count:
        await RisingEdge(dut.clk)
    share = memory.beats / (memory.last - memory.first + 1)
    assert CONFIG.reads_outstanding == 1 or share > 0.95, share
