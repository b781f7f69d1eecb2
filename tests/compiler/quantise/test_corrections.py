"""Equalisation keeps the function and lowers the noise; bias correction takes back mean errors and no more."""

import numpy as np
import pytest
from tilewright.compiler.quantise.bias import correct_biases
from tilewright.compiler.quantise.calibration import Calibration
from tilewright.compiler.quantise.canonical import canonical
from tilewright.compiler.quantise.equalise import equalise
from tilewright.compiler.quantise.parameters import QuantisedWeight
from tilewright.compiler.quantise.placement import place
from tilewright.compiler.quantise.quantise import quantise_graph
from tilewright.compiler.quantise.ranges import choose_ranges, observe
from tilewright.compiler.quantise.report import measure
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config


@pytest.fixture
def uneven(floats):
    """Channels between the layers that differ by a factor of 30, read by a depthwise and a plain convolution."""
    model = floats(5)
    sizes = model.constant(np.geomspace(1, 30, 8).reshape(8, 1, 1))
    y = model.node("Mul", model.conv(model.input(1, 3, 16, 16), 8, 3, 3, 3), sizes)
    y = model.node("MaxPool", model.node("Relu", y), kernel_shape=[2, 2])
    small = model.constant(np.geomspace(1, 1 / 30, 8).reshape(8, 1, 1, 1) * model.random.normal(size=(8, 1, 3, 3)))
    deep = model.node("Conv", y, small, group=8, pads=[1] * 4)
    dense = model.constant(np.geomspace(1, 1 / 30, 8).reshape(1, 8, 1, 1) * model.random.normal(size=(8, 8, 1, 1)))
    return model.graph(model.node("Concat", deep, model.node("Conv", y, dense), axis=1))


def test_equalisation_keeps_the_function(uneven, calibrated):
    real, samples = canonical(uneven), calibrated(uneven, samples=8)
    equal = equalise(real, samples, place(real))
    changed = [node.name for node, old in zip(equal.nodes, real.nodes, strict=True) if node is not old]
    assert len(changed) == 3
    for sample in calibrated(uneven, seed=9):
        expected, found = evaluate(real, sample), evaluate(equal, sample)
        np.testing.assert_allclose(found[real.outputs[0]], expected[real.outputs[0]], rtol=1e-4, atol=1e-4)


def test_equalisation_lowers_the_noise(uneven, calibrated):
    samples, config = calibrated(uneven, samples=32), load_config("tiny")
    plain, equal = (
        measure(quantise_graph(uneven, samples, equalisation=on), calibrated(uneven, seed=9), config).outputs[0].sqnr
        for on in (False, True)
    )
    assert equal > plain + 5


def test_equalisation_needs_enough_elements_and_a_reason(uneven, residual, calibrated):
    real = canonical(residual)
    assert equalise(real, calibrated(residual, samples=30), place(real)).nodes == real.nodes
    real = canonical(uneven)
    assert equalise(real, calibrated(uneven, samples=2), place(real)).nodes == real.nodes


def test_a_mean_error_is_taken_back(floats):
    model = floats(2)
    graph = canonical(model.graph(model.conv(model.input(1, 4, 6, 6), 3, 4, 3, 3, name="conv")))
    samples = Calibration(graph, {"x": np.random.default_rng(3).normal(1, 1, (40, 4, 6, 6)).astype(np.float32)})
    placement = place(graph)
    ranges = choose_ranges(placement, observe(graph, samples, placement.sources), "min-max", 99)
    weight = graph.constant(graph.nodes[0].inputs[1])
    shifted = QuantisedWeight(np.rint(weight * 50).astype(np.int8), np.full(3, 1 / 50, np.float32), 0)
    biases = correct_biases(graph, samples, placement.nodes, {"conv": shifted}, ranges)
    lost = (weight - shifted.real).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(biases["conv"] - graph.constant(graph.nodes[0].inputs[2]), lost, atol=0.02)


def test_an_error_that_may_be_chance_is_left_alone(floats):
    model = floats(4)
    graph = canonical(model.graph(model.node("MatMul", model.input(1, 64), model.normal(64, 16), name="dense")))
    placement = place(graph)

    def correction(samples: int) -> float:
        x = np.random.default_rng(5).normal(size=(samples, 64)).astype(np.float32)
        given = Calibration(graph, {"x": x})
        ranges = choose_ranges(placement, observe(graph, given, placement.sources), "min-max", 99)
        weight = graph.constant(graph.nodes[0].inputs[1])
        coarse = QuantisedWeight(np.rint(weight * 10).astype(np.int8), np.full(16, 0.1, np.float32), 1)
        return float(np.abs(correct_biases(graph, given, placement.nodes, {"dense": coarse}, ranges)["dense"]).mean())

    assert correction(300) < 0.02
    assert correction(1) > 0.05
    assert correction(4) < correction(1)
