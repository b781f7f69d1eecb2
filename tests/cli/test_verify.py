"""Recorded answers and a model's layers, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.simple import run
from tilewright.models import DIGITS, DIGITS_TEST

MODELS = Path(__file__).parents[3] / "shared" / "models"


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    """Two digits and what the native simulator makes of them."""
    program = compile_model(DIGITS, load_config("tiny"))
    arrays = {}
    with np.load(DIGITS_TEST) as test:
        for number, image in enumerate(test["images"][:2]):
            arrays[f"in_{number}_0"] = image[None]
            arrays[f"out_{number}_0"] = run(program, {"image": image[None]})["probabilities"]
    return arrays


def verify(tilewright: Callable, tmp_path: Path, arrays: dict, *words: str) -> object:
    np.savez(tmp_path / "golden.npz", **arrays)
    return tilewright("verify", DIGITS, "--golden", tmp_path / "golden.npz", "--config", "tiny", *words)


def test_equal_answers(tilewright: Callable, tmp_path: Path, recorded: dict) -> None:
    ended = verify(tilewright, tmp_path, recorded)
    assert ended.status == 0
    assert ended.out.splitlines()[-1] == "digits.onnx on native (tiny): 2 tensors of 2 samples, all equal"


def test_different_answers(tilewright: Callable, tmp_path: Path, recorded: dict) -> None:
    wrong = {**recorded, "out_1_0": recorded["out_1_0"] + np.float32([[0, 0.25, 0, 0, 0, 0, 0, 0, np.nan, 0]])}
    ended = verify(tilewright, tmp_path, wrong)
    assert ended.status == 1
    assert "out_0_0 (0): 0 of 10 elements differ" in ended.out
    assert "out_1_0 (1): 2 of 10 elements differ, by at most inf" in ended.out
    assert "out_0_0 (0): 0 of 10 elements differ, by at most 0\n" in ended.out
    wrong["out_1_0"] = recorded["out_1_0"] + np.float32(0.25)
    assert verify(tilewright, tmp_path, wrong).status == 1
    ended = verify(tilewright, tmp_path, wrong, "--tolerance", "0.3")
    assert ended.status == 0 and ended.out.endswith("2 tensors of 2 samples, all within 0.3\n")
    assert "0 of 10 elements differ, by at most 0.25; the largest of a row is another in 0 of 1" in ended.out
    assert verify(tilewright, tmp_path, wrong, "--samples", "1").status == 0


def test_a_tap_is_compared(tilewright: Callable, tmp_path: Path, recorded: dict) -> None:
    wrong = {**recorded, "tap_0_0": np.zeros((1, 10), np.int8)}
    ended = verify(tilewright, tmp_path, wrong)
    assert ended.status == 1 and "tap_0_0 (0): " in ended.out


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"in_0_0": None, "in_1_0": None}, "must have samples"),
        ({"in_0_0": np.zeros((1, 3), np.float32)}, "must be float32 (1, 1,"),
        ({"in_0_1": np.zeros(3)}, "must have the model's 1 inputs"),
        ({"out_0_0": np.zeros((1, 11), np.float32)}, "out_0_0 must be float32[1, 10]"),
        ({"out_0_3": np.zeros((1, 10), np.float32)}, "at most 1 outputs, not number 3"),
    ],
)
def test_files_of_something_else(
    tilewright: Callable, tmp_path: Path, recorded: dict, changes: dict, complaint: str
) -> None:
    arrays = {name: array for name, array in {**recorded, **changes}.items() if array is not None}
    assert complaint in verify(tilewright, tmp_path, arrays).complaint


def test_a_tolerance_that_is_no_number(tilewright: Callable, tmp_path: Path, recorded: dict) -> None:
    assert "'nan' is not in the range x>=0" in verify(tilewright, tmp_path, recorded, "--tolerance", "nan").complaint


def test_a_file_that_is_missing(tilewright: Callable, tmp_path: Path) -> None:
    complaint = tilewright("verify", DIGITS, "--golden", tmp_path / "none.npz").complaint
    assert complaint.startswith(f"tilewright: inputs file {tmp_path / 'none.npz'} does not exist")


def test_inspect_adds_up(tilewright: Callable) -> None:
    plans = json.loads(tilewright("inspect", DIGITS, "--json").out)
    assert sum(plan["macs"] for plan in plans) == 395_520
    assert all(bool(plan["reason"]) == (plan["target"] == "host") for plan in plans)
    assert {plan["operator"] for plan in plans if plan["parameters"]} == {"conv", "conv+add", "dense"}
    shown = tilewright("inspect", DIGITS).out
    assert "395,520" in shown and "100% of MACs" in shown and "works on real numbers" in shown


def test_a_program_is_no_model(tilewright: Callable, tmp_path: Path) -> None:
    complaint = tilewright("inspect", tmp_path / "digits.tw").complaint
    assert "must be an ONNX or TFLite file, not a compiled program" in complaint


def test_a_narrow_terminal_cuts_no_number(tilewright: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "60", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    shown = tilewright("inspect", DIGITS).out
    assert all(number in shown for number in ("147,456", "16,384", "395,520", "11,002", "1×32×4×4"))


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
def test_a_tflite_model_from_end_to_end(tilewright: Callable, tmp_path: Path) -> None:
    model, program = MODELS / "kws_int8.tflite", tmp_path / "kws.tw"
    compiled = tilewright("compile", model, "--config", "tiny", "--out", program)
    assert compiled.status == 0 and "100% of 2,656,768 MACs on the accelerator" in compiled.out
    ended = tilewright("verify", model, "--golden", MODELS / "kws_int8.npz", "--config", "tiny")
    assert ended.status == 0 and ended.out.endswith("6 tensors of 3 samples, all equal\n")
    words = ("verify", MODELS / "ad_int8.tflite", "--golden", MODELS / "ad_int8.npz", "--answers", "outtflm")
    assert tilewright(*words).status == 1
    assert tilewright(*words, "--dense-rounding", "double").status == 0
    assert "conv" in tilewright("inspect", model).out
