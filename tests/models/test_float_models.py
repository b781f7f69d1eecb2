"""Float networks, quantised by their own samples: the accelerator decides as the float network does."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_graph
from tilewright.compiler.quantise.model import QuantisedModel, quantise_model
from tilewright.config import load_config
from tilewright.driver.golden import GoldenSample, golden_samples
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.simulator.native import NativeSimulator

MODELS = Path(__file__).parents[3] / "shared" / "models"
NAMES = (
    "resnet8_float.tflite",
    "ad_float.tflite",
    "mnist_float.onnx",
    "mnist_opt_float.onnx",
    "ultraface_slim_float.onnx",
)
PRODUCTS = {"conv", "conv+add", "depthwise", "dense"}

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")


@cache
def recorded(name: str) -> dict[str, np.ndarray]:
    with np.load((MODELS / name).with_suffix(".npz")) as file:
        return {key: file[key] for key in file.files}


@cache
def quantised(name: str) -> QuantisedModel:
    return quantise_model(MODELS / name, recorded(name), load_config("vta-16"))


def require_same_decision(name: str, sample: GoldenSample, expected: np.ndarray, found: np.ndarray) -> None:
    """The class, of each box where there are several; the autoencoder's is a threshold on its mean squared error."""
    if name.startswith("ad_"):
        scores = (np.square(sample.inputs[0] - output).mean() for output in (expected, found))
        assert next(scores) == pytest.approx(next(scores), rel=0.02)
    else:
        np.testing.assert_array_equal(found.argmax(axis=-1), expected.argmax(axis=-1))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("name", NAMES)
def test_the_accelerator_decides_as_the_float_network(name):
    result = quantised(name)
    program = compile_graph(result.graph, load_config("vta-16"))
    assert check_program(program) == []
    targets = {layer.operator: layer.target for layer in program.layers if layer.macs}
    assert set(targets) <= PRODUCTS and set(targets.values()) == {"accelerator"}
    session = Session(program, NativeSimulator(program.config))
    samples = golden_samples(recorded(name))
    largest = dict.fromkeys(range(len(program.outputs)), 0.0)
    for sample in samples:
        found = session.run({program.inputs[0].name: sample.inputs[0]})
        outputs = [found[tensor.name] for tensor in program.outputs]
        expected = [sample.outputs[place] for place in range(len(outputs))]
        require_same_decision(name, sample, expected[0], outputs[0])
        for place, (a, b) in enumerate(zip(expected, outputs, strict=True)):
            assert cosine(a, b) >= 0.99
            largest[place] = max(largest[place], float(np.abs(a.astype(np.float64) - b).max()))
    decided = [(output.decisions > 0, output.agreeing == output.decisions) for output in result.report.outputs]
    assert decided == ([(True, True), (False, True)] if len(decided) > 1 else [(True, True)])
    for place, output in enumerate(result.report.outputs):
        assert output.reference == "recorded" and output.worst_cosine >= 0.99
        assert output.largest == pytest.approx(largest[place], rel=1e-3)


@pytest.mark.parametrize("estimator", ["min-max", "percentile", "entropy"])
@pytest.mark.parametrize("name", ["resnet8_float.tflite", "mnist_float.onnx"])
def test_every_estimator_does(name, estimator):
    report = quantise_model(MODELS / name, recorded(name), load_config("vta-16"), estimator=estimator).report
    assert all(output.worst_cosine >= 0.99 and output.agreeing == output.decisions for output in report.outputs)


def test_what_no_sample_showed():
    """Calibrated by one synthetic picture, the face detector answers the other one as well."""
    name = "ultraface_slim_float.onnx"
    one = {key: array for key, array in recorded(name).items() if key == "in_0_0"}
    graph = quantise_model(MODELS / name, one, load_config("vta-16")).graph
    program = compile_graph(graph, load_config("vta-16"))
    other = golden_samples(recorded(name))[1]
    found = Session(program, NativeSimulator(program.config)).run({program.inputs[0].name: other.inputs[0]})
    for place, expected in other.outputs.items():
        assert cosine(expected, found[program.outputs[place].name]) >= 0.99
