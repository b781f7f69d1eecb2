"""What is shown while a long run is on, and what is kept of it where Ctrl-C ends it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress
from tilewright.cli import progress
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.device import open_device
from tilewright.driver.session import Session
from tilewright.isa.program import Program
from tilewright.models import DIGITS
from tilewright.simulator.cycle import CycleSimulator, device
from tilewright.simulator.native import simulator

LAYERS = ["stem.sum", "left1.sum", "right", "left2"]


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Every state of a bar, as a terminal would show it."""
    shown: list[dict] = []
    update = Progress.update

    def watched(self: Progress, task: int, **values: object) -> None:
        update(self, task, **values)
        shown.append({"total": self.tasks[task].total, "done": self.tasks[task].completed, **self.tasks[task].fields})

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(Progress, "update", watched)
    monkeypatch.setattr(device, "_CHUNK", 500)
    return shown


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``interrupt(n)`` presses Ctrl-C after `n` instructions."""

    def after(count: int) -> None:
        def pressed(self: progress.RunBar, instructions: int, cycles: int) -> None:
            advance(self, instructions, cycles)
            if self.instructions >= count:
                raise KeyboardInterrupt

        monkeypatch.setattr(progress.RunBar, "advance", pressed)

    advance = progress.RunBar.advance
    monkeypatch.setattr(device, "_CHUNK", 500)
    return after


def test_a_run_on_the_verilog(tilewright: Callable, digits: Path, image: Path, bars: list[dict]) -> None:
    assert tilewright("run", digits, "-i", image, "-d", "cycle").status == 0
    total = sum(step.count - 1 for step in Program.load(digits).steps if hasattr(step, "count"))
    assert all(0 <= bar["done"] <= bar["total"] for bar in bars) and bars[-1]["done"] > 0.9 * bars[-1]["total"]
    counts = [int(bar["count"].split()[0].replace(",", "")) for bar in bars]
    assert counts == sorted(counts) and counts[-1] == total and bars[-1]["count"].endswith(f"of {total} instructions")
    seen = list(dict.fromkeys(bar["layer"] for bar in bars))
    assert [layer for layer in seen if layer in LAYERS] == LAYERS
    assert "M cycles/s" in bars[-1]["speed"]


def test_a_run_on_the_oracle(tilewright: Callable, digits: Path, image: Path, bars: list[dict]) -> None:
    assert tilewright("run", digits, "-i", image, "-d", "oracle").status == 0
    assert [bar["done"] for bar in bars] == list(range(1, int(bars[-1]["total"]) + 1))
    assert bars[-1]["speed"] == ""


def test_nothing_but_text_where_no_terminal_is(tilewright: Callable, digits: Path, image: Path) -> None:
    ended = tilewright("run", digits, "-i", image, "-d", "oracle")
    assert ended.status == 0 and ended.err == "" and "\x1b" not in ended.out


def test_watching_does_not_change_the_time() -> None:
    program = compile_model(DIGITS, load_config("tiny"))
    inputs = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in program.inputs}
    calls: list[tuple[int, int]] = []
    took = []
    for options in ({}, {"progress": lambda *done: calls.append(done)}):
        core = open_device("cycle", program.config, **options)
        session = Session(program, core)
        session.run(inputs)
        took.append([dict(record.counters) for record in session.records])
        core.close()
    assert took[0] == took[1] and calls


def test_ctrl_c_on_the_verilog(
    tilewright: Callable, digits: Path, image: Path, interrupt: Callable[[int], None], tmp_path: Path
) -> None:
    whole = tmp_path / "whole.npz"
    ended = tilewright("run", digits, "-i", image, "--until", "left1.sum", "-o", whole)
    assert ended.status == 0
    interrupt(70)
    out = tmp_path / "some.npz"
    ended = tilewright("run", digits, "-i", image, "-d", "cycle", "-o", out)
    assert ended.status == 130
    first, *others = ended.err.splitlines()
    assert first.startswith("stopped after 7") and " instructions, " in first and first.endswith(" cycles")
    assert others[-1] == "tilewright: interrupted"
    assert "left1.sum" in ended.out and "left2" not in ended.out
    some, complete = np.load(out), np.load(whole)
    assert list(complete) == ["left1.q/integer"]
    np.testing.assert_array_equal(some["left1.q/integer"], complete["left1.q/integer"])


def test_ctrl_c_on_the_oracle(
    tilewright: Callable, digits: Path, image: Path, interrupt: Callable[[int], None]
) -> None:
    interrupt(9)
    ended = tilewright("run", digits, "-i", image, "-d", "oracle")
    assert ended.status == 130
    assert ended.err.split("\n\n") == ["stopped after 9 of 148 instructions", "tilewright: interrupted\n"]
    assert "image.q" in ended.out and "stem.sum " not in ended.out


@pytest.fixture
def in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The native simulator reports as often as it can."""
    monkeypatch.setattr(simulator, "_CHUNK_SECONDS", 0.0)


def test_a_run_on_the_native_simulator(
    tilewright: Callable, digits: Path, image: Path, bars: list[dict], in_steps: None
) -> None:
    assert tilewright("run", digits, "-i", image).status == 0
    done = [bar["done"] for bar in bars]
    assert done == sorted(done) and 0 < done[0] <= done[-1] <= bars[-1]["total"] and bars[-1]["speed"] == ""


def test_ctrl_c_on_the_native_simulator(
    tilewright: Callable, digits: Path, image: Path, interrupt: Callable[[int], None], in_steps: None, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.npz", tmp_path / "some.npz"
    assert tilewright("run", digits, "-i", image, "--until", "left1.sum", "-o", whole).status == 0
    interrupt(70)
    ended = tilewright("run", digits, "-i", image, "-o", out)
    assert ended.status == 130
    first, *others = ended.err.splitlines()
    stopped = re.fullmatch(r"stopped after (\d+) of 148 instructions", first)
    assert stopped and 70 <= int(stopped[1]) < 120
    assert others[-1] == "tilewright: interrupted"
    assert "left1.sum" in ended.out and "left2" not in ended.out
    np.testing.assert_array_equal(np.load(out)["left1.q/integer"], np.load(whole)["left1.q/integer"])


def test_ctrl_c_while_profiling(tilewright: Callable, digits: Path, interrupt: Callable[[int], None]) -> None:
    whole = tilewright("profile", digits)
    interrupt(70)
    ended = tilewright("profile", digits)
    assert ended.status == 130

    def cycles(text: str, layer: str) -> str:
        return next(line for line in text.splitlines() if line.split()[:1] == [layer]).split()[4]

    assert cycles(ended.out, "stem.sum") == cycles(whole.out, "stem.sum")


def test_a_core_that_was_interrupted_runs_again(interrupt: Callable[[int], None]) -> None:
    program = compile_model(DIGITS, load_config("tiny"))
    inputs = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in program.inputs}
    presses = [3]

    def pressed(instructions: int, cycles: int) -> None:
        if presses and instructions >= presses[0]:
            presses.clear()
            raise KeyboardInterrupt

    interrupt(0)
    core = CycleSimulator(program.config, progress=pressed)
    session = Session(program, core)
    with pytest.raises(KeyboardInterrupt):
        session.run(inputs)
    assert session.interrupted is not None and session.interrupted.counters["instructions"] >= 3
    again = session.run(inputs)
    assert session.interrupted is None
    native = open_device("native", program.config)
    expected = Session(program, native).run(inputs)
    native.close()
    core.close()
    for name, array in expected.items():
        np.testing.assert_array_equal(again[name], array)
