"""The closed form never exceeds the timing model, and comes near it where one engine decides."""

from time import process_time

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.instruction import finish, gemm, load, store, vector
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine, ErrorCode, Function, Memory
from tilewright.simulator.timing import TimingModel
from tilewright.simulator.timing.bound import Demand, demand_of, lower_bound

VTA = load_config("vta-16")
SCHEDULES = 1_000_000


@pytest.mark.parametrize("name", ["vta-16", "tiny", "8x16", "wide-32"])
@pytest.mark.parametrize("latency", [1, 40, 200])
def test_no_random_program_is_quicker(name: str, latency: int) -> None:
    config = load_config(name)
    model = TimingModel(config, latency=latency)
    for seed in range(40):
        instructions = random_program(config, seed, points=1000).instructions
        timing = model.time(instructions)
        assert timing.error is ErrorCode.NONE
        assert lower_bound(config, demand_of(instructions, config), latency=latency) <= timing.cycles


def test_a_chain_of_one_tile_is_met_to_some_cycles() -> None:
    read = load(memory=Memory.WGT, segment=0, offset=0, bounds=[100], mem=(0, [1]), signal=[Engine.GEMM])
    product = gemm(bounds=[2000], act=(0, [1]), wgt=(0, [0]), acc=(0, [0]), wait=[Engine.LOAD], signal=[Engine.VECTOR])
    requantised = vector(
        function=Function.SUM, bounds=[300], a=(Memory.ACC, 0, [1]), dst=(Memory.ACT, 0, [1]), wait=[Engine.GEMM],
        signal=[Engine.STORE],
    )  # fmt: skip
    written = store(memory=Memory.ACT, segment=0, offset=0, bounds=[300], mem=(0, [1]), wait=[Engine.VECTOR])
    cycles = TimingModel(VTA).time([read, product, requantised, written, finish()]).cycles
    demand = Demand(
        gemm_points=2000, vector_steps=300, load_words=3200, load_bursts=100, store_words=600, store_bursts=19,
        instructions=5, words_before=3200, steps_after=300, words_after=600,
    )  # fmt: skip
    bound = int(lower_bound(VTA, demand))
    assert 0 <= cycles - bound < 40


def test_short_bursts_wait_for_the_latency() -> None:
    rows = load(
        memory=Memory.ACT, segment=0, offset=0, bounds=[500, 1], dram_strides=[64], mem=(0, [1, 0]),
    )  # fmt: skip
    program = [rows, finish()]
    cycles, bound = TimingModel(VTA).time(program).cycles, int(lower_bound(VTA, demand_of(program, VTA)))
    assert 0.95 * cycles < bound <= cycles


def test_a_million_schedules_a_second() -> None:
    rng = np.random.default_rng(0)
    names = ("gemm_points", "vector_steps", "load_words", "load_bursts", "store_words", "store_bursts", "words_before")
    arrays = {name: rng.integers(1, 10_000, SCHEDULES) for name in names}
    demand = Demand(**arrays, steps_after=100, words_after=50, instructions=rng.integers(4, 1000, SCHEDULES))
    begun = process_time()
    bounds = lower_bound(VTA, demand)
    seconds = process_time() - begun
    assert bounds.shape == (SCHEDULES,) and bounds.dtype == np.int64
    one = Demand(**{name: int(values[7]) for name, values in vars(demand).items() if isinstance(values, np.ndarray)},
                 steps_after=100, words_after=50)  # fmt: skip
    assert bounds[7] == lower_bound(VTA, one)
    print(f"\n{SCHEDULES / seconds / 1e6:.1f} million schedules a second")
    assert seconds < 1
