"""Sessions on the oracle: memory, host calls, what is moved, records and refusals."""

from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.errors import DeviceError, ProgramError
from tilewright.isa.instruction import finish, load, store, vector
from tilewright.isa.program import Buffer, Call, HostCode, Layer, Program, Run, Segment, Tensor, encode_instructions
from tilewright.isa.table import Engine, Function, Memory
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

TINY = load_config("tiny")
ACT = Memory.ACT

# double: out[i] = 2 · in[i] for 16 bytes; nothing: leaves its buffers as they are.
HOST_IR = """
define void @double(ptr %buffers) {
entry:
  %in = load ptr, ptr %buffers
  %slot = getelementptr ptr, ptr %buffers, i64 1
  %out = load ptr, ptr %slot
  %x = load <16 x i8>, ptr %in, align 64
  %y = add <16 x i8> %x, %x
  store <16 x i8> %y, ptr %out, align 64
  ret void
}
define void @nothing(ptr %buffers) {
  ret void
}
"""


@pytest.fixture(scope="session")
def host_code() -> HostCode:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(reloc="pic", codemodel="default")
    return HostCode(
        triple=triple, cpu="generic", object=machine.emit_object(llvm.parse_assembly(HOST_IR)),
        symbols=("double", "nothing"),
    )  # fmt: skip


def add_constant(offset_in: int, offset_out: int, amount: int) -> list[Any]:
    """16 bytes of segment 1 plus `amount`, through ACT."""
    to_vector, to_store = {"signal": [Engine.VECTOR]}, {"wait": [Engine.VECTOR]}
    return [
        load(memory=ACT, segment=1, offset=offset_in, bounds=[4], mem=(0, [1]), **to_vector),  # type: ignore[arg-type]
        vector(
            function=Function.SUM, bounds=[4], a=(ACT, 0, [1]), dst=(ACT, 8, [1]), zero_point=amount,
            wait=[Engine.LOAD], signal=[Engine.STORE],
        ),
        store(memory=ACT, segment=1, offset=offset_out, bounds=[4], mem=(8, [1]), **to_store),  # type: ignore[arg-type]
        finish(),
    ]  # fmt: skip


def make_program(host_code: HostCode, **changes: Any) -> Program:
    """x + 1 on the core, doubled on the host, + 3 on the core."""
    parts: dict[str, Any] = {
        "config": TINY,
        "instructions": encode_instructions(add_constant(0, 64, 1) + add_constant(128, 192, 3)),
        "segments": (
            Segment(name="weights", size=100, role="constants", data=b"\x07" * 90),
            Segment(name="tensors", size=256, role="activations"),
        ),
        "buffers": (
            Buffer(name="x", size=16, segment=1, offset=0),
            Buffer(name="a", size=16, segment=1, offset=64),
            Buffer(name="b", size=16, segment=1, offset=128),
            Buffer(name="y", size=16, segment=1, offset=192),
            Buffer(name="own", size=16),
        ),
        "inputs": (Tensor(name="image", shape=(4, 4), dtype="int8", buffer="x"),),
        "outputs": (
            Tensor(name="result", shape=(2, 8), dtype="int8", buffer="y"),
            Tensor(name="copy", shape=(4,), dtype="int32", buffer="own"),
        ),
        "steps": (
            Run(first=0, count=4),
            Call(symbol="double", arguments=("a", "b")),
            Call(symbol="double", arguments=("b", "own")),
            Call(symbol="nothing", arguments=("x",)),
            Run(first=4, count=4),
        ),
        "layers": (
            Layer(name="plus1", operator="Add", target="accelerator", macs=0, first=0, count=3),
            Layer(name="twice", operator="Mul", target="host", macs=0, first=1, count=2),
            Layer(name="plus3", operator="Add", target="accelerator", macs=0, first=4, count=3),
        ),
        "host": host_code,
    }
    return Program(**{**parts, **changes})


class Watched(OracleSimulator):
    """Notes what crosses to and from the device, whose memory is in reach of no one else."""

    view = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(TINY, dram=Dram(size=1 << 16))
        self.dram.bytes[:] = 0xA5
        self.moved: list[tuple[str, int, int]] = []

    def write(self, address: int, data: bytes | np.ndarray) -> None:
        self.moved.append(("write", address, len(data)))
        super().write(address, data)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        self.moved.append(("read", address, nbytes))
        return super().read(address, nbytes)

    def run(self, launch: Any) -> Any:
        moved, self.moved = self.moved, []
        outcome = super().run(launch)
        self.moved = moved
        return outcome


IMAGE = np.arange(-8, 8, dtype=np.int8).reshape(4, 4)


def test_inputs_go_through_core_and_host_to_outputs(host_code: HostCode) -> None:
    session = Session(make_program(host_code), Watched())
    for image in (IMAGE, -IMAGE):
        outputs = session.run({"image": image})
        assert list(outputs) == ["result", "copy"]
        assert outputs["result"].dtype == np.int8
        assert np.array_equal(outputs["result"], (2 * (image + 1) + 3).reshape(2, 8))
        assert np.array_equal(outputs["copy"].view(np.int8), (4 * (image + 1)).reshape(-1))


def test_a_program_file_runs_the_same(host_code: HostCode) -> None:
    program = Program.from_bytes(make_program(host_code).to_bytes())
    outputs = Session(program, Watched()).run({"image": IMAGE})
    assert np.array_equal(outputs["result"], (2 * (IMAGE + 1) + 3).reshape(2, 8))


def test_segments_hold_their_data_and_zeros(host_code: HostCode) -> None:
    device = Watched()
    Session(make_program(host_code), device)
    _, weights, size = device.moved[0]
    assert size == 100
    assert device.dram.view(weights, 100).tobytes() == b"\x07" * 90 + bytes(10)
    assert device.dram.view(weights + 100, 28).tobytes() == b"\xa5" * 28


def test_memory_in_this_process_is_worked_on_in_place(host_code: HostCode) -> None:
    device = OracleSimulator(TINY, dram=Dram(size=1 << 16))
    session = Session(make_program(host_code), device)
    assert device.dram.bytes.ctypes.data % 64 == 0
    device.write = None  # type: ignore[method-assign,assignment]
    for image in (IMAGE, -IMAGE):
        assert np.array_equal(session.run({"image": image})["result"], (2 * (image + 1) + 3).reshape(2, 8))


def test_only_what_changed_is_moved(host_code: HostCode) -> None:
    device = Watched()
    session = Session(make_program(host_code), device)
    tensors = device.moved[1][1]
    device.moved = []
    image = IMAGE.copy()
    image.reshape(-1)[[0, 1, 15]] = -1
    session.run({"image": image})
    # Out: x at first, then what the host made of b, whose ends stay 0. Back: a and b for the call, x for the
    # one that touches nothing, y at the end.
    assert device.moved == [
        ("write", tensors, 16),
        ("read", tensors + 64, 16),
        ("read", tensors + 128, 16),
        ("read", tensors, 16),
        ("write", tensors + 130, 13),
        ("read", tensors + 192, 16),
    ]


def test_records_tell_steps_layers_and_counters(host_code: HostCode) -> None:
    session = Session(make_program(host_code), Watched())
    session.run({"image": IMAGE})
    assert [record.step for record in session.records] == list(session.program.steps)
    names = [[layer.name for layer in record.layers] for record in session.records]
    assert names == [["plus1"], ["twice"], ["twice"], [], ["plus3"]]
    assert [record.counters.get("instructions") for record in session.records] == [3, None, None, None, 3]
    assert all(record.seconds > 0 for record in session.records)


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({}, "input image (int8 (4, 4)) must be given"),
        ({"image": IMAGE, "mask": IMAGE}, "input mask is not one of the program's, which are image"),
        ({"image": IMAGE[0]}, "input image must be int8 (4, 4), not int8 (4,)"),
        ({"image": IMAGE.astype(np.float32)}, "input image must be int8 (4, 4), not float32 (4, 4)"),
    ],
)
def test_wrong_inputs(host_code: HostCode, inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        Session(make_program(host_code), Watched()).run(inputs)
    assert str(caught.value) == message


def test_an_error_names_code_instruction_and_layer_and_the_session_goes_on(host_code: HostCode) -> None:
    device = Watched()
    good = make_program(host_code)
    instructions = add_constant(0, 64, 1) + add_constant(128, 192, 3)
    instructions[6] = instructions[6].replace(offset=4096)
    bad = make_program(host_code, instructions=encode_instructions(instructions))
    session = Session(bad, device)
    with pytest.raises(DeviceError) as caught:
        session.run({"image": IMAGE})
    assert str(caught.value) == (
        "the program must run without error on device oracle, "
        "but stopped with SEGMENT_LIMIT at instruction 6 of layer plus3 (Add)"
    )
    assert len(session.records) == 4
    assert Session(good, device).run({"image": IMAGE})["result"][0, 0] == 2 * (-8 + 1) + 3


def test_another_configuration_is_refused(host_code: HostCode) -> None:
    with pytest.raises(DeviceError, match=r"^device oracle must have .* \(tiny\), but it is big with rows: 2, not 1"):
        Session(make_program(host_code), OracleSimulator(TINY.replace(name="big", rows=2)))


def test_a_program_larger_than_the_memory(host_code: HostCode) -> None:
    segments = make_program(host_code).segments
    large = (segments[0], Segment(name="tensors", size=1 << 20, role="activations"))
    with pytest.raises(DeviceError, match="device memory must hold"):
        Session(make_program(host_code, segments=large), Watched())


def test_host_code_is_checked_when_first_called(host_code: HostCode, capfd: pytest.CaptureFixture[str]) -> None:
    def run_with(**changes: Any) -> str:
        parts = {name: getattr(host_code, name) for name in ("triple", "cpu", "object", "symbols")}
        session = Session(make_program(HostCode(**{**parts, **changes})), Watched())
        with pytest.raises(DeviceError) as caught:
            session.run({"image": IMAGE})
        return str(caught.value)

    assert "not riscv64-unknown-linux-gnu (generic): compile the model on this machine" in run_with(
        triple="riscv64-unknown-linux-gnu"
    )
    assert "(some-cpu): compile" in run_with(cpu="some-cpu")
    for broken in (b"garbage", host_code.object[:400]):
        message = run_with(object=broken)
        assert message.startswith("host code must link, but it does not (")
        assert "\n" not in message
    assert run_with(symbols=("double", "nothing", "missing")).startswith("host code must link")
