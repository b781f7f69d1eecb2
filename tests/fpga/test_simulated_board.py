"""The driver against a whole system that is simulated, over a line on which everything may go wrong.

`make soak`, which sets TILEWRIGHT_PROGRAMS, makes the runs on a bad line 1,000, and runs KWS, also in SDRAM.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tilewright import compile_model
from tilewright.config import Config, load_config
from tilewright.driver.board import BoardDevice
from tilewright.driver.device import Device, open_device
from tilewright.driver.link import LinkError
from tilewright.driver.session import Session
from tilewright.errors import DeviceError
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.sdram_chip import SdramChip
from tilewright.fpga.simulated_board import Faults, SimulatedBoard
from tilewright.fpga.system_config import SystemConfig
from tilewright.isa.program import Program
from tilewright.models import DIGITS, DIGITS_TEST

TINY = load_config("tiny")
SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
RUNS_ON_A_BAD_LINE = [range(start, start + 250) for start in range(0, 1000, 250)] if SOAK else [range(10)]
PATIENCE, LITTLE_PATIENCE = 20.0, 4.0
MODELS, KWS = Path(__file__).parents[3] / "shared" / "models", "kws_int8.tflite"


@pytest.fixture(scope="module")
def board():
    with SimulatedBoard(TINY) as made:
        yield made


@pytest.fixture
def quiet(board):
    """The board without faults, before and after."""
    board.set_faults(Faults())
    board.cut(False)
    yield board
    board.set_faults(Faults())
    board.cut(False)


@pytest.fixture(scope="module")
def layer() -> Program:
    """A small network, of one product."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-127, 128, (16, 8)).astype(np.int8)
    scale, zero = [("scale", np.float32(0.05))], [("zero", np.int8(0))]
    constants = [(name, np.asarray(value)) for name, value in [*scale, *zero, ("weights", weights)]]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["wf"]),
        helper.make_node("MatMul", ["xf", "wf"], ["yf"]),
        helper.make_node("QuantizeLinear", ["yf", "scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [4, 16])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [4, 8])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants],
    )
    return compile_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), TINY)


def inputs_of(program: Program, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {t.name: rng.integers(-128, 128, t.shape).astype(t.dtype) for t in program.inputs}


def run_on(device: Device, program: Program, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    try:
        return Session(program, device).run(inputs)
    finally:
        device.close()


def opened(board: SimulatedBoard, *, patience: float = PATIENCE, config: Config = TINY) -> BoardDevice:
    return BoardDevice(config, port=board.port, patience=patience, clock=board.seconds)


def require_equal(found: dict[str, np.ndarray], program: Program, inputs: dict[str, np.ndarray]) -> None:
    for name, array in run_on(open_device("native", TINY), program, inputs).items():
        np.testing.assert_array_equal(found[name], array)


def test_digits_through_the_whole_system() -> None:
    program = compile_model(DIGITS, TINY)
    images = np.load(DIGITS_TEST)["images"]
    device = open_device("soc", TINY)
    try:
        assert isinstance(device, BoardDevice) and isinstance(device, Device)
        session = Session(program, device)
        native = Session(program, open_device("native", TINY))
        for image in images[:4]:
            inputs = {"image": image[None]}
            assert (session.run(inputs)["probabilities"] == native.run(inputs)["probabilities"]).all()
        assert device.counters["instructions"] > 0 and device.clock_hz == 50_000_000
    finally:
        device.close()


@pytest.mark.skipif(not (SOAK and (MODELS / KWS).is_file()), reason="in make soak, with the networks in shared/models")
@pytest.mark.parametrize("chip", [None, SdramChip(), BOARDS["colorlight-i9"].sdram], ids=["block-ram", "16", "32"])
def test_kws_in_block_ram_and_in_sdram(chip: SdramChip | None) -> None:
    program = compile_model(MODELS / KWS, TINY)
    inputs = inputs_of(program, 1)
    system = SystemConfig(memory_bytes=chip.size if chip else 1 << 18, sdram=chip, baud=10_000_000)
    with SimulatedBoard(TINY, system) as made:
        require_equal(run_on(opened(made), program, inputs), program, inputs)


def test_memory_and_its_end(quiet: SimulatedBoard) -> None:
    rng = np.random.default_rng(1)
    with opened(quiet) as device:
        base = device.allocate(10_000)
        copy = rng.integers(0, 256, 10_000).astype(np.uint8)
        device.write(base, copy)
        for _ in range(20):
            start = int(rng.integers(0, 9_000))
            part = rng.integers(0, 256, int(rng.choice([1, 3, 8, 900]))).astype(np.uint8)
            device.write(base + start, part)
            copy[start : start + part.size] = part
        assert (device.read(base, 10_000) == copy).all()
        assert (device.read(base + 4097, 13) == copy[4097 : 4097 + 13]).all()
        with pytest.raises(
            DeviceError, match=r"the memory of device uart must hold .* bytes for this program, but has 262144"
        ):
            device.allocate(1 << 18)
        with pytest.raises(
            DeviceError, match=r"memory of device uart is from 0x40000000 to 0x40040000; 0x4003ffff.2 is out"
        ):
            device.read(0x4003_FFFF, 2)


def test_a_board_of_another_configuration_is_refused(quiet: SimulatedBoard) -> None:
    with pytest.raises(DeviceError, match="but it is tiny with block_in: 4, not 16"):
        opened(quiet, config=load_config("vta-16"))


def test_a_line_that_is_cut(quiet: SimulatedBoard, layer: Program) -> None:
    inputs = inputs_of(layer, 1)
    device = opened(quiet, patience=8.0)
    session = Session(layer, device)
    quiet.cut(True)
    with pytest.raises(LinkError, match=r"^the board on \S+ must answer within 8 s, and does not"):
        session.run(inputs)
    quiet.cut(False)
    with pytest.raises(LinkError, match="has been lost: open the device again"):
        session.run(inputs)
    device.close()
    require_equal(run_on(opened(quiet), layer, inputs), layer, inputs)


def test_a_line_that_is_cut_for_a_moment(quiet: SimulatedBoard, layer: Program) -> None:
    inputs = inputs_of(layer, 2)
    device = opened(quiet)
    session = Session(layer, device)
    quiet.cut(True)
    mender = Thread(target=lambda: (time.sleep(0.5), quiet.cut(False)))
    mender.start()
    found = session.run(inputs)
    mender.join()
    assert device.repeats > 0
    device.close()
    require_equal(found, layer, inputs)


def test_a_board_that_is_reset(quiet: SimulatedBoard, layer: Program) -> None:
    inputs = inputs_of(layer, 3)
    device = opened(quiet)
    session = Session(layer, device)
    quiet.reset()
    with pytest.raises(LinkError, match="must keep its session, but has lost it: it was reset, or another program"):
        session.run(inputs)
    device.close()
    require_equal(run_on(opened(quiet), layer, inputs), layer, inputs)


def faults_of(seed: int) -> Faults:
    """Up to one byte in 1,700 suffers of each: frames of 2,000 bytes still come through. One run in 18 has none."""
    dice = random.Random(seed)
    often = {name: dice.choice([0, 0, 0.0001, 0.0006]) for name in ("flips", "losses", "garbage")}
    rarely = {name: dice.choice([0, 0, 0.0001]) for name in ("resets", "cuts")}
    return Faults(**often, **rarely)


@pytest.mark.parametrize("seeds", RUNS_ON_A_BAD_LINE, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_a_bad_line_never_gives_a_wrong_result(
    quiet: SimulatedBoard, layer: Program, seeds: range, record_property: Callable[[str, object], None]
) -> None:
    """Every run ends in time, with the right result or a LinkError, and a run on a good line then succeeds."""
    right = repeated = 0
    for seed in seeds:
        inputs, faults = inputs_of(layer, seed), faults_of(seed)
        quiet.set_faults(faults, seed)
        began = quiet.seconds()
        try:
            patience = PATIENCE if faults == Faults() else LITTLE_PATIENCE
            with opened(quiet, patience=patience) as device:
                found = Session(layer, device).run(inputs)
            repeated += device.repeats
        except LinkError:
            assert faults != Faults()
        else:
            right += 1
            require_equal(found, layer, inputs)
        assert quiet.seconds() - began < 20 * PATIENCE
    assert right > len(seeds) // 3 and repeated > 0
    record_property("figure", f"bad line: of {len(seeds)} runs {right} right, {len(seeds) - right} ended with an error")
    quiet.set_faults(Faults())
    inputs = inputs_of(layer, 0)
    require_equal(run_on(opened(quiet), layer, inputs), layer, inputs)
