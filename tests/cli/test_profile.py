"""``tilewright profile``: what it prints adds up, and what it writes opens elsewhere."""

import builtins
import csv
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.progress import Progress
from tilewright.cli import main
from tilewright.isa.assembly import assemble_line, disassemble_line
from tilewright.isa.program import Program
from tilewright.models import DIGITS

FACTS = ("cycles", "macs", "utilisation", "bytes_read", "bytes_written", "layers")
BOUNDS = {"gemm", "vector", "load", "store", "bank", "token"}
ENGINES = ("load", "gemm", "vector", "store")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(params=["timing", "cycle"])
def found(request: pytest.FixtureRequest, tilewright: Callable, digits: Path) -> dict[str, Any]:
    ended = tilewright("profile", digits, "--device", request.param, "--json")
    assert ended.status == 0 and ended.err == ""
    result: dict[str, Any] = json.loads(ended.out)
    assert result["device"] == request.param and result["config"] == "tiny"
    return result


def test_it_adds_up(found: dict[str, Any], digits: Path) -> None:
    assert all(fact in found for fact in FACTS)
    layers, program = found["layers"], Program.load(digits)
    on_core = [layer for layer in layers if layer["target"] == "accelerator"]
    assert [layer["name"] for layer in layers] == [layer.name for layer in program.layers]
    for name in ("cycles", "macs", "bytes_read", "bytes_written"):
        assert sum(layer[name] or 0 for layer in layers) == found[name]
    assert found["macs"] == 395_520
    (counters,) = found["counters"]
    assert counters["cycles"] == found["cycles"]
    assert counters["bytes_written"] == found["bytes_written"]
    assert counters["bytes_read"] >= found["bytes_read"] + program.instructions.size
    assert found["utilisation"] == pytest.approx(395_520 / (16 * found["cycles"]))
    for layer in on_core:
        assert layer["bound"] in BOUNDS and layer["cycles"] > 0
        assert layer["ideal_cycles"] >= max(layer["macs"] / 16, layer["bytes_read"] / 8, layer["bytes_written"] / 8)
        assert layer["macs"] / 16 <= layer["busy"]["gemm"] <= layer["cycles"]
        assert all(0 <= layer["busy"][engine] <= layer["cycles"] for engine in ENGINES)
    assert {layer["cycles"] for layer in layers if layer["target"] == "host"} == {None}


def test_weights_count_for_the_layer_that_reads_them(found: dict[str, Any]) -> None:
    """Wherever they were fetched; beside them there are parameters (12 bytes a channel), and activations or none."""
    read = {layer["name"]: layer["bytes_read"] for layer in found["layers"]}
    for name, weights, channels, activations in (
        ("left2", 16 * 16 * 9, 16, 16 * 10 * 10),
        ("wide.sum", 32 * 16 * 9, 32, 0),
        ("last", 128 * 12, 12, 0),
    ):
        assert weights + 12 * channels <= read[name] <= weights + 12 * channels + activations


def test_the_table_and_csv(tilewright: Callable, digits: Path, written: Path) -> None:
    table = written / "digits.csv"
    ended = tilewright("profile", digits, "-d", "timing", "--csv", table)
    assert "tiny on device timing" in ended.out and " ideal " in ended.out and " bound " in ended.out
    report = json.loads(tilewright("profile", digits, "-d", "timing", "--json").out)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [*(layer["name"] for layer in report["layers"]), "total"]
    assert int(rows[-1]["cycles"]) == report["cycles"] and f"{report['cycles']:,}" in ended.out
    for row, layer in zip(rows[:-1], report["layers"], strict=True):
        assert row["cycles"] == ("" if layer["cycles"] is None else str(layer["cycles"]))
        assert row["gemm_busy"] == str(layer["busy"].get("gemm", ""))


def test_a_model_is_compiled(tilewright: Callable, digits: Path) -> None:
    compiled = json.loads(tilewright("profile", DIGITS, "-c", "tiny", "-d", "timing", "--json").out)
    loaded = json.loads(tilewright("profile", digits, "-c", "tiny", "-d", "timing", "--json").out)
    assert {**compiled, "model": ""} == {**loaded, "model": ""}
    assert json.loads(tilewright("profile", DIGITS, "-d", "timing", "--json").out)["config"] == "vta-16"


def test_latency_and_inputs(tilewright: Callable, digits: Path, image: Path) -> None:
    cycles = [
        json.loads(tilewright("profile", digits, "-d", device, "--latency", 90, "--json", *more).out)["cycles"]
        for device, more in (("timing", ()), ("cycle", ("-i", image)))
    ]
    assert cycles[0] == pytest.approx(cycles[1], rel=0.01)
    assert cycles[0] > json.loads(tilewright("profile", digits, "-d", "timing", "--json").out)["cycles"]


@pytest.fixture(scope="module")
def events(digits: Path, written: Path) -> list[dict[str, Any]]:
    """Of the timeline of the network."""
    out = written / "trace.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tilewright", "profile", str(digits), "-d", "timing", "--trace", str(out)])
        main()
    content = json.loads(out.read_text())
    assert content["displayTimeUnit"] == "ns"
    return list(content["traceEvents"])


class TestTimeline:
    def test_a_track_for_each_engine(self, events: list[dict[str, Any]]) -> None:
        names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
        assert names == dict(enumerate(["layers", *ENGINES]))
        assert {e["pid"] for e in events} == {1}

    def test_nothing_overlaps_on_a_track(self, events: list[dict[str, Any]]) -> None:
        for track in range(5):
            slices = sorted((e["ts"], e["dur"]) for e in events if e["ph"] == "X" and e["tid"] == track)
            assert slices
            for (first, length), (second, _) in pairwise(slices):
                assert length >= 0 and first + length <= second + 1e-9

    def test_every_instruction_is_there(self, events: list[dict[str, Any]], digits: Path) -> None:
        program = Program.load(digits)
        text = {e["args"]["index"]: e for e in events if e["ph"] == "X" and e["cat"] != "layer"}
        for index, instruction in enumerate(program.decoded()[:-1]):
            shown = text[index]
            assert assemble_line(shown["args"]["instruction"]) == instruction
            assert shown["args"]["instruction"] == disassemble_line(instruction)
            assert instruction.engine is not None and shown["tid"] == 1 + instruction.engine
            assert shown["name"] == shown["args"]["layer"]

    def test_layers_fill_the_run(self, events: list[dict[str, Any]], tilewright: Callable, digits: Path) -> None:
        report = json.loads(tilewright("profile", digits, "-d", "timing", "--json").out)
        slices = [e for e in events if e["ph"] == "X" and e["cat"] == "layer"]
        for layer in report["layers"]:
            mine = sum(e["dur"] for e in slices if e["name"] == layer["name"])
            assert round(1000 * mine) == (layer["cycles"] or 0)


class TestRoofline:
    def test_pictures(self, tilewright: Callable, digits: Path, written: Path) -> None:
        pytest.importorskip("matplotlib")
        words = ("profile", digits, "-d", "timing", "--roofline")
        for name in ("roof.png", "roof.svg"):
            assert tilewright(*words, written / name).status == 0
        assert (written / "roof.png").read_bytes().startswith(b"\x89PNG\r\n")
        texts = (written / "roof.svg").read_text()
        assert ElementTree.fromstring(texts).tag.endswith("svg")
        assert "<path" in texts and "16 MACs a cycle" in texts

    def test_other_formats(self, tilewright: Callable, digits: Path, written: Path) -> None:
        complaint = tilewright("profile", digits, "-d", "timing", "--roofline", written / "roof.gif").complaint
        assert "must be a file name that ends in .png or .svg" in complaint

    def test_without_matplotlib(
        self, tilewright: Callable, digits: Path, written: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = builtins.__import__

        def without(name: str, *more: Any) -> ModuleType:
            if name.startswith("matplotlib"):
                raise ImportError(name)
            return real(name, *more)

        monkeypatch.setattr(builtins, "__import__", without)
        complaint = tilewright("profile", digits, "-d", "timing", "--roofline", written / "roof.png").complaint
        assert "pip install 'tilewright[plot]'" in complaint


class TestBadInput:
    def test_models(self, tilewright: Callable, written: Path) -> None:
        assert "no.onnx does not exist" in tilewright("profile", written / "no.onnx").complaint
        assert "no.tw does not exist" in tilewright("profile", written / "no.tw").complaint

    def test_another_configuration(self, tilewright: Callable, digits: Path) -> None:
        assert "block_in: 16, not 4" in tilewright("profile", digits, "-c", "vta-16").complaint

    @pytest.mark.parametrize("device", ["oracle", "native"])
    def test_devices_without_time(self, tilewright: Callable, digits: Path, device: str) -> None:
        complaint = tilewright("profile", digits, "-d", device).complaint
        assert f"device {device} has no time to measure: take cycle or timing" in complaint

    def test_inputs(self, tilewright: Callable, digits: Path, written: Path) -> None:
        np.savez(written / "odd.npz", picture=np.zeros(1))
        assert "input picture is not one of" in tilewright("profile", digits, "-i", written / "odd.npz").complaint

    def test_places(self, tilewright: Callable, digits: Path, written: Path) -> None:
        for option in ("--csv", "--trace", "--roofline"):
            complaint = tilewright("profile", digits, option, written / "no" / "file.png").complaint
            assert "does not exist" in complaint


def test_progress_on_a_terminal(tilewright: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(Progress, "update", lambda self, task, **what: shown.append(what))
    report = json.loads(tilewright("profile", digits, "--json").out)
    assert shown and report["cycles"] <= shown[-1]["completed"] <= report["cycles"] + 200
