"""Quantised models as ONNX: what ONNX Runtime makes of them is what the accelerator computes."""

import numpy as np
import onnxruntime
import pytest
from tilewright.compiler.compile import import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.quantise.export import to_onnx
from tilewright.compiler.quantise.quantise import quantise_graph
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.errors import TilewrightError


def onnxruntime_answers(model, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, dict(inputs))


def test_onnxruntime_computes_the_same(residual, calibrated):
    samples = calibrated(residual, samples=6)
    graph = quantise_graph(residual, samples).graph
    model, lowered = to_onnx(graph), run_passes(graph, passes_for(load_config("tiny")))
    step = next(value.quantisation.scale for value in graph.values.values() if value.name == "logits/quantised")
    for sample in samples:
        values = evaluate(lowered, sample)
        for name, expected in zip(graph.outputs, onnxruntime_answers(model, sample), strict=True):
            np.testing.assert_allclose(values[name], expected, atol=2 * step if name == "logits" else 0.05)


def test_reading_it_again_gives_the_same_integers(residual, calibrated):
    samples = calibrated(residual)
    graph = quantise_graph(residual, samples).graph
    again = import_model(to_onnx(graph))
    one, other = (evaluate(run_passes(g, passes_for(load_config("tiny"))), samples[0]) for g in (graph, again))
    for name in graph.outputs:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_softmax_over_several_dimensions(floats, calibrated):
    model = floats(opset=11)
    y = model.conv(model.input(1, 3, 4, 4), 4, 3, 1, 1)
    graph = model.graph(model.node("Softmax", y, name="y", axis=1))
    samples = calibrated(graph)
    quantised = quantise_graph(graph, samples).graph
    found = evaluate(run_passes(quantised, passes_for(load_config("tiny"))), samples[0])["y"]
    (expected,) = onnxruntime_answers(to_onnx(quantised), samples[0])
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert expected.sum() == pytest.approx(1, abs=1e-5)


def test_an_operator_that_onnx_lacks(residual):
    lowered = run_passes(residual, [])
    odd = lowered.edit(nodes=[lowered.nodes[0].replace(operator="qconv"), *lowered.nodes[1:]])
    with pytest.raises(TilewrightError, match=r"operator qconv .* must be of ONNX's operator set 21"):
        to_onnx(odd)
