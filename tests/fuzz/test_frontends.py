"""Any bytes give a program or one line, within 10 seconds and 2 GiB: neither a traceback, nor a crash, nor a hang.

``make test`` tries some damaged models; ``make fuzz`` goes on for TILEWRIGHT_FUZZ_SECONDS. What breaks the compiler is
made small and saved in the folder ``failures`` of the cache; moved to ``regressions`` here, it is tried every time.
"""

import hashlib
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.cache import cache_directory
from tilewright.errors import TilewrightError
from tilewright.files import write_file

from .mutations import MUTATIONS

HERE = Path(__file__).parent
CORPUS = {path.name: path.read_bytes() for path in sorted((HERE / "corpus").iterdir())}
SECONDS = float(os.environ.get("TILEWRIGHT_FUZZ_SECONDS", "0"))
TARGETS = ("accelerator", "host")


@pytest.fixture(scope="module")
def starts() -> dict[str, list[bytes]]:
    """What is damaged, by suffix. With time to spend, ONNX's own models of single operators too."""
    found = {suffix: [data for name, data in CORPUS.items() if name.endswith(suffix)] for suffix in MUTATIONS}
    if SECONDS:
        from onnx.backend.test.case.node import collect_testcases

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it computes references too, overflows and all
            models = [case.model for case in collect_testcases(None) if case.model is not None]
        found[".onnx"] += [data for model in models if len(data := model.SerializeToString()) < 1 << 14]
    return found


@st.composite
def damaged(draw: st.DrawFn, suffix: str, starts: list[bytes]) -> bytes:
    """A start with a few mutations."""

    def choose(count: int) -> int:
        return draw(st.integers(0, count - 1))

    data = starts[choose(len(starts))]
    for _ in range(1 + choose(4)):
        mutation = MUTATIONS[suffix][choose(len(MUTATIONS[suffix]))]
        data = mutation(data, starts[choose(len(starts))], choose)
    return data


def saved(data: bytes, suffix: str) -> Path:
    folder = cache_directory() / "failures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    write_file(path, data, "model", error=TilewrightError)
    return path


@pytest.mark.parametrize("suffix", MUTATIONS)
def test_damaged_models(compiler: Callable, starts: dict[str, list[bytes]], suffix: str) -> None:
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + SECONDS
    while not outcomes or time.monotonic() < end:
        some_models(compiler, suffix, starts[suffix], outcomes)
    print(f"{suffix}: {dict(outcomes)}")
    assert outcomes["program"] and outcomes["refused"]


def some_models(compiler: Callable, suffix: str, starts: list[bytes], outcomes: Counter[str]) -> None:
    quiet: Any = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

    @settings(max_examples=400, deadline=None, suppress_health_check=quiet, derandomize=not SECONDS, database=None)
    @given(data=damaged(suffix, starts), target=st.sampled_from(TARGETS))
    def compiles_or_refuses(data: bytes, target: str) -> None:
        outcome = compiler(data, f"model{suffix}", target)
        outcomes[outcome.kind] += 1
        assert outcome.kind != "broken", f"{saved(data, suffix)} for {target}: {outcome.text}"

    compiles_or_refuses()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", sorted((HERE / "regressions").iterdir()), ids=lambda path: path.name)
def test_models_that_were_trouble(compiler: Callable, path: Path, target: str) -> None:
    outcome = compiler(path.read_bytes(), path.name, target)
    assert outcome.kind != "broken", outcome.text


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_compiles(compiler: Callable, name: str) -> None:
    outcome = compiler(CORPUS[name], name, "host")
    assert outcome.kind == "program", outcome.text
