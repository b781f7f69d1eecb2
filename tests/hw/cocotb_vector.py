"""Programs for the vector engine and its memories; run by test_vector.py inside the simulator."""

from itertools import count, pairwise

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_bench import Stream, begin, configuration, cycles, feed, generator, word
from tilewright.hw.signatures import CellRead, CellWrite
from tilewright.isa.instruction import finish, sync, vector
from tilewright.isa.launch import Launch
from tilewright.isa.memories import ROW_MEMORIES, memory_shape, transfer_unit
from tilewright.isa.random_data import random_cells
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, ErrorCode, Function, Memory, Opcode
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

CONFIG = configuration()
ROWS = CONFIG.rows
BEATS = CONFIG.block_out // CONFIG.vector_lanes
GRANULES = CONFIG.block_out // CONFIG.granule
FILLED = (Memory.ACT, Memory.ACC, Memory.BIAS, Memory.SCALE, Memory.TABLE)
READS = ("a_act", "a_acc", "b_act", "b_acc")
ACT, ACC = Memory.ACT, Memory.ACC


class Outside:
    """The load and store engines' ways into the memories, gemm's claims on them, tokens and observers.

    Members
    -------
    reads, writes
        For each operand, and for the results, the cycles in which one was passed.
    """

    def __init__(self, dut, rng):
        self.dut, self.rng, self.share = dut, rng, 0.0
        self.load, self.store = Stream(dut, "load"), Stream(dut, "store__request")
        self.gemm = [Stream(dut, f"{name}__request") for name in ("gemm_act", "gemm_acc", "gemm_acc_write")]
        self.links = [Stream(dut, f"tokens__{link}") for link in ("acquire", "release")]
        for stream in (self.load, self.store, *self.gemm, Stream(dut, "instruction")):
            stream.valid.value = 0
            stream.payload.value = 0
        for stream in self.links:
            stream.ready.value = 1
        dut.halt.value = 0
        self.reads, self.writes = {name: [] for name in READS}, []
        self.retired, self.now = [], 0

    def start(self):
        cocotb.start_soon(self._run())

    async def _run(self):
        dut, rng = self.dut, self.rng
        while True:
            await RisingEdge(dut.clk)
            self.now += 1
            assert not int(dut.strays.value)
            reads = int(dut.reads.value)
            for number, name in enumerate(READS):
                if reads >> number & 1:
                    self.reads[name].append(self.now)
            if int(dut.writes.value):
                self.writes.append(self.now)
            if int(dut.retired.value):
                self.retired.append((int(dut.retired_index.value), self.now))
            if not self.share:
                continue
            for stream in self.gemm:
                stream.valid.value = rng.random() < self.share
                bits = len(stream.payload)
                # Of a write only the address: with no row in it nothing is written.
                address = rng.getrandbits(bits) if stream is not self.gemm[2] else rng.randrange(CONFIG.acc_depth)
                stream.payload.value = address
            for stream in self.links:
                stream.ready.value = rng.random() >= self.share

    def rest(self):
        self.share = 0.0
        for stream in self.gemm:
            stream.valid.value = 0
        for stream in self.links:
            stream.ready.value = 1

    async def fill(self, contents):
        """Every cell of every memory, part by part, through the load engine's way."""
        layout = CellWrite(CONFIG)
        for memory, cells in contents.items():
            unit = transfer_unit(CONFIG, memory)
            for row, address in np.ndindex(cells.shape[:2]):
                for part in range(cells.shape[2] // unit):
                    data = int.from_bytes(cells[row, address, part * unit : (part + 1) * unit].tobytes(), "little")
                    fields = {"memory": memory, "row_mask": 1 << row, "address": address, "part": part, "data": data}
                    self.load.payload.value = layout.const(fields).as_bits()
                    self.load.valid.value = 1
                    await RisingEdge(self.dut.clk)
                    assert self.load.moves
        self.load.valid.value = 0

    async def contents(self, memory):
        """uint8, shape (rows, depth, cell bytes), through the store engine's way."""
        shape, unit, layout = memory_shape(CONFIG, memory), transfer_unit(CONFIG, memory), CellRead(CONFIG)
        answers = []
        task = cocotb.start_soon(self._collect(answers, unit))
        for row, address in np.ndindex(shape.rows, shape.depth):
            for part in range(shape.cell_bytes // unit):
                fields = {"memory": memory, "row": row, "address": address, "part": part}
                self.store.payload.value = layout.const(fields).as_bits()
                self.store.valid.value = 1
                await RisingEdge(self.dut.clk)
                assert self.store.moves
        self.store.valid.value = 0
        await cycles(self.dut, 4)
        task.cancel()
        return np.frombuffer(b"".join(answers), np.uint8).reshape(shape.rows, shape.depth, shape.cell_bytes)

    async def _collect(self, answers, unit):
        while True:
            await RisingEdge(self.dut.clk)
            if int(self.dut.store__valid.value):
                bits = int(self.dut.store__data.value) & ((1 << 8 * unit) - 1)
                answers.append(bits.to_bytes(unit, "little"))

    async def until_retired(self, wanted, limit=30_000):
        for _ in range(limit):
            if len(self.retired) >= wanted:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"retired {self.retired}, wanted {wanted}")


def random_contents(seed):
    values = np.random.default_rng(seed)
    contents = {}
    for memory in FILLED:
        shape = memory_shape(CONFIG, memory)
        cells = random_cells(values, CONFIG, memory, shape.rows * shape.depth)
        contents[memory] = cells.reshape(shape.rows, shape.depth, shape.cell_bytes)
    return contents


def oracle(instructions, contents):
    """ACT and ACC after `instructions`, from a model that the hardware shares nothing with."""
    simulator = OracleSimulator(CONFIG, dram=Dram(size=1 << 16))
    for memory, cells in contents.items():
        for row, each in enumerate(cells):
            simulator.poke(memory, each, row)
    plain = [each.replace(wait=0, signal=0) for each in instructions]
    text = b"".join(each.encode() for each in (*plain, finish()))
    simulator.write(simulator.dram.base, text)
    outcome = simulator.run(Launch(program=simulator.dram.base, count=len(plain) + 1))
    assert outcome.error is ErrorCode.NONE
    return {memory: np.stack([simulator.peek(memory, row) for row in range(ROWS)]) for memory in ROW_MEMORIES}


async def run(dut, instructions, *, seed, share=0.0):
    """Runs `instructions`, compares ACT and ACC with the oracle's, and returns what was seen outside."""
    rng = generator(seed)
    outside = Outside(dut, rng)
    contents = random_contents(seed)
    await begin(dut)
    outside.start()
    await outside.fill(contents)
    outside.share = share
    words = [word(instruction, index) for index, instruction in enumerate(instructions)]
    cocotb.start_soon(feed(dut, Stream(dut, "instruction"), words, rng, share))
    await outside.until_retired(len(instructions))
    outside.rest()
    await cycles(dut, 2)
    expected = oracle(instructions, contents)
    for memory in ROW_MEMORIES:
        assert np.array_equal(await outside.contents(memory), expected[memory]), memory.name
    assert [index for index, _ in outside.retired] == list(range(len(instructions)))
    return outside


def assert_every_cycle(times, wanted):
    assert times == list(range(times[0], times[0] + wanted))


def gaps(times):
    return [after - before for before, after in pairwise(times)]


def scaled(results, **options):
    """ACC to ACT with all that a layer's end has, `results` of them."""
    given = {"a": (ACC, 0, [1]), "dst": (ACT, 0, [GRANULES]), "bias": 0, "scale": 0, "table": 0, "zero_point": -3}
    return vector(function=Function.SUM, bounds=[results], **{**given, **options})


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.35))
async def random_nests(dut, share):
    """What random programs have of VECTOR, and SYNC between them."""
    instructions = []
    for seed in count():
        program = random_program(CONFIG, seed, size=24, points=60)
        instructions += [each for each in program.instructions if each.opcode is Opcode.VECTOR]
        if len(instructions) > 40:
            break
    instructions[3:3] = [sync(Engine.VECTOR, wait=[Engine.LOAD], signal=[Engine.STORE])] * 2
    await run(dut, instructions, seed=1, share=share)


@cocotb.test()
async def one_result_a_cycle(dut):
    """Requantising, in as many cycles as results, from one nest to the next as well."""
    nests = [scaled(12, dst=(ACT, GRANULES * 12 * (n % 2), [GRANULES])) for n in range(3)]
    outside = await run(dut, nests, seed=2)
    assert_every_cycle(outside.reads["a_acc"], 36 * BEATS)
    assert_every_cycle(outside.writes, 36 * BEATS)


@cocotb.test()
@cocotb.parametrize(b_bank=(0, 1))
async def both_operands(dut, b_bank):
    """A step reads both in one cycle from two banks, and in two from one."""
    words = CONFIG.acc_depth // CONFIG.acc_banks
    b_bank %= CONFIG.acc_banks
    nest = vector(function=Function.SUM, bounds=[10], a=(ACC, 0, [1]), b=(ACC, b_bank * words + 3, [1]),
                  dst=(ACT, 0, [GRANULES]), residual=True)  # fmt: skip
    outside = await run(dut, [nest], seed=3)
    if b_bank:
        assert_every_cycle(outside.writes, 10 * BEATS)
        assert outside.reads["a_acc"] == outside.reads["b_acc"]
    else:
        assert set(gaps(outside.writes)) == {2}
        assert [b - a for a, b in zip(outside.reads["a_acc"], outside.reads["b_acc"], strict=True)] == [1] * 10 * BEATS


@cocotb.test()
async def operands_of_two_memories(dut):
    """ACC and ACT together are no conflict."""
    nest = vector(function=Function.SUM, bounds=[10], a=(ACC, 0, [1]), b=(ACT, 0, [GRANULES]),
                  dst=(ACC, 32, [1]), residual=True, scale=0, scale_shared=True)  # fmt: skip
    outside = await run(dut, [nest], seed=4)
    assert_every_cycle(outside.writes, 10 * BEATS)


@cocotb.test()
async def reductions(dut):
    """A window's steps take a cycle each, and its result one write."""
    for_act = {"a": (ACT, 0, [GRANULES, GRANULES]), "dst": (ACC, 0, [1, 0]), "reduce": 1}
    nests = [vector(function=f, bounds=[4, 9], **for_act) for f in (Function.SUM, Function.MAX, Function.MIN)]
    outside = await run(dut, nests, seed=5)
    assert_every_cycle(outside.reads["a_act"], 3 * 36 * BEATS)
    assert len(outside.writes) == 12 * BEATS
    assert set(gaps(outside.writes)) == {9}


@cocotb.test()
async def multiply_accumulate(dut):
    """Depthwise: extremes of both operands, and their zero points."""
    half = CONFIG.act_depth // 2
    nest = vector(function=Function.MAC, bounds=[3, 3, 3], a=(ACT, 0, [GRANULES, 2 * GRANULES, GRANULES]),
                  b=(ACT, half, [0, 3 * GRANULES, GRANULES]), dst=(ACC, 0, [1, 0, 0]), reduce=2, a_zero=-128,
                  b_zero=127)  # fmt: skip
    outside = await run(dut, [nest, nest.replace(a_zero=127, b_zero=-128)], seed=6)
    assert len(outside.writes) == 6 * BEATS


@cocotb.test()
async def fill_reads_nothing(dut):
    nest = vector(function=Function.ZERO, bounds=[20], dst=(ACT, 0, [GRANULES]), zero_point=7)
    outside = await run(dut, [nest], seed=7)
    assert_every_cycle(outside.writes, 20 * BEATS)
    assert not any(outside.reads.values())


def chain(distance, results, *, start=32):
    """Each result is the one `distance` before it, and 1 more (bias)."""
    return vector(function=Function.SUM, bounds=[results], a=(ACC, start - distance, [1]), dst=(ACC, start, [1]),
                  bias=0, scale=1, scale_shared=True)  # fmt: skip


@cocotb.test(skip=BEATS > 1)
async def read_after_write(dut):
    """A step waits for the result it reads exactly until that is written, and no other step waits."""
    outside = await run(dut, [chain(1, 8)], seed=8)
    (delay,) = set(gaps(outside.reads["a_acc"]))
    assert delay == set_by(outside), "a read follows the write it waited for by one cycle"
    assert delay <= 22


def set_by(outside):
    return outside.writes[0] + 1 - outside.reads["a_acc"][0]


@cocotb.test()
@cocotb.parametrize(distance=(2, 7, 17, 18, 19))
async def read_after_write_at_a_distance(dut, distance):
    """Issue times are those of the simplest rule: one a cycle, and never before the operand is there."""
    results = 30
    outside = await run(dut, [chain(distance, results)], seed=distance)
    issued, delay = outside.reads["a_acc"], set_by(outside)
    expected = [issued[0]]
    for step in range(1, results * BEATS):
        beat, result = divmod(step, results)
        source = beat * results + result - distance
        ready = expected[source] + delay if result >= distance else 0
        expected.append(max(expected[-1] + 1, ready))
    assert issued == expected


@cocotb.test(skip=BEATS > 1)
async def read_after_write_across_nests(dut):
    """The next instruction waits for just those results of the one before that it reads."""
    first = scaled(8, table=None, dst=(ACC, 32, [1]))
    apart = scaled(8, a=(ACC, 16, [1]), dst=(ACC, 48, [1]), table=None)
    outside = await run(dut, [first, apart], seed=9)
    assert_every_cycle(outside.reads["a_acc"], 16)


@cocotb.test(skip=BEATS > 1)
async def read_after_write_of_a_previous_nest(dut):
    first = scaled(4, table=None, dst=(ACC, 32, [1]))
    behind = scaled(4, a=(ACC, 32, [1]), dst=(ACC, 48, [1]), table=None)
    outside = await run(dut, [first, behind], seed=9)
    issued, delay = outside.reads["a_acc"], set_by(outside)
    assert [after - before for before, after in zip(issued[:4], issued[4:], strict=True)] == [delay] * 4


@cocotb.test()
async def hazards_through_operand_b(dut):
    """Residual and MAC's second operand wait as well; the same address in the other memory does not."""
    along, behind = (ACT, GRANULES, [GRANULES]), (ACT, 0, [GRANULES])
    add = vector(function=Function.SUM, bounds=[6], a=(ACC, 0, [1]), b=behind, dst=along, residual=True)
    depthwise = vector(function=Function.MAC, bounds=[6], a=behind, b=behind, dst=along)
    same_number = vector(function=Function.SUM, bounds=[12], a=(ACC, 0, [1]), dst=along)
    outside = await run(dut, [add, depthwise, same_number], seed=10)
    assert_every_cycle(outside.reads["a_acc"][-12 * BEATS :], 12 * BEATS)
    assert max(gaps(outside.reads["b_act"])) > 10 or BEATS > 1


@cocotb.test()
async def rows_out_of_the_mask_keep_theirs(dut):
    for_row = [scaled(6, row_mask=mask, dst=(ACT, GRANULES * 6 * n, [GRANULES])) for n, mask in enumerate((0, 1, 2, 3))]
    outside = await run(dut, for_row, seed=11)
    assert len(outside.retired) == 4


@cocotb.test()
async def halt(dut):
    """Nothing is read any more while it is 1; results on their way are written; then it goes on."""
    rng = generator(12)
    outside = Outside(dut, rng)
    contents = random_contents(12)
    await begin(dut)
    outside.start()
    await outside.fill(contents)
    nest = scaled(24)
    cocotb.start_soon(feed(dut, Stream(dut, "instruction"), [word(nest, 0)], rng, 0.0))
    await cycles(dut, 12)
    dut.halt.value = 1
    await cycles(dut, 2)
    before = len(outside.reads["a_acc"])
    await cycles(dut, 40)
    assert len(outside.reads["a_acc"]) == before == len(outside.writes)
    assert 0 < before < 24 * BEATS
    dut.halt.value = 0
    await outside.until_retired(1)
    expected = oracle([nest], contents)
    assert np.array_equal(await outside.contents(ACT), expected[ACT])
