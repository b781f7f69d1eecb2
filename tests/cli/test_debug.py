"""``tilewright debug`` says what there is to know, and refuses what makes no sense before it runs anything."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.isa.program import Program, encode_instructions
from tilewright.isa.race_reference import matched_tokens, without_token
from tilewright.simulator import native


def test_two_devices(tilewright: Callable, digits: Path) -> None:
    ended = tilewright("debug", digits, "--against", "oracle")
    assert ended.status == 0 and ended.out == "native and oracle: the program ran to its end, with equal memories\n"


def test_a_difference_has_status_1(tilewright: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(native.NativeSimulator):
        def _execute(self, launch):  # type: ignore[no-untyped-def]
            outcome = super()._execute(launch)
            cells = self.peek(native.simulator.Memory.TABLE)
            cells[5] ^= 1
            self.poke(native.simulator.Memory.TABLE, cells)
            return outcome

    monkeypatch.setattr(native, "NativeSimulator", Wrong)
    ended = tilewright("debug", digits, "--against", "oracle")
    assert ended.status == 1
    assert ended.out.startswith("first difference after instruction 0 of layer stem.sum (conv):")
    assert "TABLE of row 0, cell 5: native has" in ended.out


def test_stop_and_dump(tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
    act, everything = tmp_path / "act.npy", tmp_path / "all.npz"
    words = ["--inputs", image, "--until", "layer:stem.sum", "--dump", f"ACT={act}", "--dump", f"all={everything}"]
    ended = tilewright("debug", digits, *words, "--dump", "ACC:0..2", "--dump", "constants:0..15")
    assert ended.status == 0 and "native: after instruction " in ended.out and "of layer stem.sum (conv)" in ended.out
    config = load_config("tiny")
    stored = np.load(act)
    assert stored.shape == (1, config.act_depth, config.granule) and stored.dtype == np.int8 and stored.any()
    with np.load(everything) as arrays:
        assert {"ACT", "ACC", "WGT", "BIAS", "SCALE", "TABLE", "constants", "activations"} == set(arrays)
        np.testing.assert_array_equal(arrays["ACT"], stored)
    assert f"ACC int32 (1, {config.acc_depth}, 4)" in ended.out
    lines = ended.out.splitlines()
    assert [line.split(":")[0].strip() for line in lines[-5:]][:3] == ["0", "1", "2"]
    first = Program.load(digits).segments[0].data[:16]
    assert lines[-1].split(": ")[1] == first.hex(" ")


def test_on_the_host(tilewright: Callable, digits: Path) -> None:
    ended = tilewright("debug", digits, "--until", "layer:0")
    assert ended.status == 0 and ended.out.endswith(", on the host\n")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--until", "layer:stem"], "similar ones are"),
        (["--until", "cycle:5"], "has no time"),
        (["--until", "line:5"], "must be instruction:N"),
        (["--dump", "ACX"], "must be one of ACT"),
        (["--dump", "ACT.1"], "row of ACT must be below 1"),
        (["--dump", "ACT:5..2"], "must name cells as ACT:0..15"),
        (["--dump", "ACT:0..2=x.npy"], "must name a whole memory and a file"),
        (["--dump", "ACT=x.txt"], "must name a whole memory and a file"),
        (["--dump", "all"], "must go to a file .npz"),
        (["--wave", "x.vcd"], "needs the cycle simulator"),
        (["--latency", "9"], "needs the cycle simulator"),
    ],
)
def test_refusals(tilewright: Callable, digits: Path, words: list[str], rule: str) -> None:
    assert rule in tilewright("debug", digits, *words).complaint


def test_a_waveform_around_the_stop(tilewright: Callable, digits: Path, tmp_path: Path) -> None:
    wave = tmp_path / "w.vcd"
    words = ["--device", "cycle", "--until", "instruction:20", "--wave", wave, "--window", "10"]
    ended = tilewright("debug", digits, *words)
    assert ended.status == 0 and f"{wave}: cycles " in ended.out
    assert wave.stat().st_size > 1000
    ended = tilewright("debug", digits, "--device", "cycle", "--until", "cycle:300")
    assert ended.status == 0 and "at cycle 300 of step" in ended.out and "in flight: " in ended.out


def test_a_prompt(tilewright: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "where",
        "step",
        "step 3",
        "",
        "until layer:stem.sum",
        "dump BIAS:0..1",
        "dump NONE",
        "jump",
        "end",
        "quit",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    ended = tilewright("debug", digits, "--until", "instruction:7", "--interactive")
    assert ended.status == 0
    for index in (7, 8, 11):
        assert f"native: after instruction {index} of layer stem.sum (conv)" in ended.out
    assert ended.out.count("after instruction 7 ") == 2 and "BIAS int32" in ended.out
    assert "the program ran to its end" in ended.out
    assert "a memory to dump must be one of" in ended.err and "not jump" in ended.err


def test_a_prompt_ends_with_its_input(tilewright: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("step\n"))
    assert tilewright("debug", digits, "--interactive", "--until", "layer:0").status == 0


def test_races_are_told(tilewright: Callable, digits: Path, tmp_path: Path) -> None:
    program, out = Program.load(digits), tmp_path / "raced.tw"
    changed = without_token(program.decoded(), *matched_tokens(program.decoded())[0])
    replace(program, instructions=encode_instructions(changed)).save(out)
    ended = tilewright("debug", out, "--until", "instruction:3")
    assert ended.status == 0 and "raced.tw: devices may differ, and be right, since instructions" in ended.err
    assert not tilewright("debug", out, "--until", "instruction:3", "--no-check").err
