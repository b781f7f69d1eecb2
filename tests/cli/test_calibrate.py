"""Float models from the command line: quantised by a file of samples, with a table and a report."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.models import DIGITS


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A float convolution, ReLU and fully connected layer."""
    random = np.random.default_rng(1)
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("filters", (4, 3, 3, 3)), ("matrix", (64, 5)))
    ]
    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["sums"], "features"),
        helper.make_node("Relu", ["sums"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["scores"], "classes"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", ("batch", 3, 6, 6)), ("scores", None))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.npz"
    np.savez(path, image=np.random.default_rng(2).normal(size=(12, 3, 6, 6)).astype(np.float32))
    return path


def test_from_a_float_model_to_its_answers(tilewright: Callable, tmp_path: Path, model: Path, samples: Path) -> None:
    program, answers = tmp_path / "net.tw", tmp_path / "answers.npz"
    words = ("compile", model, "--config", "tiny", "--calibrate", samples, "-o", program)
    ended = tilewright(*words, "--report", tmp_path / "report.json", "--quantised", tmp_path / "qdq.onnx")
    assert ended.status == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["net,", "quantised", "for", "tiny", "over", "12", "samples"] in lines
    assert [line[:2] for line in lines if line and line[0] in ("image", "features", "classes")] == [
        ["image", "Input"],
        ["features", "Conv"],
        ["classes", "Gemm"],
    ]
    assert "12 of 12 decisions agree" in ended.out and "100% of" in ended.out.splitlines()[-1]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [layer["tensor"] for layer in report["layers"]] == ["image", "positive", "scores"]
    with np.load(samples) as file:
        np.savez(tmp_path / "one.npz", image=file["image"][:1])
    assert tilewright("run", program, "-i", tmp_path / "one.npz", "-o", answers).status == 0
    scores = np.load(answers)["scores"]
    again = tilewright("compile", tmp_path / "qdq.onnx", "-c", "tiny", "-o", program)
    assert again.status == 0 and "100% of" in again.out
    assert tilewright("run", program, "-i", tmp_path / "one.npz", "-o", answers).status == 0
    np.testing.assert_array_equal(np.load(answers)["scores"], scores)


def test_choices(tilewright: Callable, tmp_path: Path, model: Path, samples: Path) -> None:
    words = ("compile", model, "-c", "tiny", "--calibrate", samples, "-o", tmp_path / "net.tw")
    programs = set()
    for more in (
        ("--estimator", "min-max"),
        ("--estimator", "percentile", "--percentile", "99"),
        ("--estimator", "entropy"),
        ("--no-bias-correction", "--no-equalisation"),
    ):
        ended = tilewright(*words, *more, "--report", tmp_path / "report.csv")
        assert ended.status == 0, ended.err
        programs.add((tmp_path / "net.tw").read_bytes())
        rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
        assert [row["name"] for row in rows] == ["image", "features", "classes"]
    assert len(programs) == 4


def test_a_float_model_without_samples(tilewright: Callable, tmp_path: Path, model: Path) -> None:
    ended = tilewright("compile", model, "-c", "tiny", "-o", tmp_path / "net.tw")
    assert ended.status == 0 and "all for the host; to put a model in floating point on" in ended.out
    layers = json.loads(tilewright("inspect", model, "-c", "tiny", "--json").out)
    assert [layer["macs"] for layer in layers if layer["macs"]] == [16 * 4 * 27, 64 * 5]


@pytest.mark.parametrize(
    "words, complaint",
    [
        (("--estimator", "mse"), "--estimator must go with --calibrate FILE.npz"),
        (("--no-bias-correction",), "--no-bias-correction must go with --calibrate"),
        (("--report", "r.json"), "--report must go with --calibrate"),
        (("--quantised", "r.json"), "--quantised must go with --calibrate"),
        (("--calibrate", "SAMPLES", "--percentile", "99"), "--percentile must go with --estimator percentile"),
        (("--calibrate", "SAMPLES", "--report", "r.txt"), "--report must be a file .json or .csv, not r.txt"),
        (("--calibrate", "SAMPLES", "--target", "host"), "--calibrate must go with --target accelerator"),
        (("--calibrate", "none.npz"), "inputs file none.npz does not exist"),
        (("--calibrate", "MODEL"), "must be an npz archive, and is not"),
    ],
)
def test_options_that_make_no_sense(
    tilewright: Callable, tmp_path: Path, model: Path, samples: Path, words: tuple[str, ...], complaint: str
) -> None:
    places = {"SAMPLES": samples, "MODEL": model, "r.json": tmp_path / "r.json", "r.txt": tmp_path / "r.txt"}
    ended = tilewright("compile", model, "-o", tmp_path / "x.tw", *(places.get(word, word) for word in words))
    assert complaint in ended.complaint
    assert not (tmp_path / "x.tw").exists()


@pytest.mark.parametrize(
    "arrays, complaint",
    [
        ({"x": np.ones(3, np.float32)}, "calibration file bad.npz must have arrays in_0_0, in_1_0 … or 'image' "),
        ({"image": np.ones((2, 3, 5, 5), np.float32)}, "must be float32[samples, 3, 6, 6], not float32[2, 3, 5, 5]"),
        ({"image": np.ones((2, 3, 6, 6))}, "convert it with .astype(numpy.float32)"),
        (
            {"image": np.full((2, 3, 6, 6), np.nan, np.float32)},
            "array image of calibration file bad.npz must be finite",
        ),
    ],
)
def test_samples_that_do_not_fit(
    tilewright: Callable, tmp_path: Path, model: Path, arrays: dict[str, np.ndarray], complaint: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    ended = tilewright("compile", model, "-o", tmp_path / "x.tw", "--calibrate", tmp_path / "bad.npz")
    assert complaint in ended.complaint


def test_a_quantised_model(tilewright: Callable, tmp_path: Path, samples: Path) -> None:
    ended = tilewright("compile", DIGITS, "-o", tmp_path / "x.tw", "--calibrate", samples)
    assert "must be in floating point to be quantised, but node" in ended.complaint
