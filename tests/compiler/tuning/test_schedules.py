"""Whatever schedules decide, results are the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.assemble import HostTarget, assemble, assemble_core
from tilewright.compiler.compile import import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.compiler.schedule.conv_tiling import ConvTiling
from tilewright.compiler.schedule.decision import Schedule
from tilewright.compiler.tuning.decisions import read_schedule, schedule_text
from tilewright.driver.session import Session
from tilewright.errors import TilewrightError
from tilewright.isa.checker import check_program
from tilewright.isa.races import program_races
from tilewright.simulator.native import NativeSimulator

SETTINGS = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def lowered_with_answers(config, model):
    graph = import_model(model)
    lowered = run_passes(graph, passes_for(config))
    inputs = {
        name: np.random.default_rng(1).uniform(-7, 7, graph.values[name].known_shape).astype(np.float32)
        for name in graph.inputs
    }
    return lowered, inputs, evaluate(lowered, inputs)


def require_right(lowered, config, schedule, inputs, expected):
    program = assemble(lowered, config, HostTarget(), schedule)
    assert check_program(program) == []
    assert program_races(program) == []
    for name, answer in Session(program, NativeSimulator(config)).run(inputs).items():
        np.testing.assert_array_equal(answer, expected[name], err_msg=f"{name} with {schedule}")


@given(data=st.data())
@settings(SETTINGS, max_examples=25)
def test_schedules_at_random(random_network, data):
    """Some activations leave ACT, and each choice that is asked gets any decision of its space."""
    config, model = random_network(data.draw)
    lowered, inputs, expected = lowered_with_answers(config, model)
    placement = assemble_core(lowered, config).placement
    residents = [name for division in placement.divisions.values() for name in division.residents]
    leaving = frozenset(data.draw(st.sets(st.sampled_from(residents))) if residents else ())
    asked = assemble_core(lowered, config, Schedule({}, leaving)).decisions.asked
    layers = {
        name: tuple(data.draw(st.sampled_from([choice.heuristic(), *choice.space()])) for choice in choices)
        for name, choices in asked.items()
    }
    try:
        require_right(lowered, config, Schedule(layers, leaving), inputs, expected)
    except TilewrightError as error:
        assert "must fit" in str(error)  # two tiles that fit alone may not fit side by side


@given(data=st.data())
@SETTINGS
def test_all_decisions_of_a_layer(random_network, data):
    config, model = random_network(data.draw)
    lowered, inputs, expected = lowered_with_answers(config, model)
    asked = assemble_core(lowered, config).decisions.asked
    if not asked:
        return
    layer = data.draw(st.sampled_from(sorted(asked)))
    choice = asked[layer][0]
    assert choice.admits(choice.heuristic())
    for decision in choice.space():
        assert choice.admits(decision)
        try:
            require_right(lowered, config, Schedule({layer: (decision,)}), inputs, expected)
        except TilewrightError as error:
            assert "must fit" in str(error)


@given(data=st.data())
@SETTINGS
def test_schedules_survive_json(random_network, data):
    config, model = random_network(data.draw)
    lowered = run_passes(import_model(model), passes_for(config))
    core = assemble_core(lowered, config)
    made = {name: tuple(decisions) for name, decisions in core.decisions.made.items()}
    schedule = Schedule(made, frozenset(["somewhere"]))
    assert read_schedule(schedule_text(schedule)) == schedule
    again = assemble_core(lowered, config, replace(schedule, leaving=frozenset()))
    np.testing.assert_array_equal(again.program.instructions, core.program.instructions)


def test_decisions_that_do_not_fit_are_refused(digits_graph, tiny):
    core = assemble_core(digits_graph, tiny)
    layer = next(name for name, made in core.decisions.made.items() if isinstance(made[0], ConvTiling))
    choice = core.decisions.asked[layer][0]
    for decision in (replace(choice.heuristic(), outputs=1000), replace(choice.heuristic(), rows=0), "fast"):
        assert not choice.admits(decision)
        with pytest.raises(TilewrightError, match=f"layer '{layer}' must have a schedule that fits"):
            assemble_core(digits_graph, tiny, Schedule({layer: (decision,)}))
