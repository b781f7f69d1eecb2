"""The script that builds ResNet-18, and what the compiler makes of it."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tilewright.compiler.compile import compile_model, import_model
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.simple import run
from tilewright.isa.checker import check_program
from tilewright.isa.program import Program
from tilewright.models.resnet18.__main__ import main
from tilewright.models.resnet18.network import INPUT, LAYERS
from tilewright.models.resnet18.quantise import build_layer, build_network, random_image

SMALL = 32
IN_NETWORK = {
    "conv1": 118_013_952,
    "layer1.0.conv1": LAYERS["C2"].macs,
    "layer2.0.conv1": LAYERS["C3"].macs,
    "layer2.0.downsample": LAYERS["C4"].macs,
    "layer2.1.conv2": LAYERS["C5"].macs,
    "layer3.0.conv1": LAYERS["C6"].macs,
    "layer3.0.downsample": LAYERS["C7"].macs,
    "layer3.1.conv1": LAYERS["C8"].macs,
    "layer4.0.conv1": LAYERS["C9"].macs,
    "layer4.0.downsample": LAYERS["C10"].macs,
    "layer4.1.conv2": LAYERS["C11"].macs,
    "fc": 512_000,
}


@pytest.fixture(scope="module")
def small() -> onnx.ModelProto:
    return build_network(size=SMALL)


@pytest.fixture(scope="module")
def program(small: onnx.ModelProto) -> Program:
    return compile_model(small, load_config("vta-16"))


def test_macs_of_the_layers() -> None:
    wide = [c.macs for c in LAYERS.values()]
    assert wide == [115_605_504, 57_802_752, 6_422_528] + [115_605_504, 57_802_752, 6_422_528] * 2 + [115_605_504]
    assert sum(c.macs * c.count for c in LAYERS.values()) == 1_695_547_392


@pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes 15 seconds; make bench sets TILEWRIGHT_BENCH")
def test_the_whole_network() -> None:
    program = compile_model(build_network(), load_config("vta-16"))
    macs = {layer.name: layer.macs for layer in program.layers}
    assert {name: macs[name] for name in IN_NETWORK} == IN_NETWORK
    assert sum(macs.values()) == 1_814_073_344
    assert check_program(program) == []


def test_all_of_it_runs_on_the_accelerator(program: Program) -> None:
    assert check_program(program) == []
    macs = {layer.name: layer.macs for layer in program.layers if layer.target == "accelerator"}
    for name, expected in IN_NETWORK.items():
        assert macs[name] == expected // (1 if name == "fc" else (224 // SMALL) ** 2)
    assert len(macs) == 23
    host = {layer.operator for layer in program.layers if layer.target == "host"}
    assert host == {"QuantizeLinear", "im2col", "DequantizeLinear"}


def test_decisions_are_onnxruntimes(small: onnx.ModelProto, program: Program) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(small.SerializeToString(), options)
    (step,) = [onnx.numpy_helper.to_array(c).item() for c in small.graph.initializer if c.name == "fc/scale"]
    for seed in range(1, 5):
        image = {INPUT: random_image((1, 3, SMALL, SMALL), seed)}
        expected, found = session.run(None, image)[0], run(program, image)["fc"]
        np.testing.assert_allclose(found, expected, atol=5.01 * step)
        assert expected[0, found.argmax()] == expected.max()


def test_activations_neither_saturate_nor_vanish(small: onnx.ModelProto) -> None:
    graph = import_model(small)
    values = evaluate(graph, {INPUT: random_image((1, 3, SMALL, SMALL), 7)})
    found = [a for name, a in values.items() if graph.values[name].data is None and a.dtype == np.int8 and a.ndim == 4]
    assert len(found) >= 30
    for array in found:
        assert (array == 127).mean() < 0.02 and array.astype(int).max() - array.astype(int).min() > 100


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.onnx" for name in "abc"]
    for file, seed in zip(files, (3, 3, 4), strict=True):
        main(["--out", str(file), "--layer", "C4", "--seed", str(seed)])
    first, second, third = (file.read_bytes() for file in files)
    assert first == second != third


@pytest.mark.parametrize("layer", ["C4", "C10"])
def test_a_layer_alone(layer: str) -> None:
    program = compile_model(build_layer(layer), load_config("vta-16"))
    assert [each.macs for each in program.layers if each.target == "accelerator"] == [LAYERS[layer].macs]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--size", 100), "must be a multiple of 32, not 100"),
        (("--size", 0), "must be a multiple of 32, not 0"),
        (("--seed", -1), "must be at least 0, not -1"),
        (("--layer", "C1"), "invalid choice: 'C1'"),
        (("--layer", "C4", "-o", "no/such/folder.onnx"), "folder no/such does not exist"),
    ],
)
def test_bad_input(words: tuple[object, ...], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["-o", str(tmp_path / "out.onnx"), *map(str, words)])
    assert end.value.code == 2 and problem in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
