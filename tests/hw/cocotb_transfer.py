"""Random and directed transfers; run by test_transfer.py inside the simulator."""

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_bench import (
    LatentReads,
    LatentWrites,
    Stream,
    begin,
    cycles,
    feed,
    generator,
    word,
)
from cocotb_transfer_bench import CONFIG, RAM_BYTES, SOURCE, TARGET, Outside, fresh_memories, send, setup
from tilewright.isa.instruction import load, store, sync
from tilewright.isa.memories import ROW_MEMORIES, STORABLE, memory_shape, transfer_unit
from tilewright.isa.table import Engine, ErrorCode, Memory, Opcode


def random_nest(rng, memory, size, cells):
    """Bounds, DRAM strides and offset of a transfer inside a segment of `size` bytes."""
    unit, cell = transfer_unit(CONFIG, memory), memory_shape(CONFIG, memory).cell_bytes
    while True:
        bounds = [rng.choice((1, 1, 2, 3)) for _ in range(3)] + [rng.choice((1, 2, 3, 5, 9, 40, 130))]
        if np.prod(bounds) > cells:
            continue
        strides = [rng.randint(-40, 60) * rng.choice((unit, cell)) for _ in range(3)]
        spans = [stride * (bound - 1) for stride, bound in zip(strides, bounds, strict=False)]
        low, high = sum(min(s, 0) for s in spans), sum(max(s, 0) for s in spans) + bounds[3] * cell
        if high - low <= size:
            offset = rng.randint(0, (size - (high - low)) // unit) * unit - low
            return bounds, strides, offset


def mem_access(rng):
    return rng.getrandbits(16), [rng.choice((0, 1, -1, 7, -130)) for _ in range(3)] + [rng.choice((1, 1, 3))]


def masks(rng, own):
    others = [engine for engine in Engine if engine is not own]
    return {"wait": rng.sample(others, rng.randint(0, 3)), "signal": rng.sample(others, rng.randint(0, 3))}


def random_load(rng):
    memory = rng.choice(list(Memory))
    bounds, strides, offset = random_nest(rng, memory, SOURCE[1], 150)
    return load(
        memory=memory, segment=1, offset=offset, bounds=bounds, dram_strides=strides, mem=mem_access(rng),
        row_mask=rng.getrandbits(8), **masks(rng, Engine.LOAD),
    )  # fmt: skip


def random_store(rng):
    memory = rng.choice(STORABLE)
    bounds, strides, offset = random_nest(rng, memory, TARGET[1], 150)
    return store(
        memory=memory, segment=2, offset=offset, bounds=bounds, dram_strides=strides, mem=mem_access(rng),
        row=rng.randrange(CONFIG.rows), **masks(rng, Engine.STORE),
    )  # fmt: skip


def run_load(instruction, image, memories):
    memory = Memory(instruction["memory"])
    shape = memory_shape(CONFIG, memory)
    rows = [r for r in range(shape.rows) if memory not in ROW_MEMORIES or instruction["row_mask"] >> r & 1]
    for point in np.ndindex(*instruction.nest.bounds):
        start = SOURCE[0] + instruction["offset"] + point[3] * shape.cell_bytes
        start += sum(instruction[f"dram_stride{d}"] * point[d] for d in range(3))
        address = instruction["mem_base"] + sum(instruction[f"mem_stride{d}"] * point[d] for d in range(4))
        memories[memory][rows, address % shape.depth] = image[start : start + shape.cell_bytes]


def run_store(instruction, image, memories):
    memory = Memory(instruction["memory"])
    shape = memory_shape(CONFIG, memory)
    for point in np.ndindex(*instruction.nest.bounds):
        start = TARGET[0] + instruction["offset"] + point[3] * shape.cell_bytes
        start += sum(instruction[f"dram_stride{d}"] * point[d] for d in range(3))
        address = instruction["mem_base"] + sum(instruction[f"mem_stride{d}"] * point[d] for d in range(4))
        image[start : start + shape.cell_bytes] = memories[memory][
            instruction["row"] % shape.rows, address % shape.depth
        ]


async def random_traffic(dut, seed, share, count):
    rng, outside, ram, image = await setup(dut, seed=seed, share=share)
    programs = {
        "load": [
            random_load(rng) if rng.random() < 0.85 else sync(Engine.LOAD, **masks(rng, Engine.LOAD))
            for _ in range(count)
        ],
        "store": [
            random_store(rng) if rng.random() < 0.85 else sync(Engine.STORE, **masks(rng, Engine.STORE))
            for _ in range(count)
        ],
    }
    for name, program in programs.items():
        send(dut, name, program, rng, share)
    await outside.until_retired(dict.fromkeys(programs, count))
    await cycles(dut, 20)
    expected = fresh_memories()
    for instruction in programs["load"]:
        if instruction.opcode is Opcode.LOAD:
            run_load(instruction, image, expected)
    for instruction in programs["store"]:
        if instruction.opcode is Opcode.STORE:
            run_store(instruction, image, outside.readable)
    for memory in Memory:
        assert np.array_equal(outside.written[memory], expected[memory]), memory
    assert ram.read(0, RAM_BYTES) == image.tobytes()
    assert not any(outside.faults.values())
    for name, program in programs.items():
        assert outside.retired[name] == outside.started[name] == list(range(count))
        assert outside.acquired[name] == [instruction["wait"] for instruction in program if instruction["wait"]]
        assert outside.released[name] == [instruction["signal"] for instruction in program]
    assert int(dut.idle.value)


@cocotb.test()
async def traffic_without_pauses(dut):
    await random_traffic(dut, seed=2, share=0.0, count=12)


@cocotb.test()
async def traffic_with_pauses(dut):
    await random_traffic(dut, seed=3, share=0.4, count=16)


async def refused(dut, name, instruction, fault, limit, before):
    """`instruction`, after the innocent `before`, faults; the bus never touches anything outside the segment."""
    segments = ((0, 0), SOURCE, (TARGET[0], limit))
    rng, outside, ram, image = await setup(dut, seed=4, share=0.2, segments=segments)
    send(dut, name, [before], rng, 0)
    await outside.until_retired({name: 1})
    source = Stream(dut, f"{name}__instruction")
    cocotb.start_soon(feed(dut, source, [word(instruction, 1), word(before, 2)], rng, 0))
    for _ in range(2000):
        await RisingEdge(dut.clk)
        if outside.faults[name]:
            break
    await RisingEdge(dut.clk)
    getattr(dut, f"{name}__halt").value = 1
    await cycles(dut, 1000)
    assert outside.faults[name] == [(fault, 1)]
    assert outside.retired[name] == [0]
    assert int(dut.idle.value)
    after = np.frombuffer(ram.read(0, RAM_BYTES), np.uint8)
    changed = np.flatnonzero(after != image)
    if name == "store":
        assert changed.size and changed.min() >= TARGET[0] and changed.max() < TARGET[0] + limit
    else:
        assert not changed.size


_CELL = memory_shape(CONFIG, Memory.ACC).cell_bytes
_INSIDE = {"memory": Memory.ACC, "segment": 2, "offset": 0, "bounds": [4], "mem": (0, [1])}


@cocotb.test()
@cocotb.parametrize(
    engine=("load", "store"),
    change=(
        {"offset": _CELL},
        {"bounds": [2, 3], "dram_strides": [2 * _CELL], "mem": (0, [0, 1])},
        {"offset": -_CELL & 0xFFFF_FFFF},
        {"segment": 0},
    ),
)
async def fence(dut, engine, change):
    build = {"load": load, "store": store}[engine]
    await refused(dut, engine, build(**{**_INSIDE, **change}), ErrorCode.SEGMENT_LIMIT, 4 * _CELL, build(**_INSIDE))


@cocotb.test()
@cocotb.parametrize(engine=("load", "store"), memory=(Memory.ACC, Memory.ACT))
async def alignment(dut, engine, memory):
    build = {"load": load, "store": store}[engine]
    unit = transfer_unit(CONFIG, memory)
    wrong = {**_INSIDE, "memory": memory, "offset": unit // 2, "bounds": [1]}
    await refused(dut, engine, build(**wrong), ErrorCode.ALIGNMENT, 4 * _CELL, build(**_INSIDE))


def break_at(interface, method, address):
    """The bus answers with an error wherever a burst touches the bus word at `address`."""
    sound = getattr(interface, method)

    async def broken(start, content):
        length = content if isinstance(content, int) else len(content)
        if start <= address < start + length:
            raise OSError("broken on purpose")
        return await sound(start, content)

    setattr(interface, method, broken)


@cocotb.test()
@cocotb.parametrize(engine=("load", "store"))
async def bus_error(dut, engine):
    """The index is that of the transfer; the instructions before it retire, and those after it never do."""
    rng, outside, ram, _ = await setup(dut, seed=6, share=0.2)
    build = {"load": load, "store": store}[engine]
    programs = [build(**{**_INSIDE, "segment": 2, "offset": number * 4 * _CELL}) for number in range(5)]
    interface, method = {"load": (ram.read_if, "_read"), "store": (ram.write_if, "_write")}[engine]
    break_at(interface, method, TARGET[0] + 2 * 4 * _CELL + _CELL)
    send(dut, engine, programs, rng, 0)
    for _ in range(4000):
        await RisingEdge(dut.clk)
        if outside.faults[engine]:
            break
    await RisingEdge(dut.clk)
    getattr(dut, f"{engine}__halt").value = 1
    await cycles(dut, 1000)
    code = {"load": ErrorCode.BUS_READ, "store": ErrorCode.BUS_WRITE}[engine]
    assert outside.faults[engine] == [(code, 2)]
    assert outside.retired[engine] == [0, 1]
    assert int(dut.idle.value)


@cocotb.test()
@cocotb.parametrize(engine=("load", "store"))
async def halt_quiets_the_bus(dut, engine):
    rng, outside, _, _ = await setup(dut, seed=7, share=0.1)
    build = {"load": load, "store": store}[engine]
    instruction = build(memory=Memory.ACT, segment=2, offset=0, bounds=[200], mem=(0, [1]))
    send(dut, engine, [instruction] * 6, rng, 0)
    for _ in range(4000):
        await RisingEdge(dut.clk)
        if outside.retired[engine] and not int(dut.idle.value):
            break
    getattr(dut, f"{engine}__halt").value = 1
    await cycles(dut, 1500)
    assert int(dut.idle.value)
    assert not outside.faults[engine]
    started = list(outside.started[engine])
    await cycles(dut, 200)
    assert outside.started[engine] == started


@cocotb.test()
async def loads_fill_the_bus(dut):
    """Instructions of 32 beats one after another, DRAM at 40 cycles' latency."""
    rng = generator(5)
    outside = Outside(dut, rng, 0.0)
    outside.drive(((0, 0), SOURCE, TARGET))
    image = rng.randbytes(RAM_BYTES)
    memory = LatentReads(dut, image, latency=40)
    await begin(dut)
    outside.start()
    count, beats = 24, 32
    cells = max(beats * CONFIG.bus_bytes // memory_shape(CONFIG, Memory.WGT).cell_bytes, 1)
    program = [load(memory=Memory.WGT, segment=1, offset=0, bounds=[cells], mem=(0, [1])) for _ in range(count)]
    send(dut, "load", program, rng, 0)
    await outside.until_retired({"load": count})
    in_flight = CONFIG.reads_outstanding * CONFIG.burst_beats
    small = CONFIG.bus_bytes > memory_shape(CONFIG, Memory.WGT).cell_bytes
    if in_flight >= 64 and not small:
        share = memory.beats / (memory.last - memory.first + 1)
        assert share > 0.97, share


@cocotb.test()
async def blocked_tokens_never_block_the_bus(dut):
    """Beats that were asked are taken even while no token can be given: fetch shares the bus with them."""
    rng = generator(8)
    outside = Outside(dut, rng, 0.0)
    outside.drive(((0, 0), SOURCE, TARGET))
    memory = LatentReads(dut, rng.randbytes(RAM_BYTES), latency=10)
    await begin(dut)
    outside.start(tokens=False)
    dut.load__tokens__acquire__ready.value = 1
    dut.load__tokens__release__ready.value = 0
    program = [load(memory=Memory.ACT, segment=1, offset=0, bounds=[5], mem=(0, [1]), signal=[Engine.GEMM])] * 20
    send(dut, "load", program, rng, 0)
    await cycles(dut, 2500)
    assert len(outside.started["load"]) > 1 and not outside.retired["load"]
    assert memory.beats and int(dut.idle.value)
    dut.load__tokens__release__ready.value = 1
    await outside.until_retired({"load": len(program)})


@cocotb.test()
async def stores_fill_the_bus(dut):
    """Instructions of 32 beats one after another, answered after 20 cycles."""
    rng = generator(9)
    outside = Outside(dut, rng, 0.0)
    outside.drive(((0, 0), SOURCE, TARGET))
    memory = LatentWrites(dut, latency=20)
    await begin(dut)
    outside.start()
    count, beats = 24, 32
    cell = memory_shape(CONFIG, Memory.ACC).cell_bytes
    cells = max(beats * CONFIG.bus_bytes // cell, 1)
    program = [store(memory=Memory.ACC, segment=2, offset=0, bounds=[cells], mem=(0, [1])) for _ in range(count)]
    send(dut, "store", program, rng, 0)
    await outside.until_retired({"store": count})
    if CONFIG.bus_bytes <= cell and CONFIG.burst_beats >= 16:
        share = memory.beats / (memory.last - memory.first + 1)
        assert share > 0.97, share
