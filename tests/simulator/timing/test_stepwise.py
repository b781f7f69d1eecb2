"""What the timing model takes at once is what it finds step by step: every cycle and every counter."""

import os
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import Config, load_config
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, vector
from tilewright.isa.program import Program
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.models.resnet18.quantise import build_layer
from tilewright.simulator.campaign import CAMPAIGN
from tilewright.simulator.timing import TimingModel

MODELS = Path(__file__).parents[4] / "shared" / "models"
VTA = load_config("vta-16")
PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
SIZES = (24, 60, 150)
POINTS = (20, 160, 1000)


def require_same(
    model: TimingModel,
    instructions: np.ndarray | list[Instruction] | tuple[Instruction, ...],
    *,
    address: int = 0,
    segments: list[tuple[int, int]] | None = None,
) -> None:
    places = {} if segments is None else {"segments": segments}
    found, expected = (
        model.time(instructions, address=address, trace=True, stepwise=stepwise, **places) for stepwise in (False, True)
    )
    assert found.error is expected.error is ErrorCode.NONE
    assert found.counters == expected.counters
    assert np.array_equal(found.started, expected.started)
    assert np.array_equal(found.retired, expected.retired)


def placed(program: Program) -> tuple[np.ndarray, int, list[tuple[int, int]]]:
    """Its instructions, where they lie, and its segments, one after the other."""
    segments, end = [], 4096
    for segment in program.segments:
        segments.append((end, segment.size))
        end += -(-segment.size // 64) * 64
    return program.instructions, end, segments


@pytest.mark.parametrize(("name", "latency"), list(zip(CAMPAIGN, cycle([1, 40, 133]))))
def test_random_programs(name: str, latency: int) -> None:
    config = CAMPAIGN[name].config
    model = TimingModel(config, latency=latency, shared=True)
    for seed in range(4_000_000, 4_000_000 + max(9, PROGRAMS // 400)):
        program = random_program(config, seed, points=POINTS[seed % 3], size=SIZES[seed // 3 % 3])
        rng = np.random.default_rng(seed)
        segments, end = [], 0
        for size in program.segment_sizes:
            end += 64 * int(rng.integers(0, 64))
            segments.append((end, size))
            end += -(-size // 64) * 64
        require_same(model, program.instructions, address=64 * int(rng.integers(0, 64)), segments=segments)


def conflicting(config: Config, rng: np.random.Generator) -> list[Instruction]:
    """Engines without tokens that meet in a bank or two, long runs among them: timing asks for no order."""
    act, acc = config.act_depth // config.act_banks, config.acc_depth // config.acc_banks

    def near(depth: int) -> int:
        return int(rng.integers(0, 2)) * depth + int(rng.integers(0, depth // 2))

    def one() -> Instruction:
        outer, inner = int(rng.integers(1, 12)), int(rng.integers(1, 24))
        kind = rng.integers(0, 6)
        if kind == 0:
            order = [inner, 1] if rng.integers(0, 2) else [0, 1]
            return gemm(
                bounds=[outer, inner], act=(near(act), [int(rng.integers(0, 3)), 1]), wgt=(0, [0, 0]),
                acc=(near(acc), order), overwrite=[[], [0], [1], [0, 1]][int(rng.integers(0, 4))],
                accumulate=bool(rng.integers(0, 2)),
            )  # fmt: skip
        if kind <= 2:
            source = (Memory.ACC, near(acc), [inner, 1]) if kind == 1 else (Memory.ACT, near(act), [inner, 1])
            target = (Memory.ACT, near(act), [inner, 1]) if rng.integers(0, 2) else (Memory.ACC, near(acc), [inner, 1])
            return vector(function=Function.SUM, bounds=[outer, inner], a=source, dst=target)
        if kind == 3:
            return store(memory=Memory.ACT, segment=0, offset=1 << 16, bounds=[outer * inner], mem=(near(act), [1]))
        memory, depth = (Memory.WGT, 64) if kind == 4 else (Memory.ACT, act)
        return load(
            memory=memory, segment=0, offset=64 * int(rng.integers(0, 64)), bounds=[int(rng.integers(1, depth // 2))],
            mem=(0 if kind == 4 else near(act), [1]),
        )  # fmt: skip

    return [*(one() for _ in range(60)), finish()]


def test_engines_that_meet_in_banks() -> None:
    model = TimingModel(VTA)
    for seed in range(60):
        require_same(model, conflicting(VTA, np.random.default_rng(seed)))


def disturbed(rng: np.random.Generator) -> list[Instruction]:
    """Loads of many bursts, disturbed by the fetch behind a queue that is full, and by results in the same banks."""

    def group() -> list[Instruction]:
        kind, points = rng.integers(0, 5), int(rng.integers(1, 900))
        if kind <= 1:
            cells, step = int(rng.integers(40, 240)), int(rng.choice([8, 64, 256]))
            offset = step * int(rng.integers(0, 64))
            return [load(memory=Memory.WGT, segment=0, offset=offset, bounds=[cells], mem=(0, [1]))]
        if kind == 2:
            offset, base = int(rng.choice([16, 256, 256])) * int(rng.integers(0, 64)), int(rng.integers(0, 4000))
            cells = int(rng.integers(100, 3000))
            return [load(memory=Memory.ACT, segment=0, offset=offset, bounds=[cells], mem=(base, [1]))]
        product = gemm(bounds=[points], act=(0, [0]), wgt=(0, [0]), acc=(0, [0]), signal=[Engine.VECTOR])
        if kind == 3:
            short = gemm(bounds=[1 + points % 3], act=(0, [0]), wgt=(0, [0]), acc=(0, [0]))
            return [product, *[short] * int(rng.integers(8, 14)), result()]
        return [product, result()]

    def result() -> Instruction:
        return vector(
            function=Function.SUM, bounds=[int(rng.integers(1, 200))], a=(Memory.ACC, 512, [1]),
            dst=(Memory.ACT, int(rng.integers(0, 6000)), [1]), wait=[Engine.GEMM],
        )  # fmt: skip

    return [*(each for _ in range(50) for each in group()), finish()]


@pytest.mark.parametrize("latency", [1, 40, 150])
def test_long_loads_that_are_disturbed(latency: int) -> None:
    model = TimingModel(VTA, latency=latency)
    for seed in range(40):
        require_same(model, disturbed(np.random.default_rng(seed)), address=64 * (seed % 4))


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", ["kws", "resnet8"])
def test_networks(name: str) -> None:
    instructions, address, segments = placed(compile_model(MODELS / f"{name}_int8.tflite", VTA))
    require_same(TimingModel(VTA), instructions, address=address, segments=segments)


@pytest.mark.parametrize("name", ["C2", "C11"])
def test_layers(name: str) -> None:
    instructions, address, segments = placed(compile_model(build_layer(name), VTA))
    require_same(TimingModel(VTA), instructions, address=address, segments=segments)
