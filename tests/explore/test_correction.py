"""What is learnt from syntheses: on designs whose truth is known, and where there are too few."""

import sys
from typing import Any

import numpy as np
import pytest
from tilewright.config import Config
from tilewright.explore.correction import ENOUGH, Correction, Example
from tilewright.explore.promise import expected_gain, uncertain
from tilewright.explore.rungs import Knowledge, Measurement, Rung

FORETOLD = {"lut": 20_000.0, "ff": 9_000.0}
SPANS = {"lut": 0.3, "ff": 0.2}


def design(number: int) -> Config:
    random = np.random.default_rng(number)
    sizes = {name: int(2 ** random.integers(2, 5)) for name in ("block_in", "block_out", "act_banks")}
    return Config(**sizes, vector_lanes=4, act_depth=int(2 ** random.integers(9, 13)), queue_depth=4)


def truth(config: Config) -> float:
    """By what the formula is off: banks take more look-up tables than it knows, and short memories fewer."""
    return 1 + 0.05 * config.act_banks - (0.15 if config.act_depth < 2048 else 0.0)


def examples(count: int) -> list[Example]:
    return [Example(config, 20_000, 20_000 * truth(config)) for config in map(design, range(count))]


@pytest.fixture(scope="module")
def learnt() -> Correction:
    pytest.importorskip("lightgbm")
    exact = [Example(each.config, 30, 30) for each in examples(40)]
    return Correction.learnt_from({"lut": examples(60), "dsp": exact}, SPANS)


def known(*measurements: Measurement) -> Knowledge:
    return Knowledge.of([Measurement(Rung.CLOSED_FORM, FORETOLD), *measurements])


def test_errors_on_designs_not_seen_are_smaller_than_the_formula_s(learnt: Correction) -> None:
    errors = learnt.errors["lut"]
    assert errors.designs == 60 and errors.worth_it and errors.learnt[0] < 0.5 * errors.closed_form[0]
    assert errors.learnt[0] <= errors.learnt[1] and errors.within > 0.5
    assert not learnt.errors["dsp"].worth_it, "what is exact needs no correction"
    text = "\n".join(learnt.lines())
    assert "lut: learnt; on designs not seen, of 60: " in text and "dsp: by closed form, which is nearer" in text


def test_estimates_are_corrected_and_measurements_are_not(learnt: Correction) -> None:
    config = design(1000)
    found = learnt.corrected(config, FORETOLD)
    assert found.rung is Rung.LEARNT and set(found.quantities) == {"lut"}
    assert found.quantities["lut"] == pytest.approx(20_000 * truth(config), rel=0.1)
    estimated = known(found)
    best = learnt.at_best(config, estimated).quantities
    assert best["lut"] <= estimated.quantities["lut"] and best["ff"] == pytest.approx(0.8 * 9_000)
    assert learnt.uncertainty(config, estimated) > 0
    measured = known(found, Measurement(Rung.SYNTHESIS, {"lut": 1.0, "ff": 2.0}))
    assert learnt.at_best(config, measured) == measured and learnt.uncertainty(config, measured) == 0


def test_too_few_designs_teach_nothing_and_it_says_so() -> None:
    few = Correction.learnt_from({"lut": examples(ENOUGH - 1)}, SPANS)
    assert not few.learnt and few.corrected(design(0), FORETOLD).quantities == {}
    assert few.lines() == [
        f"lut: by closed form; {ENOUGH - 1} designs were measured, {ENOUGH} are enough to learn from."
    ]
    assert few.at_best(design(0), known()).quantities["lut"] == pytest.approx(0.7 * 20_000)


def test_without_lightgbm_nothing_is_learnt_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    without = Correction.learnt_from({"lut": examples(ENOUGH)}, SPANS)
    assert not without.learnt
    (line,) = without.lines()
    assert line.startswith("Nothing is learnt from syntheses: LightGBM is not installed: pip install")


def test_learning_is_repeatable(learnt: Correction) -> None:
    again = Correction.learnt_from({"lut": examples(60)}, SPANS)
    assert again.corrected(design(5), FORETOLD) == learnt.corrected(design(5), FORETOLD)


def test_the_least_known_climb_first(ask: Any) -> None:
    """Without anything learnt: those most unlike what was synthesised, as far as they may belong on the front."""
    from tilewright.explore.ladder import Trial

    question = ask("random")
    cycles = Measurement(Rung.TUNED, {"cycles": 1000.0})
    full = Measurement(Rung.CLOSED_FORM, {"lut": 30_000.0, "ff": 1.0, "dsp": 1.0, "block_ram": 1.0})
    large = Measurement(Rung.CLOSED_FORM, {"lut": 70_000.0, "ff": 1.0, "dsp": 1.0, "block_ram": 1.0})
    near, far, hopeless = (Config(block_in=size, block_out=size, vector_lanes=4) for size in (8, 32, 4))
    trials = [
        Trial(number, {}, config, known=Knowledge.of([area, cycles]))
        for number, (config, area) in enumerate(((near, full), (far, full), (hopeless, large)))
    ]
    best = [(1000.0, 25_000 / 83_640)]
    seen = [Config(block_in=8, block_out=16, vector_lanes=4)]
    chosen = uncertain(question, trials, best, seen, Correction(spans={"lut": 0.3}))
    assert [trial.config for trial in chosen] == [far, near]
    assert uncertain(question, trials, best, seen, Correction()) == []


def test_gains_are_expected_from_gains() -> None:
    assert expected_gain([]) == expected_gain([0.0] * 15) == 0.25
    assert expected_gain([0.0] * 15 + [0.1]) == pytest.approx(0.15)
    assert expected_gain([0.2] * 16) == 0.25
