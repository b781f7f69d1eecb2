"""Graphs after each pass, and the pass that breaks one, from the command line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler import pipeline
from tilewright.compiler.bisection import first_wrong_stage
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Graph, Value
from tilewright.compiler.passes import Pass, run_passes
from tilewright.compiler.pipeline import host_passes, passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.errors import TilewrightError
from tilewright.models import DIGITS, DIGITS_TEST

TINY = load_config("tiny")


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two digits and what the integer graph makes of them."""
    graph = run_passes(import_model(DIGITS), passes_for(TINY))
    arrays = {}
    with np.load(DIGITS_TEST) as test:
        for number, image in enumerate(test["images"][:2]):
            arrays[f"in_{number}_0"] = image[None]
            arrays[f"out_{number}_0"] = evaluate(graph, {"image": image[None]})["probabilities"]
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def bisect(tilewright: Callable, golden: Path) -> Callable:
    return lambda *words: tilewright("bisect", DIGITS, "-g", golden, "-c", "tiny", *words)


def with_a_wrong_constant(graph: Graph) -> Graph:
    """As a broken pass would leave it: one weight has another sign."""
    name = next(node.inputs[1] for node in graph.nodes if node.operator == "qconv")
    return graph.edit(values=[Value.constant(name, ~graph.values[name].data)])


def without_shapes(graph: Graph) -> Graph:
    """Typed, and yet nothing that NumPy could evaluate: weights lose a dimension."""
    name = next(node.inputs[1] for node in graph.nodes if node.operator == "qconv")
    return graph.edit(values=[Value.constant(name, graph.values[name].data[0])])


class TestDumps:
    @pytest.mark.parametrize("target, passes", [("accelerator", passes_for(TINY)), ("host", host_passes())])
    def test_one_file_a_pass(self, tilewright: Callable, tmp_path: Path, target: str, passes: list[Pass]) -> None:
        words = ("compile", DIGITS, "-c", "tiny", "-o", tmp_path / "out.tw", "--target", target)
        assert tilewright(*words, "--dump", tmp_path / "dump").status == 0
        names = ["00-import", *(f"{number:02d}-{entry.name}" for number, entry in enumerate(passes, 1))]
        assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == [f"{name}.txt" for name in names]
        for place, name in enumerate(names):
            text = (tmp_path / "dump" / f"{name}.txt").read_text()
            assert text.startswith("graph digits\n  input  %image: float32[1x1x8x8]")
            shown = tilewright("inspect", DIGITS, "-c", "tiny", "--target", target, "--passes", place)
            assert shown.status == 0 and shown.out == text

    def test_places_and_counts(self, tilewright: Callable, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("")
        words = ("compile", DIGITS, "-o", tmp_path / "out.tw", "--dump")
        assert f"dump folder {file} must be usable: File exists" in tilewright(*words, file).complaint
        assert "No such file or directory" in tilewright(*words, tmp_path / "no" / "dump").complaint
        count = len(host_passes())
        complaint = tilewright("inspect", DIGITS, "--target", "host", "--passes", count + 1).complaint
        assert complaint == f"tilewright: --passes must be from 0 to {count}, the number of passes, not {count + 1}"
        assert "--target must go with --passes" in tilewright("inspect", DIGITS, "--target", "host").complaint


class TestBisection:
    def test_all_is_well(self, bisect: Callable) -> None:
        ended = bisect()
        assert ended.status == 0
        assert ended.out.endswith(f"no pass of {len(passes_for(TINY))} changes the answers of 2 samples\n")

    @pytest.mark.parametrize("broken", ["narrow_multipliers", "fuse_limits", "fold_padding", "partition"])
    @pytest.mark.parametrize("damage, shown", [(with_a_wrong_constant, ""), (without_shapes, "can't be evaluated")])
    def test_the_broken_pass_is_named(
        self, bisect: Callable, monkeypatch: pytest.MonkeyPatch, broken: str, damage: Callable, shown: str
    ) -> None:
        """A pass breaks the graph after its own work; later ones may refuse what is left of it."""
        passes = passes_for(TINY)
        sound = getattr(pipeline, broken)
        place = next(n for n, p in enumerate(passes) if getattr(p.transform, "func", p.transform) is sound)
        monkeypatch.setattr(pipeline, broken, lambda graph, **more: damage(sound(graph, **more)))
        ended = bisect()
        assert ended.status == 1
        last = ended.out.splitlines()[-1]
        assert f"{place + 1:02d}-{passes[place].name} is the first graph that is wrong" in last and shown in last
        assert len(ended.out.splitlines()) <= 3 + len(passes).bit_length()

    def test_the_import(self, tilewright: Callable, golden: Path, tmp_path: Path) -> None:
        with np.load(golden) as arrays:
            np.savez(tmp_path / "other.npz", **{**arrays, "out_1_0": arrays["out_1_0"][:, ::-1]})
        ended = tilewright("bisect", DIGITS, "-g", tmp_path / "other.npz", "-c", "tiny")
        assert ended.status == 1
        assert ended.out.startswith("00-import: 10 of 10 elements of out_1_0 differ, by at most")
        assert ended.out.endswith("digits.onnx: 00-import is the first graph that is wrong\n")

    @pytest.mark.parametrize("first", range(1, 8))
    def test_every_place(self, first: int) -> None:
        graph = import_model(DIGITS)
        passes = [Pass(f"p{number}", lambda graph: replace(graph), typed=False) for number in range(1, 8)]
        asked = []

        def agrees(stage: str, graph: Graph) -> bool:
            asked.append(stage)
            return int(stage[:2]) < first

        found = first_wrong_stage(graph, passes, agrees)
        assert found is not None and found.stage == f"0{first}-p{first}" and len(asked) <= 5

    def test_a_refusal_of_a_sound_graph(self) -> None:
        def refusing(graph: Graph) -> Graph:
            raise TilewrightError("not today")

        passes = [Pass("same", lambda graph: graph, typed=False), Pass("refusing", refusing)]
        with pytest.raises(TilewrightError, match="not today"):
            first_wrong_stage(import_model(DIGITS), passes, lambda stage, graph: True)
