"""What the compiler makes of random networks has no races; and where a token is removed that matters, they are found.

A soak (TILEWRIGHT_PROGRAMS from 100,000 on) takes 10,000 networks and plants hundreds of races, the usual run some.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_graph, compile_model, import_model
from tilewright.config import load_config
from tilewright.errors import ProgramError, TilewrightError
from tilewright.isa.checker import check, check_program
from tilewright.isa.program import Run
from tilewright.isa.race_reference import RaceReference, matched_tokens, without_token
from tilewright.isa.races import find_races, program_races

SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
NETWORKS, SHARES = (10_000, 20) if SOAK else (100, 2)  # the shares run beside each other
PLANTED = 400 if SOAK else 40
REMOVALS = 8  # of each network
_LONGEST = 150  # instructions that the reference takes in


def on_networks(check, count, number):
    """Call `check` with Hypothesis's `draw`, the same `count` networks each time, others for another `number`."""

    @seed(number)
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(data=st.data())
    def campaign(data):
        check(data.draw)

    campaign()


def compiled(model, config):
    """Not yet checked. A network with a window that the core has no room for is refused, and another one drawn."""
    try:
        return compile_graph(import_model(model), config, check=False)
    except TilewrightError as error:
        if "must fit" not in str(error):
            raise
        reject()


@pytest.mark.parametrize("share", range(SHARES))
def test_random_networks_have_no_races(random_network, record_property, share):
    lengths = []

    def check_one(draw):
        config, model = random_network(draw)
        program = compiled(model, config)
        assert check_program(program) == []
        assert program_races(program) == []
        lengths.append(len(program.instructions))

    on_networks(check_one, NETWORKS // SHARES, share)
    record_property("figure", f"{len(lengths)} random networks compiled to {sum(lengths)} instructions without races")


def test_planted_races_are_found(random_network, record_property):
    planted, harmless = [], []

    def check_one(draw):
        config, model = random_network(draw)
        program = compiled(model, config)
        runs = [step for step in program.steps if isinstance(step, Run) and step.count <= _LONGEST]
        if len(planted) >= PLANTED or not runs:
            return
        body = program.decoded(runs[0])
        reference = RaceReference(body[:-1], config)
        assert reference.races(body[:-1]) == set()
        tokens = matched_tokens(body)
        sizes = [segment.size for segment in program.segments]
        for place in np.random.default_rng(len(planted)).permutation(len(tokens))[:REMOVALS]:
            changed = without_token(body, *tokens[place])
            assert check(changed, config, sizes) == []
            expected = reference.races(changed[:-1])
            found = {(race.first, race.second) for race in find_races(changed, config)}
            assert found <= expected and bool(found) == bool(expected)
            (planted if expected else harmless).append(place)

    on_networks(check_one, PLANTED, 0)
    assert len(planted) >= PLANTED
    line = f"{len(planted)} races planted in compiled networks, all found; {len(harmless)} removals left no race"
    record_property("figure", line)


def test_compiling_finds_them_by_default(qdq, monkeypatch):
    """A compiler that forgets a token is told so, unless it is told to go on."""
    from tilewright.compiler import assemble

    model = qdq()
    x = model.input((1, 16, 4, 4))
    proto = model.finish(model.conv(x, (16, 16, 1, 1)))
    config = load_config("vta-16")
    sound = compile_model(proto, config)
    encode = assemble.encode_instructions

    def forgetful(instructions):
        return encode(without_token(instructions, *matched_tokens(instructions)[-1]))

    monkeypatch.setattr(assemble, "encode_instructions", forgetful)
    with pytest.raises(ProgramError, match=r"must have no races, .*no token orders them.*mistake in the compiler"):
        compile_model(proto, config)
    unchecked = compile_model(proto, config, check=False)
    assert len(unchecked.instructions) == len(sound.instructions)
    assert sound.race_free and not unchecked.race_free
