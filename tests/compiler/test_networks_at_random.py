"""Random networks of a few layers: what stays in ACT, what passes through, and what both engines share, all agree."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.isa.memories import memory_shape
from tilewright.isa.races import program_races
from tilewright.isa.table import Memory
from tilewright.simulator.native import NativeSimulator


def _littered(config):
    """A simulator whose memories hold something already: nobody may count on zeros."""
    simulator, random = NativeSimulator(config), np.random.default_rng(0)
    for memory in Memory:
        for row in range(memory_shape(config, memory).rows):
            shape = simulator.peek(memory, row).shape
            simulator.poke(memory, random.integers(0, 256, shape).astype(np.uint8), row)
    return simulator


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_networks(random_network, data):
    config, model = random_network(data.draw)
    graph = import_model(model)
    lowered = run_passes(graph, passes_for(config))
    inputs = {
        name: np.random.default_rng(1).uniform(-7, 7, graph.values[name].known_shape).astype(np.float32)
        for name in graph.inputs
    }
    expected = evaluate(lowered, inputs)
    program = compile_graph(graph, config)
    assert check_program(program) == []
    assert program_races(program) == []
    for name, answer in Session(program, _littered(config)).run(inputs).items():
        np.testing.assert_array_equal(answer, expected[name], err_msg=name)
