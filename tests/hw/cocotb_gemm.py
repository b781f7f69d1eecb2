"""Programs for the matrix engine, with its memories and tokens outside; run by test_gemm.py inside the simulator."""

from collections import deque
from itertools import count, product

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_bench import Stream, begin, configuration, cycles, feed, generator, word
from tilewright.hw.signatures import READ_LATENCY
from tilewright.isa.instruction import gemm, sync
from tilewright.isa.memories import memory_shape
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import GEMM_DIMS, Engine, Memory, Opcode

CONFIG = configuration()
ROWS, BLOCK_IN, BLOCK_OUT = CONFIG.rows, CONFIG.block_in, CONFIG.block_out


class Port:
    """A reader of an array whose rows are units of what it reads; its answers come READ_LATENCY after a request.

    Where a unit is written in the cycle after it is asked for, which is when it is read, and in cycles without an
    answer, it shows junk.
    """

    def __init__(self, dut, name, cells, rng):
        self.request, self.data = Stream(dut, f"{name}__request"), getattr(dut, f"{name}__data")
        self.cells, self.rng = cells, rng
        self.request.ready.value = 1
        self.reads = 0
        self._asked = None
        self._answers = deque([None] * (READ_LATENCY - 2))

    def step(self, written=()):
        answer, address = None, self._asked
        if address is not None and address not in written:
            answer = b"".join(row[address].tobytes() for row in self.cells)
        self._asked = int(self.request.payload.value) if self.request.moves else None
        self.reads += self._asked is not None
        self._answers.append(answer)
        due = self._answers.popleft()
        bits = len(self.data)
        self.data.value = self.rng.getrandbits(bits) if due is None else int.from_bytes(due, "little")


class Outside:
    """Memories, tokens and observers of the engine.

    Members
    -------
    issued
        The cycle of each step.
    contents
        int8 and int32 arrays of the memories, as :func:`model` takes them.
    """

    def __init__(self, dut, rng, share, contents):
        self.dut, self.rng, self.share, self.contents = dut, rng, share, contents
        act, wgt = contents["act"].reshape(ROWS, -1, BLOCK_IN), contents["wgt"].reshape(1, CONFIG.wgt_depth, -1)
        self.act = Port(dut, "act_read", act, rng)
        self.wgt = Port(dut, "wgt_read", wgt, rng)
        self.acc = Port(dut, "acc_read", contents["acc"], rng)
        self.write = Stream(dut, "acc_write__request")
        self.acquire, self.release = (Stream(dut, f"tokens__{link}") for link in ("acquire", "release"))
        for ready in (self.write.ready, self.acquire.ready, self.release.ready):
            ready.value = 1
        dut.instruction__valid.value = dut.halt.value = 0
        self.issued, self.written, self.retired, self.started = [], [], [], []
        self.now = 0

    def start(self):
        cocotb.start_soon(self._run())

    async def _run(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            self.now += 1
            if self.act.request.moves:
                assert self.wgt.request.moves
                self.issued.append(self.now)
            written = self._write()
            for event in ("retired", "started"):
                if int(getattr(dut, event).value):
                    getattr(self, event).append((int(getattr(dut, f"{event}_index").value), self.now))
            self.act.step()
            self.wgt.step()
            self.acc.step(written)
            for stream in (self.acquire, self.release):
                stream.ready.value = self.rng.random() >= self.share

    def _write(self):
        if not self.write.moves:
            return ()
        rows, depth = self.contents["acc"].shape[:2]
        bits = int(self.write.payload.value)
        address_bits = depth.bit_length() - 1
        address = bits & depth - 1
        assert bits >> address_bits & (1 << rows) - 1 == (1 << rows) - 1
        data = (bits >> address_bits + rows).to_bytes(rows * BLOCK_OUT * 4, "little")
        self.contents["acc"][:, address] = np.frombuffer(data, np.int32).reshape(rows, BLOCK_OUT)
        self.written.append(self.now)
        return (address,)

    async def until_retired(self, count, limit=20_000):
        for _ in range(limit):
            if len(self.retired) >= count:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"retired {self.retired}, wanted {count}")


def random_contents(rng):
    values = np.random.default_rng(rng.getrandbits(32))

    def cells(memory, kind):
        shape = memory_shape(CONFIG, memory)
        raw = values.integers(0, 256, (shape.rows, shape.depth, shape.cell_bytes), dtype=np.uint8)
        return raw.view(kind)

    contents = {"act": cells(Memory.ACT, np.int8), "acc": cells(Memory.ACC, np.int32)}
    contents["wgt"] = cells(Memory.WGT, np.int8)[0].reshape(-1, BLOCK_OUT, BLOCK_IN)
    return contents


def model(instruction, contents):
    """docs/isa.md, GEMM, point by point."""
    act = contents["act"].reshape(ROWS, -1, BLOCK_IN).astype(np.int64)
    per_step = BLOCK_IN // CONFIG.granule
    acc = contents["acc"]
    bounds = [instruction[f"bound{d}"] for d in range(GEMM_DIMS)]

    def address(name, index, depth):
        strides = (instruction[f"{name}_stride{d}"] for d in range(GEMM_DIMS))
        return (instruction[f"{name}_base"] + sum(i * s for i, s in zip(index, strides, strict=True))) % depth

    for index in product(*map(range, bounds)):
        a = address("act", index, CONFIG.act_depth) // per_step
        w = address("wgt", index, CONFIG.wgt_depth)
        c = address("acc", index, CONFIG.acc_depth)
        masked = [index[d] for d in range(GEMM_DIMS) if instruction["overwrite_mask"] >> d & 1]
        old = 0 if not instruction["accumulate"] and not any(masked) else acc[:, c].astype(np.int64)
        acc[:, c] = (old + act[:, a] @ contents["wgt"][w].T.astype(np.int64)).astype(np.int32)


async def run(dut, instructions, *, seed, share=0.0):
    """Runs `instructions`, compares ACC with the model's, and returns what was seen outside.

    `share` of the cycles every stream pauses, except for reads, which are always served.
    """
    rng = generator(seed)
    contents = random_contents(rng)
    expected = {name: array.copy() for name, array in contents.items()}
    outside = Outside(dut, rng, share, contents)
    await begin(dut)
    outside.start()
    words = [word(instruction, index) for index, instruction in enumerate(instructions)]
    cocotb.start_soon(feed(dut, Stream(dut, "instruction"), words, rng, share))
    await outside.until_retired(len(instructions))
    await cycles(dut, 20)
    for instruction in instructions:
        if instruction.opcode is Opcode.GEMM:
            model(instruction, expected)
    assert np.array_equal(contents["acc"], expected["acc"])
    assert len(outside.issued) == len(outside.written) == points(instructions)
    assert [index for index, _ in outside.retired] == list(range(len(instructions)))
    return outside


def points(instructions):
    return sum(each.nest.points for each in instructions if each.opcode is Opcode.GEMM)


def assert_no_bubble(outside):
    """One step in every cycle from the first to the last."""
    first = outside.issued[0]
    assert outside.issued == list(range(first, first + len(outside.issued)))


def simple(steps, *, acc=(0, 1), **options):
    return gemm(bounds=[steps], act=(0, [BLOCK_IN // CONFIG.granule]), wgt=(0, [1]), acc=(acc[0], [acc[1]]), **options)


@cocotb.test()
@cocotb.parametrize(share=(0.0, 0.4))
async def random_nests(dut, share):
    """What random programs have of GEMM, and SYNC between them."""
    instructions = []
    for seed in count():
        program = random_program(CONFIG, seed, size=24, points=90)
        instructions += [each for each in program.instructions if each.engine is Engine.GEMM]
        if len(instructions) > 40:
            break
    instructions[5:5] = [sync(Engine.GEMM, wait=[Engine.LOAD], signal=[Engine.STORE])] * 2
    await run(dut, instructions, seed=1, share=share)


@cocotb.test()
async def one_step_a_cycle_across_nests(dut):
    """n points of successive nests issue in exactly n cycles, whatever the nests are."""
    rng = generator(2)
    nests = [simple(rng.randint(3, 30), acc=(rng.randrange(20), rng.choice((0, 1))), accumulate=rng.random() < 0.5,
                    wait=[Engine.LOAD], signal=[Engine.VECTOR]) for _ in range(12)]  # fmt: skip
    outside = await run(dut, nests, seed=2)
    assert_no_bubble(outside)
    assert len(outside.issued) == points(nests)


@cocotb.test()
async def one_step_a_cycle_across_single_points(dut):
    """Even nests of one point follow each other without a gap, as long as their number fits what is in flight."""
    outside = await run(dut, [simple(1, acc=(n % 3, 0), accumulate=True) for n in range(6)], seed=3)
    assert_no_bubble(outside)


@cocotb.test()
@cocotb.parametrize(distance=(1, 2, 3, 4, 5, 7), share=(0.0, 0.5))
async def repeated_accumulators(dut, distance, share):
    """The same accumulator again after `distance` steps, every cycle: results are as if one by one."""
    nest = gemm(
        bounds=[4, 9, distance],
        act=(3, [1, 2, 5]),
        wgt=(1, [2, 1, 3]),
        acc=(7, [0, 0, 1]),
        overwrite=[0, 1],
    )
    outside = await run(dut, [nest, nest.replace(accumulate=1), nest], seed=distance, share=share)
    if not share:
        assert_no_bubble(outside)


@cocotb.test()
async def reduction_innermost(dut):
    """As a dot product is written: all of one accumulator's terms in consecutive cycles, then the next one's."""
    nest = gemm(bounds=[6, 12], act=(0, [4, 1]), wgt=(0, [0, 1]), acc=(0, [1, 0]), overwrite=[1])
    assert_no_bubble(await run(dut, [nest] * 3, seed=4))


@cocotb.test()
@cocotb.parametrize(accumulate=(0, 1))
async def overwrite_masks(dut, accumulate):
    """Every mask over nests that come back to their accumulators."""
    nest = gemm(bounds=[2] * GEMM_DIMS, act=(5, [1, -2, 3, 4, 1, 2]), wgt=(9, [1, 2, -1, 3, 2, 1]),
                acc=(4, [0, 2, 0, 1, 0, 0]))  # fmt: skip
    masks = [0, 0b111111, *(1 << d for d in range(GEMM_DIMS)), 0b101010, 0b000101, 0b110000]
    await run(dut, [nest.replace(overwrite_mask=mask, accumulate=accumulate) for mask in masks], seed=5)


@cocotb.test()
async def retires_when_its_last_write_is_sure_to_be_seen(dut):
    """Whoever starts on its token reads three cycles after the retirement at the earliest."""
    instructions = [simple(10), sync(Engine.GEMM, signal=[Engine.STORE]), simple(3)]
    outside = await run(dut, instructions, seed=7)
    when = dict(outside.retired)
    assert outside.written[9] < when[0] + 3 <= outside.written[9] + 5
    assert when[0] < when[1] < when[2]
    assert outside.written[12] < when[2] + 3


@cocotb.test()
async def next_nest_has_its_tokens_before_the_last_ends(dut):
    """Its tokens are taken early, and it starts with the last point of the one before."""
    outside = await run(dut, [simple(20), simple(20, wait=[Engine.LOAD])], seed=8)
    started = dict(outside.started)
    assert started[1] == outside.issued[19] - 1


@cocotb.test()
async def halt(dut):
    """No step is issued while it is 1; the ones on their way are written; then it goes on."""
    rng = generator(9)
    contents = random_contents(rng)
    expected = {name: array.copy() for name, array in contents.items()}
    outside = Outside(dut, rng, 0.0, contents)
    await begin(dut)
    outside.start()
    nest = simple(40, acc=(0, 0))
    cocotb.start_soon(feed(dut, Stream(dut, "instruction"), [word(nest, 0)], rng, 0.0))
    await cycles(dut, 15)
    dut.halt.value = 1
    await cycles(dut, 1)
    before = len(outside.issued)
    await cycles(dut, 30)
    assert before <= len(outside.issued) <= before + 1
    assert len(outside.written) == len(outside.issued) < 40
    dut.halt.value = 0
    await outside.until_retired(1)
    await cycles(dut, 4)
    model(nest, expected)
    assert np.array_equal(contents["acc"], expected["acc"])
