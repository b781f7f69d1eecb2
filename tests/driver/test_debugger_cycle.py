"""The debugger on the cycle simulator: cycles to stop at, mistakes narrowed down, waveforms of a window."""

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.debugger import Debugger
from tilewright.driver.dumps import dump_all
from tilewright.driver.inputs import random_inputs
from tilewright.driver.session import Session
from tilewright.driver.stops import Stop
from tilewright.driver.wave_window import locate, record
from tilewright.errors import DeviceError
from tilewright.isa.program import Run
from tilewright.isa.table import INSTRUCTION_BYTES, Memory, Opcode
from tilewright.models import DIGITS
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

CONFIG = load_config("tiny")


@pytest.fixture(scope="module")
def program():
    return compile_model(DIGITS, CONFIG)


@pytest.fixture(scope="module")
def cycles(program):
    """Of the program's only run of the core."""
    with CycleSimulator(CONFIG) as device:
        Session(program, device).run(random_inputs(program))
        assert sum(isinstance(step, Run) for step in program.steps) == 1
        return device.counters["cycles"]


class Flipped(CycleSimulator):
    """After a run in which an instruction was, a cell is wrong."""

    def __init__(self, culprit, memory, cell):
        super().__init__(CONFIG, trace=True)
        self.culprit, self.place = culprit, (memory, cell)

    def _execute(self, launch):
        outcome = super()._execute(launch)
        code = self.read(launch.program, launch.count * INSTRUCTION_BYTES).reshape(-1, INSTRUCTION_BYTES)
        if (code[:, 2:] == self.culprit[2:]).all(axis=1).any():
            memory, cell = self.place
            cells = self.peek(memory)
            cells[cell, 0] ^= 1
            self.poke(memory, cells)
        return outcome


def test_equal_to_its_end(program, cycles):
    with CycleSimulator(CONFIG, trace=True) as device:
        debugger = Debugger(program, device, OracleSimulator(CONFIG))
        stopped = debugger.run(random_inputs(program))
        assert stopped.why == "end"
        window = locate(debugger, stopped, 5)
    assert isinstance(program.steps[window.step], Run) and abs(window.retire - cycles) < 200


def test_the_step_to_blame_is_narrowed_down(program, tmp_path):
    """In the middle of the 64 instructions that ran together; and its waveform has it, and little else."""
    decoded = program.decoded()
    index = max(n for n, each in enumerate(decoded[:60]) if each.opcode is Opcode.GEMM)
    cell = decoded[index]["acc_base"]
    with Flipped(program.instructions[index], Memory.ACC, cell) as device:
        debugger = Debugger(program, device, NativeSimulator(CONFIG))
        stopped = debugger.run(random_inputs(program))
        assert (stopped.why, stopped.index) == ("difference", index)
        assert (stopped.difference.spot.memory, stopped.difference.cell) == (Memory.ACC, cell)
        present = dump_all(debugger.sessions[0])
        window = locate(debugger, stopped, 20)
        assert all(np.array_equal(after, present[name]) for name, after in dump_all(debugger.sessions[0]).items())
    assert window.first + 20 == window.start < window.retire == window.end - 21
    path = tmp_path / "window.vcd"
    record(debugger, window, lambda shown: CycleSimulator(CONFIG, waveform=path, window=shown))
    times = [int(line[1:]) for line in path.read_text().splitlines() if line.startswith("#")]
    assert times[-1] - times[0] == 2 * (window.end - window.first) - 1


def test_a_cycle(program, cycles):
    """Of what had retired everything is there, and what had not started has left no trace."""
    inputs = random_inputs(program)
    with CycleSimulator(CONFIG, trace=True) as device:
        debugger = Debugger(program, device)
        stopped = debugger.run(inputs, Stop("cycle", cycles // 2))
        assert (stopped.why, stopped.cycle) == ("stop", cycles // 2) and 0 < len(stopped.in_flight) <= 32
        assert 0 < stopped.index < len(program.instructions) - 1
        frozen = dump_all(debugger.sessions[0])
        assert device.max_cycles is None
    reached = max(*stopped.in_flight, stopped.index)
    for index in (min(stopped.in_flight) - 1, reached):
        native = Debugger(program, NativeSimulator(CONFIG))
        native.run(inputs, Stop("instruction", index))
        settled = dump_all(native.sessions[0])
        differing = [name for name in frozen if not np.array_equal(frozen[name], settled[name])]
        assert differing != list(frozen)


def test_a_cycle_that_never_comes(program, cycles):
    with CycleSimulator(CONFIG, trace=True) as device:
        assert Debugger(program, device).run(random_inputs(program), Stop("cycle", 10 * cycles)).why == "end"
        stopped = Debugger(program, device).run(random_inputs(program), Stop("cycle", 0))
        assert (stopped.why, stopped.cycle, stopped.index) == ("stop", 0, None)


def test_waveforms_need_cycles(program):
    debugger = Debugger(program, NativeSimulator(CONFIG))
    stopped = debugger.run(random_inputs(program), Stop("instruction", 5))
    with pytest.raises(DeviceError, match="must come from the cycle simulator"):
        locate(debugger, stopped, 5)
    stopped = debugger.run(random_inputs(program), Stop("layer", 0))
    assert stopped.index is None
    with pytest.raises(DeviceError, match="not of a step on the host"):
        locate(debugger, stopped, 5)
