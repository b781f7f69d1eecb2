"""The debugger names the instruction, the nest's indices, the cell and both values, wherever a mistake is planted."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.debugger import Debugger
from tilewright.driver.device import open_device
from tilewright.driver.dumps import dump, dump_all, window
from tilewright.driver.inputs import random_inputs
from tilewright.driver.machine_state import as_numbers
from tilewright.driver.session import Session
from tilewright.driver.stops import Stop
from tilewright.errors import DeviceError, ProgramError
from tilewright.isa.memories import memory_shape
from tilewright.isa.program import Run
from tilewright.isa.race_reference import RaceReference
from tilewright.isa.table import ErrorCode, Memory, Opcode
from tilewright.models import DIGITS
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator
from tilewright.simulator.oracle.fault import Fault


@pytest.fixture(scope="module")
def program():
    return compile_model(DIGITS, load_config("tiny"))


@pytest.fixture(scope="module")
def instructions(program):
    """(index, instruction) of those that occur once, tokens aside: a device can tell them by what they are."""
    decoded = program.decoded()
    counted = Counter(plain(each) for each in decoded if each.engine is not None)
    return [(n, each) for n, each in enumerate(decoded) if each.engine is not None and counted[plain(each)] == 1]


def plain(instruction):
    return instruction.replace(wait=0, signal=0)


class Faulty(OracleSimulator):
    """Carries out one instruction, and then does `harm` as well."""

    name = "faulty"

    def __init__(self, config, culprit, harm):
        super().__init__(config)
        self.culprit, self.harm = plain(culprit), harm

    def _carry_out(self, launch, instruction):
        super()._carry_out(launch, instruction)
        if plain(instruction) == self.culprit:
            self.harm(self, launch)


def corrupt(place, flip=0x41):
    memory, number, cell = place

    def harm(device, launch):
        if memory is None:
            device.dram.view(launch.segments[number][0] + cell, 1)[0] ^= flip
        else:
            device.memories.cells[memory][number, cell, 0] ^= flip

    return harm


def found(program, device, **options):
    stopped = Debugger(program, NativeSimulator(program.config), device, **options).run(random_inputs(program))
    assert stopped.why == "difference"
    return stopped.difference


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE, Opcode.GEMM, Opcode.VECTOR])
@pytest.mark.parametrize("which", [0, -1])
def test_a_wrong_cell(program, instructions, opcode, which):
    """One of those that the instruction writes."""
    index, culprit = [each for each in instructions if each[1].opcode is opcode][which]
    (written,) = RaceReference([culprit], program.config).writes
    place = sorted(written, key=str)[len(written) // 2]
    told = found(program, Faulty(program.config, culprit, corrupt(place)))
    assert told.index == index and told.instruction == program.decoded()[index]
    assert (told.spot.memory, told.spot.number, told.cell) == place and told.others == 0
    assert told.layer == program.layer_of(index)
    assert address_at(culprit, told.point.indices, program.config, place) == place[2]
    mine, theirs = told.values
    assert (mine ^ theirs) & 0xFF == 0x41 and told.element == (
        (0,) if place[0] in (Memory.ACT, Memory.ACC) else told.element
    )
    text = str(told)
    for part in (f"instruction {index}", culprit.opcode.name, f"native has {mine}, faulty has {theirs}"):
        assert part in text


def address_at(instruction, indices, config, place):
    """The cell that a point of the nest writes, or of its group the one in question."""
    if instruction.opcode is Opcode.STORE:
        cell = memory_shape(config, Memory(instruction["memory"])).cell_bytes
        strides = (*instruction.dram.strides, cell)
        start = instruction.dram.base + sum(i * stride for i, stride in zip(indices, strides, strict=True))
        return place[2] if start <= place[2] < start + cell else None
    name = {Opcode.LOAD: "mem", Opcode.GEMM: "acc", Opcode.VECTOR: "dst"}[instruction.opcode]
    access = instruction.access(name)
    start = access.base + sum(i * stride for i, stride in zip(indices, access.strides, strict=True))
    wide = config.block_out // config.granule if instruction.opcode is Opcode.VECTOR and place[0] is Memory.ACT else 1
    return place[2] if start // wide == place[2] // wide else None


def test_a_cell_where_it_does_not_write(program, instructions):
    index, culprit = next(each for each in instructions if each[1].opcode is Opcode.GEMM)
    told = found(program, Faulty(program.config, culprit, corrupt((Memory.WGT, 0, 7))))
    assert (told.index, told.cell, told.point) == (index, 7, None)
    assert "which this instruction does not write" in str(told)


def test_what_is_mended_at_once(program, instructions):
    """Is not seen between two comparisons, and is with a comparison after every instruction."""
    pairs = [(one, other) for one, other in pairwise(instructions) if other[0] == one[0] + 1]
    (index, culprit), (_, mender) = pairs[5]
    place = (Memory.TABLE, 0, 3)

    class Mended(Faulty):
        def _carry_out(self, launch, instruction):
            super()._carry_out(launch, instruction)
            if plain(instruction) == plain(mender):
                corrupt(place)(self, launch)

    device = Mended(program.config, culprit, corrupt(place))
    assert found(program, device, every=1).index == index
    stopped = Debugger(program, NativeSimulator(program.config), device, every=len(program.instructions)).run(
        random_inputs(program)
    )
    assert stopped.why == "end"


def test_a_device_that_stops(program, instructions):
    index, culprit = instructions[30]

    def harm(device, launch):
        raise Fault(ErrorCode.SEGMENT_LIMIT)

    told = found(program, Faulty(program.config, culprit, harm))
    assert told.index == index and told.ends[0] == "goes on" and "SEGMENT_LIMIT" in told.ends[1]
    assert "faulty stopped with SEGMENT_LIMIT" in str(told)


def test_equal_devices_reach_the_end_with_the_right_outputs(program):
    inputs = random_inputs(program, 3)
    debugger = Debugger(program, NativeSimulator(program.config), OracleSimulator(program.config), every=10)
    assert debugger.run(inputs).why == "end"
    expected = Session(program, NativeSimulator(program.config)).run(inputs)
    for session in debugger.sessions:
        for name, answer in session.outputs().items():
            np.testing.assert_array_equal(answer, expected[name])


def test_what_memories_hold_at_first_does_not_matter(program):
    other = OracleSimulator(program.config)
    other.poke(Memory.ACT, np.full_like(other.peek(Memory.ACT), 9))
    assert Debugger(program, NativeSimulator(program.config), other).run(random_inputs(program)).why == "end"


@pytest.mark.parametrize("name", ["native", "oracle"])
def test_stops(program, name):
    """After an instruction memories are what instructions up to there make of them, whatever follows."""
    inputs = random_inputs(program)
    for index in (0, 17, 40):
        debugger = Debugger(program, open_device(name, program.config))
        stopped = debugger.run(inputs, Stop.parse(f"instruction:{index}", program))
        assert (stopped.why, stopped.index, stopped.layer) == ("stop", index, program.layer_of(index))
        again = Debugger(program, OracleSimulator(program.config), every=3)
        again.run(inputs, Stop("instruction", index))
        for memory in Memory:
            np.testing.assert_array_equal(dump(debugger.sessions[0], memory.name), dump(again.sessions[0], memory.name))


def test_a_layer_is_done(program):
    debugger = Debugger(program, NativeSimulator(program.config))
    for number, layer in enumerate(program.layers):
        for text in (f"layer:{number}", f"layer:{layer.name}"):
            stopped = debugger.run(random_inputs(program), Stop.parse(text, program))
            assert stopped.why == "stop" and stopped.layer == layer
        if layer.target == "accelerator":
            assert stopped.index == layer.first + layer.count - 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("here", "must be instruction:N, layer:N, layer:NAME or cycle:N"),
        ("layer:none", "must be one of the program's"),
        ("layer:99", "layer must be below"),
        ("instruction:100000", "instruction must be below"),
    ],
)
def test_places_that_are_none(program, text, rule):
    with pytest.raises(ProgramError, match=rule):
        Stop.parse(text, program)


def test_devices_that_can_not(program):
    with pytest.raises(DeviceError, match="must have memories to look into"):
        Debugger(program, open_device("timing", program.config))
    native = NativeSimulator(program.config)
    with pytest.raises(DeviceError, match="has no time"):
        Debugger(program, native).run(random_inputs(program), Stop("cycle", 9))
    with pytest.raises(DeviceError, match="of one device"):
        Debugger(program, native, OracleSimulator(program.config)).run(random_inputs(program), Stop("cycle", 9))


def test_dumps(program):
    debugger = Debugger(program, NativeSimulator(program.config))
    debugger.run(random_inputs(program))
    session, config = debugger.sessions[0], program.config
    everything = dump_all(session)
    assert everything["ACT"].shape == (config.rows, config.act_depth, config.granule)
    assert everything["ACC"].dtype == np.int32 and everything["ACC"].shape[2] == config.block_out
    assert everything["WGT"].shape == (config.wgt_depth, config.block_out, config.block_in)
    assert everything["SCALE"].dtype.names[:3] == ("multiplier", "left", "right")
    np.testing.assert_array_equal(dump(session, "ACT.0"), everything["ACT"][0])
    assert everything["constants"].tobytes() == program.segments[0].data
    tensor = next(buffer for buffer in program.buffers if buffer.segment == 1)
    part = everything["activations"][tensor.offset : tensor.offset + tensor.size]
    np.testing.assert_array_equal(dump(session, tensor.name), part)
    lines = window("ACC", everything["ACC"], 3, 5).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["3", "4", "5"]
    assert lines[0].split(": ")[1] == " ".join(map(str, everything["ACC"][0, 3]))
    assert window("constants", everything["constants"], 0, 31).count("\n") == 1
    for name, rule in (("ACT.9", "row of ACT must be below"), ("WGT.0", "without a row"), ("X", "must be one of")):
        with pytest.raises(ProgramError, match=rule):
            dump(session, name)


def test_cells_as_numbers():
    config = load_config("8x16")
    for memory in Memory:
        shape = memory_shape(config, memory)
        cells = np.random.default_rng(0).integers(0, 256, (shape.depth, shape.cell_bytes)).astype(np.uint8)
        numbers = as_numbers(config, memory, cells)
        assert numbers.shape[0] == shape.depth and numbers.tobytes() == cells.tobytes()
    assert as_numbers(config, Memory.WGT, cells[:0].reshape(0, 128)).shape == (0, 16, 8)


def test_runs_of_a_program(program):
    """There is more than one step, so that the host's part is carried out on both sides too."""
    assert any(not isinstance(step, Run) for step in program.steps)
