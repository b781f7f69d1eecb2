"""Hostile programs on the RTL, unchecked: they end as the manual says, write nothing outside their segments, and
leave a core that runs the next program."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import DeviceError, ProgramError
from tilewright.isa.instruction import Instruction, decode, finish, gemm, load, store, sync
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.memories import STORABLE, memory_shape, transfer_unit
from tilewright.isa.random_data import random_cells
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import ENGINES, INSTRUCTION_BYTES, INSTRUCTIONS, Engine, ErrorCode, Memory, Opcode
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare, memory_differences
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

CONFIG = load_config("tiny")
TEXT_BYTES = 1 << 14
GUARD_BYTES = 64
WATCHDOG = 3000
MAX_CYCLES = 60_000
BUS = {Opcode.LOAD: ErrorCode.BUS_READ, Opcode.STORE: ErrorCode.BUS_WRITE}
Segments = Sequence[tuple[int, int]]
Fault = tuple[ErrorCode, int]

BENCHES: dict[str, dict[str, Any]] = {
    "steady": {"latency": 40},
    "top of the address range, random stalls": {"latency": 23, "stalls": 7, "base": (1 << 32) - COMPARISON_DRAM_BYTES},
    "near, random stalls": {"latency": 1, "stalls": 11},
}


class Bench:
    """The RTL and the oracle with the same memories; DRAM is a pattern that nobody writes by chance."""

    def __init__(self, *, base: int = 0x1000_0000, **options: Any) -> None:
        drams = [Dram(size=COMPARISON_DRAM_BYTES, base=base) for _ in range(2)]
        self.core = CycleSimulator(CONFIG, dram=drams[0], max_cycles=MAX_CYCLES, **options)
        self.oracle = OracleSimulator(CONFIG, dram=drams[1])
        self.base, self.end = base, base + COMPARISON_DRAM_BYTES
        self.image = (np.arange(COMPARISON_DRAM_BYTES) * 37 + 101).astype(np.uint8)
        for memory in Memory:
            shape = memory_shape(CONFIG, memory)
            cells = random_cells(np.random.default_rng(memory), CONFIG, memory, shape.depth)
            for row in range(shape.rows):
                self.oracle.poke(memory, cells.reshape(shape.depth, shape.cell_bytes), row)
        self.align()

    def align(self) -> None:
        """After an error the manual leaves open what had run: the core takes on the oracle's memories."""
        for memory in Memory:
            for row in range(memory_shape(CONFIG, memory).rows):
                self.core.poke(memory, self.oracle.peek(memory, row), row)

    def segments(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Five between guards, one closed, one at DRAM's last bytes or beyond them, one before DRAM."""
        position, found = self.base + TEXT_BYTES, []
        for limit in (*rng.integers(1, 5000, 5), 0):
            position += GUARD_BYTES + 64 * int(rng.integers(0, 70))
            found.append((position, int(limit)))
            position += -(-int(limit) // 64) * 64
        inside = int(rng.integers(1, 40)) * 64
        found.append((self.end - inside, inside + int(rng.choice([0, 0, -1, -33, 1, 4096]))))
        found.append((self.base - 64 * int(rng.integers(1, 40)), 4096) if rng.random() < 0.5 else (0, 512))
        return found

    def run(self, code: bytes, segments: Segments, simulator: Any = None) -> Outcome:
        """On the core unless another is given; no byte outside the segments changes."""
        simulator = simulator or self.core
        simulator.dram.bytes[:] = self.image
        simulator.write(self.base, code)
        text = np.frombuffer(code, np.uint8)
        outcome = simulator.run(Launch(self.base, len(code) // INSTRUCTION_BYTES, tuple(segments), WATCHDOG))
        kept = np.ones(COMPARISON_DRAM_BYTES, dtype=bool)
        for start, limit in segments:
            kept[max(start - self.base, 0) : max(start + limit - self.base, 0)] = False
        expected = self.image.copy()
        expected[: len(text)] = text
        changed = np.flatnonzero((simulator.dram.bytes != expected) & kept)
        assert not len(changed), f"{simulator.name} wrote {changed[:8]} outside the segments"
        return outcome

    def compare_end(self, code: bytes, segments: Segments, allowed: set[Fault]) -> Outcome:
        """The core ends in an allowed way, and so does the oracle; without an error all memories agree."""
        outcome, expected = (self.run(code, segments, simulator) for simulator in (self.core, self.oracle))
        assert (expected.error, expected.index) in allowed
        assert (outcome.error, outcome.index) in allowed, f"{outcome.error.name} at {outcome.index}, not in {allowed}"
        if outcome.error is ErrorCode.NONE:
            assert not list(memory_differences(self.oracle, self.core))
        else:
            self.align()
        return outcome

    def recovers(self, seed: int) -> None:
        """The next program does what it does on the oracle."""
        assert not compare(random_program(CONFIG, seed, points=60), [self.oracle, self.core])


@pytest.fixture(scope="module", params=BENCHES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(**BENCHES[request.param])
    yield made
    made.core.close()


def faults(bench: Bench, instruction: Instruction, segments: Segments) -> set[ErrorCode]:
    """How a transfer may end: the first run that breaks a rule decides, or DRAM's answer to a run before it."""
    cell = memory_shape(CONFIG, Memory(instruction["memory"])).cell_bytes
    base, limit = segments[instruction["segment"]]
    *outer, cells = instruction.nest.bounds
    index = np.indices(outer).reshape(len(outer), -1)
    starts = (instruction["offset"] + np.array(instruction.dram.strides, dtype=np.int64) @ index) % (1 << 32)
    crooked = starts % transfer_unit(CONFIG, Memory(instruction["memory"])) != 0
    over = starts + cells * cell > limit
    wrong = np.flatnonzero(crooked | over)
    last = int(wrong[0]) if len(wrong) else len(starts)
    missing = (base + starts < bench.base) | (base + starts + cells * cell > bench.end)
    found = {BUS[instruction.opcode]} if missing[:last].any() else set()
    if len(wrong):
        found.add(ErrorCode.ALIGNMENT if crooked[last] else ErrorCode.SEGMENT_LIMIT)
    return found or {ErrorCode.NONE}


def hostile_transfer(rng: np.random.Generator, segments: Segments) -> Instruction:
    """Near the edges of its segment more often than not."""
    opcode = (Opcode.LOAD, Opcode.STORE)[int(rng.integers(2))]
    memory = Memory(int(rng.choice(list(Memory if opcode is Opcode.LOAD else STORABLE))))
    segment = int(rng.integers(len(segments)))
    cell, limit = memory_shape(CONFIG, memory).cell_bytes, segments[segment][1]
    unit = transfer_unit(CONFIG, memory) if rng.random() < 0.9 else 1
    bounds = [int(rng.choice([1, 1, 2, 3, 9])) for _ in range(3)]
    bounds.append(int(rng.choice([1, 2, 3, 8, 40, max(limit // cell, 1), 65535], p=[0.2] * 4 + [0.1, 0.07, 0.03])))
    strides = [int(rng.choice([-cell, cell, unit, bounds[3] * cell, -limit // 3, limit // 2, -64])) for _ in range(3)]
    reach = sum(min(stride, 0) * (bound - 1) for stride, bound in zip(strides, bounds, strict=False))
    wanted = [0, -reach, limit - bounds[3] * cell, limit - cell, -unit, int(rng.integers(0, 1 << 32))]
    offset = int(rng.choice(wanted, p=[0.2, 0.4, 0.2, 0.1, 0.05, 0.05])) // unit * unit % (1 << 32)
    fields = {f"bound{d}": bound for d, bound in enumerate(bounds)}
    fields |= {f"dram_stride{d}": stride // unit * unit for d, stride in enumerate(strides)}
    fields |= {f"mem_stride{d}": int(rng.integers(-300, 300)) for d in range(4)}
    fields |= {"memory": memory, "segment": segment, "offset": offset, "mem_base": int(rng.integers(1 << 16))}
    return Instruction(opcode, fields | ({"row_mask": 0xFF} if opcode is Opcode.LOAD else {}))


def encode(*program: Instruction | bytes) -> bytes:
    return b"".join(entry if isinstance(entry, bytes) else entry.encode() for entry in program)


def test_transfers_at_the_edges(bench: Bench) -> None:
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(150):
        segments = bench.segments(rng)
        transfer = hostile_transfer(rng, segments)
        allowed = {(code, 0) for code in faults(bench, transfer, segments)}
        seen.append(bench.compare_end(encode(transfer, finish()), segments, allowed).error)
    stopped = {ErrorCode.SEGMENT_LIMIT, ErrorCode.ALIGNMENT, ErrorCode.BUS_READ, ErrorCode.BUS_WRITE}
    assert set(seen) == {ErrorCode.NONE, *stopped}
    assert seen.count(ErrorCode.NONE) > 20


def busy_work(rng: np.random.Generator) -> Instruction:
    """Legal, stays inside segment 0 of at least 1024 bytes, and keeps an engine at it for a while."""
    many = int(rng.integers(2, 30))
    kind = int(rng.integers(4))
    if kind == 0:
        return load(memory=Memory.WGT, segment=0, offset=0, bounds=[many, 16], dram_strides=[16], mem=(0, [1, 1]))
    if kind == 1:
        return store(memory=Memory.ACC, segment=0, offset=64, bounds=[many, 16], dram_strides=[16], mem=(0, [3, 1]))
    if kind == 2:
        return gemm(bounds=[many, 20], act=(0, [1, 2]), wgt=(0, [3, 1]), acc=(0, [0, 1]))
    return sync(ENGINES[int(rng.integers(len(ENGINES)))])


def test_an_error_while_others_are_at_work(bench: Bench) -> None:
    """One faulty instruction or two among many that have bursts in flight; each engine's first may be reported."""
    rng = np.random.default_rng(2)
    seen = set()
    for number in range(60):
        segments = [(bench.base + TEXT_BYTES, 1024), *bench.segments(rng)[1:]]
        program: list[Instruction | bytes] = [busy_work(rng) for _ in range(int(rng.integers(4, 24)))]
        allowed: set[Fault] = set()
        stopped: set[Opcode] = set()
        for place in sorted(rng.choice(len(program), int(rng.integers(1, 3)), replace=False).tolist()):
            if rng.random() < 0.2:
                program[place] = bytes(INSTRUCTION_BYTES)
                allowed.add((ErrorCode.ILLEGAL_INSTRUCTION, place))
                break
            transfer = hostile_transfer(rng, segments)
            program[place] = transfer
            codes = faults(bench, transfer, segments)
            if transfer.opcode not in stopped:
                allowed |= {(code, place) for code in codes if code is not ErrorCode.NONE}
                stopped |= set() if ErrorCode.NONE in codes else {transfer.opcode}
        outcome = bench.run(encode(*program, finish()), segments)
        fault = (outcome.error, outcome.index)
        assert fault in (allowed or {(ErrorCode.NONE, 0)}), f"{fault}, not in {allowed}"
        seen.add(outcome.error)
        if number % 6 == 0:
            bench.recovers(number)
    assert seen >= {ErrorCode.NONE, ErrorCode.SEGMENT_LIMIT, ErrorCode.ILLEGAL_INSTRUCTION}


def random_tokens(rng: np.random.Generator) -> list[Instruction]:
    """Instructions with random tokens, many of which no one gives or takes."""
    program = []
    for _ in range(int(rng.integers(1, 24))):
        instruction = busy_work(rng)
        engine = instruction.engine
        wait, signal = (sum(1 << e for e in ENGINES if e != engine and rng.random() < 0.12) for _ in range(2))
        program.append(instruction.replace(wait=wait, signal=signal))
    return program


def test_deadlocks_end_at_the_watchdog(bench: Bench) -> None:
    rng = np.random.default_rng(3)
    seen = []
    for number in range(60):
        code, segments = encode(*random_tokens(rng), finish()), [(bench.base + TEXT_BYTES, 1024)]
        expected = bench.run(code, segments, bench.oracle)
        outcome = bench.run(code, segments)
        assert (outcome.error, outcome.index) == (expected.error, expected.index)
        assert outcome.counters["cycles"] < WATCHDOG * 10
        seen.append(outcome.error)
        if number % 6 == 0:
            bench.recovers(number)
    assert set(seen) == {ErrorCode.NONE, ErrorCode.WATCHDOG}


def garbage(rng: np.random.Generator) -> bytes:
    """64 random bytes with a known opcode; sometimes their reserved bits are 0, so that more of them are legal."""
    spec = INSTRUCTIONS[int(rng.integers(1, len(INSTRUCTIONS)))]
    word = int.from_bytes(rng.bytes(INSTRUCTION_BYTES), "little") >> 4 << 4 | spec.opcode
    if "reserved" in spec.by_name and rng.random() < 0.8:
        word &= (1 << spec.offsets["reserved"]) - 1
    if rng.random() < 0.5:
        word &= ~(0xFF << 4)
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def test_garbage_ends_or_goes_on(bench: Bench) -> None:
    """A nest of 10^20 points is legal: such a program makes progress until it is given up, and then is gone."""
    rng = np.random.default_rng(4)
    seen = set()
    for number in range(60):
        segments = bench.segments(rng)
        code = [garbage(rng) for _ in range(int(rng.integers(1, 5)))]
        try:
            outcome = bench.run(encode(*code, finish()), segments)
            seen.add(outcome.error)
            assert outcome.index < len(code) and outcome.error is not ErrorCode.NONE
        except DeviceError as error:
            assert "max_cycles" in str(error)
            seen.add("given up")
            assert any(decode_or_none(word) is not None for word in code)
        if number % 6 == 0:
            bench.recovers(number)
    assert seen >= {"given up", ErrorCode.ILLEGAL_INSTRUCTION, ErrorCode.SEGMENT_LIMIT}


def decode_or_none(word: bytes) -> Instruction | None:
    try:
        return decode(word)
    except ProgramError:
        return None


STORE = store(memory=Memory.ACT, segment=0, offset=0, bounds=[8], mem=(0, [1]))
LOAD = load(memory=Memory.ACT, segment=0, offset=0, bounds=[8], mem=(0, [1]))
BAD_ENDS: dict[str, tuple[tuple[Instruction | bytes, ...], Fault]] = {
    "closed segment": ((LOAD, LOAD.replace(segment=5), finish()), (ErrorCode.SEGMENT_LIMIT, 1)),
    "behind the limit": ((STORE, STORE, STORE.replace(offset=1000), finish()), (ErrorCode.SEGMENT_LIMIT, 2)),
    "alignment": ((STORE.replace(offset=2), finish()), (ErrorCode.ALIGNMENT, 0)),
    "zeros": ((LOAD, bytes(64), finish()), (ErrorCode.ILLEGAL_INSTRUCTION, 1)),
    "no end": ((LOAD, STORE), (ErrorCode.PROGRAM_END, 2)),
    "read outside DRAM": ((STORE, LOAD.replace(segment=1), finish()), (ErrorCode.BUS_READ, 1)),
    "write outside DRAM": ((LOAD, LOAD, STORE.replace(segment=1), finish()), (ErrorCode.BUS_WRITE, 2)),
    "deadlock": ((LOAD, STORE.replace(wait=1 << Engine.GEMM), LOAD, finish()), (ErrorCode.WATCHDOG, 1)),
}


@pytest.mark.parametrize("case", BAD_ENDS)
def test_the_next_program_runs_after(bench: Bench, case: str) -> None:
    program, fault = BAD_ENDS[case]
    segments = [(bench.base + TEXT_BYTES, 1000), (bench.base - 4096, 4096), (0, 0), (0, 0), (0, 0), (bench.base, 0)]
    for seed in range(3):
        outcome = bench.run(encode(*program), segments)
        assert (outcome.error, outcome.index) == fault
        bench.recovers(seed)


def test_a_program_at_the_last_bytes_of_dram(bench: Bench) -> None:
    """Nothing behind it is fetched; without an end, what is behind it answers with an error."""
    bench.core.write(bench.end - 64, finish().encode())
    outcome = bench.core.run(Launch(bench.end - 64, 1))
    assert (outcome.error, outcome.index) == (ErrorCode.NONE, 0)
    bench.core.write(bench.end - 64, sync(Engine.LOAD).encode())
    outcome = bench.core.run(Launch(bench.end - 64, 2, watchdog=WATCHDOG))
    assert (outcome.error, outcome.index) == (ErrorCode.BUS_READ, 1)
    bench.recovers(1)
