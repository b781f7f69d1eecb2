"""A small network, lowered, and a clock for it."""

from __future__ import annotations

import pytest
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Graph
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.config import Config, load_config
from tilewright.models import DIGITS
from tilewright.simulator.timing import ProgramClock


@pytest.fixture(scope="session")
def tiny() -> Config:
    return load_config("tiny")


@pytest.fixture(scope="session")
def digits_graph(tiny: Config) -> Graph:
    """The demo's network, lowered for `tiny`."""
    return run_passes(import_model(DIGITS), passes_for(tiny))


@pytest.fixture(scope="session")
def clock(tiny: Config) -> ProgramClock:
    return ProgramClock(tiny)
