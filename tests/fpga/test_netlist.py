"""The synthesised netlist does to memory what the oracle does.

Synthesis and the simulator's build take minutes: in `make soak`, which sets TILEWRIGHT_PROGRAMS.
"""

import os

import numpy as np
import pytest
from tilewright import compile_model
from tilewright.config import load_config
from tilewright.driver.device import open_device
from tilewright.driver.session import Session
from tilewright.errors import DeviceError
from tilewright.fpga.netlist import NetlistSimulator
from tilewright.isa.memories import STORABLE, memory_shape
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Memory
from tilewright.models import DIGITS, DIGITS_TEST
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

TINY = load_config("tiny")
PROGRAMS = 200

pytestmark = pytest.mark.skipif(int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") < 100_000, reason="in make soak")


@pytest.fixture(scope="module")
def netlist():
    made = NetlistSimulator(TINY, dram=Dram(size=COMPARISON_DRAM_BYTES), max_cycles=5_000_000)
    yield made
    made.close()


def test_memories_are_reached_by_programs(netlist: NetlistSimulator) -> None:
    rng = np.random.default_rng(1)
    netlist.dram.bytes[:] = 7
    contents = {}
    for memory in Memory:
        shape = memory_shape(TINY, memory)
        contents[memory] = rng.integers(0, 256, (shape.depth, shape.cell_bytes)).astype(np.uint8)
        netlist.poke(memory, contents[memory])
    for memory in STORABLE:
        assert (netlist.peek(memory) == contents[memory]).all()
    assert (netlist.dram.bytes == 7).all()
    with pytest.raises(DeviceError, match=r"^device netlist can read ACT and ACC, not WGT$"):
        netlist.peek(Memory.WGT)
    with pytest.raises(DeviceError, match=r"^ACT must be asked for with a row that it has, not 1$"):
        netlist.poke(Memory.ACT, contents[Memory.ACT], row=1)
    with pytest.raises(DeviceError, match=r"^ACT must be set from uint8 of shape \(1024, 4\), not uint8 \(2, 4\)$"):
        netlist.poke(Memory.ACT, contents[Memory.ACT][:2])


def test_random_programs(netlist: NetlistSimulator) -> None:
    oracle = OracleSimulator(TINY, dram=Dram(size=COMPARISON_DRAM_BYTES))
    for seed in range(PROGRAMS):
        program = random_program(TINY, 5_000_000 + seed, points=160)
        assert compare(program, [oracle, netlist]) == [], f"seed {5_000_000 + seed}"


def test_digits_take_the_same_cycles_as_on_the_verilog() -> None:
    program = compile_model(DIGITS, TINY)
    images = np.load(DIGITS_TEST)["images"][:1]
    found = []
    for device in (open_device("netlist", TINY, trace=True), CycleSimulator(TINY, trace=True)):
        outputs = Session(program, device).run({"image": images})
        found.append((outputs["probabilities"].tobytes(), dict(device.counters), device.events().tobytes()))
        device.close()
    assert found[0] == found[1]
