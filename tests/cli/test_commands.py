"""Every command does what its help says, and the start is light."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tilewright.config import PRESETS, Config, load_config
from tilewright.isa.program import Program, encode_instructions
from tilewright.isa.race_reference import matched_tokens, without_token
from tilewright.models import DIGITS, DIGITS_TEST

HEAVY = ("numpy", "amaranth", "onnx", "tflite", "llvmlite", "rich")


@pytest.mark.parametrize("words", [["--help"], ["config"], ["config", "tiny"], ["run", "--help"], ["--version"]])
def test_a_light_start(words: list[str]) -> None:
    code = (
        "import sys; from tilewright.cli import main; sys.argv[0] = 'tilewright'\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout and done.stderr.strip() == "[]"


def test_importing_the_package_is_light() -> None:
    code = f"import sys, tilewright; dir(tilewright); print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "tilewright", "config", "tiny"], capture_output=True, text=True)
    assert done.returncode == 0 and 'name = "tiny"' in done.stdout


def test_help_names_every_command(tilewright: Callable) -> None:
    programs, models = ("run", "profile", "disassemble", "assemble", "check"), ("compile", "inspect", "verify", "demo")
    commands = (*models, *programs, "config", "verilog", "area")
    listed = tilewright("--help").out
    assert all(f"\n  {command} " in listed for command in commands)
    for command in commands:
        shown = tilewright(command, "-h")
        assert shown.status == 0 and shown.out.startswith(f"Usage: tilewright {command}")


def test_nothing_at_all_shows_the_help(tilewright: Callable) -> None:
    ended = tilewright()
    assert ended.status == 2 and ended.err.startswith("Usage: tilewright")


@pytest.mark.parametrize("preset", PRESETS)
def test_config_prints_what_it_reads(tilewright: Callable, tmp_path: Path, preset: str) -> None:
    shown = tilewright("config", preset)
    assert Config.from_toml(shown.out) == load_config(preset)
    assert load_config(preset).hash in shown.out
    out = tmp_path / "copy.toml"
    assert tilewright("config", preset, "-o", out).out == ""
    assert out.read_text() == shown.out
    assert tilewright("config", out).out == shown.out


def test_compile_and_run(tilewright: Callable, tmp_path: Path, image: Path) -> None:
    program, out = tmp_path / "digits.tw", tmp_path / "out.npz"
    compiled = tilewright("compile", DIGITS, "-c", "tiny", "-o", program)
    assert compiled.status == 0 and "for tiny, 100% of 395,520 MACs" in compiled.out
    with np.load(DIGITS_TEST) as test:
        expected = test["probabilities"][:1]
    for device in ("oracle", "native"):
        ended = tilewright("run", program, "-i", image, "-o", out, "-d", device, "-c", "tiny")
        assert ended.status == 0 and f"tiny on device {device}" in ended.out and "395,520" in ended.out
        with np.load(out) as arrays:
            assert arrays.files == ["probabilities"]
            np.testing.assert_allclose(arrays["probabilities"], expected, rtol=1e-5, atol=1e-7)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["digits.tw", "out.npz"]


def test_outputs_are_printed_where_no_file_is_named(tilewright: Callable, digits: Path, image: Path) -> None:
    assert "probabilities float32 (1, 10): [" in tilewright("run", digits, "-i", image, "-d", "oracle").out


def test_run_on_the_rtl(tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
    cycles = []
    for latency in (10, 100):
        words = ("-d", "cycle", "--json", "--latency", latency, "--stalls", 3, "-o", tmp_path / "out.npz")
        report = json.loads(tilewright("run", digits, "-i", image, *words).out)
        assert report["config"] == "tiny" and report["macs"] == 395520
        assert sum(layer["cycles"] or 0 for layer in report["layers"]) == report["cycles"]
        assert report["counters"][0]["instructions"] > 100
        cycles.append(report["cycles"])
    assert cycles[0] < cycles[1]


def test_disassembled_and_assembled_it_is_the_same(tilewright: Callable, digits: Path, tmp_path: Path) -> None:
    text, again = tmp_path / "digits.s", tmp_path / "again.tw"
    tilewright("disassemble", digits, "-o", text)
    assert text.read_text() == tilewright("disassemble", digits).out
    assert "(conv)" in text.read_text() and "\nGEMM " in text.read_text()
    assert tilewright("assemble", text, "-c", "tiny", "-o", again).status == 0
    first, second = Program.load(digits), Program.load(again)
    np.testing.assert_array_equal(second.instructions, first.instructions)
    assert second.config == first.config


def test_a_run_for_each_finish(tilewright: Callable, tmp_path: Path) -> None:
    text, out = tmp_path / "two.s", tmp_path / "two.tw"
    text.write_text("SYNC engine=LOAD ; nothing\nFINISH\n\nFINISH\n")
    assert tilewright("assemble", text, "-o", out).status == 0
    assert [(step.first, step.count) for step in Program.load(out).steps] == [(0, 2), (2, 1)]
    assert tilewright("check", out).status == 0
    assert tilewright("run", out, "-d", "oracle").status == 0


def test_check(tilewright: Callable, digits: Path) -> None:
    ended = tilewright("check", digits)
    assert ended.status == 0 and "no findings, no races" in ended.out


def test_check_names_races_and_layers(tilewright: Callable, digits: Path, tmp_path: Path) -> None:
    program, out = Program.load(digits), tmp_path / "raced.tw"
    body = program.decoded()
    giver, taker = matched_tokens(body)[0]
    replace(program, instructions=encode_instructions(without_token(body, giver, taker))).save(out)
    ended = tilewright("check", out)
    assert ended.status == 2 and f"race: instructions {giver} (LOAD) and {taker} (GEMM) meet in " in ended.err
    assert f"; {taker} is of layer stem.sum (conv)" in ended.err


def test_verilog(tilewright: Callable, tmp_path: Path) -> None:
    out = tmp_path / "core.v"
    assert tilewright("verilog", "-c", "tiny", "-o", out).status == 0
    assert "\nmodule tilewright(" in out.read_text()


def test_demo_keeps_its_program(tilewright: Callable, tmp_path: Path) -> None:
    ended = tilewright("demo", "-c", "tiny", "--images", 2, "--oracle-images", 1, "--save", tmp_path / "demo.tw")
    assert ended.status == 0 and "All memories agreed" in ended.out
    assert Program.load(tmp_path / "demo.tw").config == load_config("tiny")
