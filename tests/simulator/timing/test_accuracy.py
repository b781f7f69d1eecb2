"""The timing model against the Verilog: every cycle, every instruction, every counter.

TILEWRIGHT_PROGRAMS sets how many random programs there are, as in the differential tests. TILEWRIGHT_BENCH adds all of
ResNet-18 and its speed.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.errors import DeviceError
from tilewright.isa.instruction import finish, gemm, load, store, vector
from tilewright.isa.launch import Launch
from tilewright.isa.program import Program, Run, Segment, encode_instructions
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, Function, Memory
from tilewright.models.resnet18.network import LAYERS
from tilewright.models.resnet18.quantise import build_layer, build_network
from tilewright.simulator.campaign import CAMPAIGN, SLOW_BUILDS
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.timing.accuracy import (
    Comparison,
    Distribution,
    compare_program,
    compare_random,
    distribution,
    require_accuracy,
)

MODELS = Path(__file__).parents[4] / "shared" / "models"
PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
CONFIGS = {n: core.config for n, core in CAMPAIGN.items() if PROGRAMS >= 100_000 or n not in SLOW_BUILDS}
QUICK_LAYERS = ("C4", "C7", "C10")
BENCH = "TILEWRIGHT_BENCH" in os.environ
LEAST_SPEED = 1000


def require_exact(comparisons: list[Comparison]) -> None:
    off = [each for each in comparisons if not each.exact]
    assert not off, off[:3]


def show(name: str, comparisons: list[Comparison]) -> Distribution:
    found = distribution(comparisons)
    print(f"\n{name}: {found.cycles:,} cycles, {found.mean:.3%} off, {found.speed:,.0f} times as fast as the Verilog")
    return found


@pytest.mark.parametrize("name", list(reversed(CONFIGS)))  # so that two workers seldom wait for one build
def test_random_programs_are_exact(name: str) -> None:
    count = max(20, PROGRAMS // (10 * len(CONFIGS)))
    require_exact(list(compare_random(CONFIGS[name], range(3_000_000, 3_000_000 + count))))


@pytest.mark.parametrize("latency", [1, 7, 200])
def test_whatever_the_latency(latency: int) -> None:
    require_exact(list(compare_random(CONFIGS["tiny"], range(3_100_000, 3_100_012), latency=latency)))


def long_program(seed: int) -> Program:
    """Long nests of every engine side by side, without tokens: bursts that go on at an even pace, and are disturbed."""
    rng = np.random.default_rng(seed)
    config = CONFIGS["vta-16"]
    instructions = []
    for _ in range(24):
        cells, offset = int(rng.integers(100, 900)), int(rng.integers(0, 200)) * 64
        act, acc = int(rng.integers(0, 7000)), int(rng.integers(0, 500))
        instructions.append(
            [
                load(memory=Memory.WGT, segment=0, offset=offset, bounds=[cells], mem=(0, [1])),
                load(memory=Memory.ACT, segment=0, offset=offset, bounds=[cells], mem=(act, [1])),
                load(memory=Memory.SCALE, segment=0, offset=offset, bounds=[64], mem=(0, [1])),
                store(memory=Memory.ACT, segment=0, offset=offset, bounds=[cells], mem=(act, [1])),
                gemm(bounds=[3, cells], act=(act, [0, 1]), wgt=(0, [1, 0]), acc=(acc, [0, 0]), overwrite=[0]),
                vector(function=Function.SUM, bounds=[cells], a=(Memory.ACC, 0, [1]), dst=(Memory.ACT, act, [1])),
                vector(function=Function.SUM, bounds=[cells], a=(Memory.ACT, act, [1]), dst=(Memory.ACC, acc, [0])),
            ][int(rng.integers(7))]
        )
    return Program(
        config=config,
        instructions=encode_instructions([*instructions, finish()]),
        segments=(Segment(name="data", size=1 << 20, role="activations"),),
        steps=(Run(first=0, count=len(instructions) + 1),),
    )


@pytest.mark.parametrize("seed", range(6))
def test_long_nests_side_by_side(seed: int) -> None:
    require_exact(compare_program(long_program(seed), f"long nests {seed}"))


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", ["ad", "kws", "resnet8", "vww"])
def test_networks_are_exact(name: str) -> None:
    comparisons = compare_program(compile_model(MODELS / f"{name}_int8.tflite", CONFIGS["vta-16"]), name)
    require_exact(comparisons)
    show(name, comparisons)


@pytest.mark.parametrize("name", LAYERS if BENCH else QUICK_LAYERS)
def test_layers_of_resnet18_are_exact(name: str) -> None:
    comparisons = compare_program(compile_model(build_layer(name), CONFIGS["vta-16"]), name)
    require_exact(comparisons)
    show(name, comparisons)


@pytest.mark.skipif(not BENCH, reason="all of ResNet-18 takes the Verilog half a minute: set TILEWRIGHT_BENCH")
def test_resnet18_is_exact_and_quick() -> None:
    comparisons = compare_program(compile_model(build_network(), CONFIGS["vta-16"]), "ResNet-18")
    require_exact(comparisons)
    assert show("ResNet-18", comparisons).speed >= LEAST_SPEED


def test_data_take_no_part() -> None:
    """The Verilog itself takes as long whatever the data are."""
    config = CONFIGS["tiny"]
    simulator = CycleSimulator(config, dram=Dram(size=1 << 20))
    for seed in range(5):
        program = random_program(config, seed)
        taken = []
        for fill in (0, 0x80, 0xFF):
            simulator.dram.release_all()
            segments = []
            for content in program.segments:
                segments.append((simulator.allocate(len(content)), len(content)))
                simulator.write(segments[-1][0], np.full(len(content), fill, np.uint8))
            for memory in Memory:
                for row in range(config.rows):
                    if memory in program.memories:
                        shape = program.memories[memory].shape[1:]
                        simulator.poke(memory, np.full(shape, fill, np.uint8), row)
            code = simulator.allocate(len(program.encode()))
            simulator.write(code, program.encode())
            launch = Launch(code, len(program.instructions), tuple(segments))
            taken.append(simulator.run(launch).counters)
        assert taken[0] == taken[1] == taken[2]
    simulator.close()


def test_limits_are_kept() -> None:
    def comparison(name: str, modelled: int) -> Comparison:
        return Comparison(
            name=name, cycles=1000, modelled=modelled, instructions_off=0, counters_off=(), seconds=2.0,
            modelled_seconds=0.5,
        )  # fmt: skip

    good = [comparison("a", 1000), comparison("b", 1002), comparison("c", 996)]
    require_accuracy(good)
    found = distribution(good)
    assert (found.programs, found.cycles, found.exact, found.mean, found.worst) == (3, 3000, 1, 0.002, 0.004)
    assert found.speed == 4.0
    with pytest.raises(DeviceError, match=r"at worst, not 0.03% and 2.10% \(d\)$"):
        require_accuracy([*[comparison("a", 1000)] * 76, comparison("d", 1021)])
    with pytest.raises(DeviceError, match=r"within 0.5% on the mean and 2.0% at worst, not 0.60% and 0.60%"):
        require_accuracy([comparison("d", 994)])


def test_a_program_that_fails_is_refused() -> None:
    waits = vector(function=Function.ZERO, bounds=[1], dst=(Memory.ACT, 0, [1]), wait=[Engine.LOAD])
    instructions = encode_instructions([waits, finish()])
    program = Program(config=CONFIGS["tiny"], instructions=instructions, steps=(Run(first=0, count=2),))
    with pytest.raises(DeviceError, match=r"^program stuck must end well, and ends with WATCHDOG in the timing model$"):
        compare_program(program, "stuck")
