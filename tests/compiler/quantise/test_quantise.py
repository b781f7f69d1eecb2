"""Float models to quantised programs: what the accelerator computes, what the report says, and odd models."""

import csv
import io
import json

import numpy as np
import onnxruntime
import pytest
from tilewright.compiler.compile import compile_graph
from tilewright.compiler.graph import format_graph
from tilewright.compiler.quantise.calibration import Calibration
from tilewright.compiler.quantise.model import quantise_model
from tilewright.compiler.quantise.quantise import quantise_graph
from tilewright.compiler.quantise.report import measure
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.errors import TilewrightError
from tilewright.isa.checker import check_program
from tilewright.simulator.oracle import OracleSimulator

TINY = load_config("tiny")


def sqnr(expected, found):
    return 10 * np.log10(np.square(expected).sum() / np.square(found - expected).sum())


def answers(graph, inputs, config=TINY):
    """The quantised program's outputs on the oracle."""
    program = compile_graph(graph, config)
    assert check_program(program) == []
    return program, Session(program, OracleSimulator(config)).run(inputs)


@pytest.mark.parametrize("config", ["tiny", "vta-16"])
@pytest.mark.parametrize("estimator", ["min-max", "mse"])
def test_a_residual_network(residual, calibrated, config, estimator):
    samples = calibrated(residual, samples=24)
    result = quantise_graph(residual, samples, estimator=estimator)
    program, found = answers(result.graph, samples[0], load_config(config))
    assert {layer.operator for layer in program.layers if layer.macs and layer.target == "host"} == set()
    on_core = {layer.operator for layer in program.layers if layer.target == "accelerator"}
    assert on_core >= {"conv", "conv+add", "depthwise", "maxpool", "avgpool", "dense"}
    one = Calibration(residual, {"in_0_0": samples[0]["x"]})
    report = measure(result, one, load_config(config))
    logits = next(output for output in report.outputs if output.name == "logits")
    assert logits.sqnr > 24 and logits.decisions == logits.agreeing == 1
    recorded = {f"out_0_{place}": found[name] for place, name in enumerate(residual.outputs)}
    again = measure(result, Calibration(residual, {"in_0_0": samples[0]["x"], **recorded}), load_config(config))
    assert all(output.reference == "recorded" and output.largest < 1e-5 for output in again.outputs)


def test_floats_between_integers_are_those_of_onnxruntime(floats, calibrated):
    """What stays in floating point reads restored numbers, and what never was quantised reads the model's own."""
    model = floats(1)
    x = model.input(1, 4, 6, 6)
    y = model.node("Sin", model.conv(x, 4, 4, 3, 3, pads=[1] * 4, name="conv"))
    proto = model.finish(model.node("Mul", y, model.node("Cos", x), name="y"))
    graph = model.graph("y")
    samples = calibrated(graph)
    _, found = answers(quantise_graph(graph, samples).graph, samples[0])
    expected = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, dict(samples[0]))[0]
    assert sqnr(expected, found["y"]) > 25


def test_progress_is_told_for_every_sample(residual, calibrated):
    told, samples = [], calibrated(residual, samples=3)
    arrays = {"x": np.stack([sample["x"] for sample in samples])}
    quantise_model(residual, arrays, TINY, progress=lambda *step: told.append(step))
    stages = ("equalisation", "ranges", "bias correction", "report")
    assert told == [(stage, done, 3) for stage in stages for done in (1, 2, 3)]


def test_programs_are_deterministic(residual, calibrated):
    one, other = (
        compile_graph(quantise_graph(residual, calibrated(residual)).graph, TINY).to_bytes() for _ in range(2)
    )
    assert one == other


def test_tensors_that_are_always_0_and_never_positive(floats, calibrated):
    model = floats(2)
    x = model.input(1, 2, 4, 4)
    silent = model.node("Relu", model.node("Conv", x, model.constant(np.zeros((3, 2, 1, 1))), model.constant([-1] * 3)))
    low = model.node("Conv", x, model.normal(3, 2, 1, 1, scale=0.1), model.constant([-9] * 3), name="low")
    graph = model.graph(model.node("Add", silent, low, name="y"), low, silent)
    samples = calibrated(graph)
    result = quantise_graph(graph, samples)
    _, found = answers(result.graph, samples[0])
    np.testing.assert_array_equal(found[silent], 0)
    assert found["low"].max() < 0 and result.ranges["low"].quantisation.zero_point == 127
    np.testing.assert_allclose(found["y"], found["low"], atol=0.05)


def test_inputs_that_are_always_0(residual):
    samples = Calibration(residual, {"x": np.zeros((3, 3, 12, 12), np.float32)})
    result = quantise_graph(residual, samples)
    program, found = answers(result.graph, samples[0])
    assert program.instructions.size and np.isfinite(found["logits"]).all()
    assert measure(result, samples, TINY).layers[0].sqnr == 200


def test_constants_that_are_added_and_multiplied(floats, calibrated):
    model = floats(3)
    y = model.conv(model.input(1, 4, 5, 5), 4, 4, 3, 3, name="first")
    y = model.node("Add", y, model.normal(1, 4, 3, 3), name="whole")
    y = model.node("Mul", model.node("Relu", y), model.normal(1, 1, 1, 3), name="columns")
    graph = model.graph(model.conv(y, 4, 4, 1, 1, name="y"))
    samples = calibrated(graph, samples=8)
    result = quantise_graph(graph, samples)
    program, _ = answers(result.graph, samples[0])
    operators = {layer.name: layer.target for layer in program.layers}
    assert operators["whole"] == "accelerator"
    assert measure(result, samples, TINY).outputs[0].sqnr > 25


def test_names_that_the_quantiser_would_use(floats, calibrated):
    model = floats(4)
    y = model.conv(model.input(1, 3, 4, 4), 4, 3, 1, 1, name="y")
    for taken in ("y/quantised", "y/real", "y/scale", "y/zero_point", "x/restored", "y/weight", "y/corrected_bias"):
        y = model.node("Relu", y, name=taken)
    graph = model.graph(model.conv(y, 4, 4, 1, 1, name="z"), "y")
    samples = calibrated(graph)
    result = quantise_graph(graph, samples)
    answers(result.graph, samples[0])
    assert "QuantizeLinear" in format_graph(result.graph)
    assert measure(result, samples, TINY).outputs[0].sqnr > 25


def test_a_transformer_block(floats, calibrated):
    """Its products with weights are the accelerator's, attention and normalisation the host's."""
    model = floats(8, opset=18)
    x = model.input(1, 6, 16)
    parts = [model.node("MatMul", x, model.normal(16, 16, scale=0.25), name=name) for name in ("query", "key", "value")]
    turned = model.node("Transpose", parts[1], perm=[0, 2, 1])
    weights = model.node("Softmax", model.node("MatMul", parts[0], turned), axis=-1)
    y = model.node("Add", x, model.node("MatMul", weights, parts[2]))
    y = model.node("LayerNormalization", y, model.normal(16), model.normal(16), axis=-1)
    up = model.node("Add", model.node("MatMul", y, model.normal(16, 32, scale=0.25), name="up"), model.normal(32))
    down = model.node("MatMul", model.node("Relu", up), model.normal(32, 16, scale=0.2), name="down")
    graph = model.graph(model.node("Add", down, y, name="y"))
    samples = calibrated(graph, samples=20)
    result = quantise_graph(graph, samples)
    program, _ = answers(result.graph, samples[0])
    targets = {layer.name: layer.target for layer in program.layers}
    assert all(targets[name] == "accelerator" for name in ("query", "key", "value", "up", "down"))
    assert measure(result, samples, TINY).outputs[0].sqnr > 25


def test_one_input_of_several_kinds(floats):
    model = floats(5)
    a, b = model.input(1, 3, 4, 4, name="a"), model.input(1, 4, name="b")
    y = model.node("Flatten", model.conv(a, 4, 3, 4, 4))
    z = model.node("Gemm", b, model.normal(4, 4), name="g")
    graph = model.graph(model.node("Add", y, z, name="y"), model.node("Mul", b, b, name="square"))
    random = np.random.default_rng(1)
    arrays = {"a": random.normal(size=(5, 3, 4, 4)), "b": random.normal(size=(5, 4))}
    samples = Calibration(graph, {name: array.astype(np.float32) for name, array in arrays.items()})
    result = quantise_graph(graph, samples)
    _, found = answers(result.graph, samples[2])
    np.testing.assert_allclose(found["square"], samples[2]["b"] ** 2, rtol=1e-6)
    assert measure(result, samples, TINY).outputs[0].sqnr > 25


def test_a_model_that_does_not_stay_finite(floats):
    model = floats()
    logarithm = model.node("Log", model.input(1, 3), name="log")
    graph = model.graph(model.node("MatMul", logarithm, model.normal(3, 2)))
    x = np.array([[1, 2, 3], [1, -1, 1]], np.float32)
    with pytest.raises(TilewrightError, match=r"tensor 'log' of model net must stay finite, .* sample 1"):
        quantise_graph(graph, Calibration(graph, {"x": x}))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"estimator": "best"}, r"estimator must be one of min-max, percentile, mse, entropy, not 'best'"),
        ({"percentile": 101}, r"percentile must be above 50 and at most 100, not 101"),
    ],
)
def test_wrong_options(residual, calibrated, options, message):
    with pytest.raises(TilewrightError, match=message):
        quantise_graph(residual, calibrated(residual), **options)


def test_the_report_as_data(floats):
    model = floats(6)
    y = model.node("Relu", model.conv(model.input(1, 3, 6, 6), 4, 3, 3, 3, name="conv"), name="y")
    x = np.random.default_rng(2).normal(size=(4, 3, 6, 6)).astype(np.float32)
    result = quantise_model(model.finish(model.node("Flatten", y, name="flat")), {"x": x}, TINY)
    data = json.loads(json.dumps(result.report.as_dict()))
    assert (data["config"], data["samples"]) == ("tiny", 4)
    assert [(layer["name"], layer["tensor"], layer["operator"]) for layer in data["layers"]] == [
        ("x", "x", "Input"),
        ("conv", "y", "Conv"),
    ]
    layer = data["layers"][1]
    assert layer["low"] == 0 < layer["high"] <= layer["observed_high"] and layer["zero_point"] == -128
    assert 25 < layer["sqnr"] <= layer["own_sqnr"] < 200 and 0.99 < layer["cosine"] <= 1
    rows = list(csv.DictReader(io.StringIO(result.report.as_csv())))
    assert [float(row["sqnr"]) for row in rows] == [layer["sqnr"] for layer in data["layers"]]
    (output,) = data["outputs"]
    assert (output["name"], output["reference"], output["decisions"]) == ("flat", "float model", 4)


def test_recorded_answers_of_another_model(floats):
    model = floats(7)
    proto = model.finish(model.conv(model.input(1, 3, 6, 6), 4, 3, 3, 3, name="y"))
    arrays = {"in_0_0": np.ones((1, 3, 6, 6), np.float32), "out_0_0": np.ones((1, 4), np.float32)}
    with pytest.raises(TilewrightError, match=r"answer 0 of calibration sample 0 must be float32\[1, 4, 4, 4\] as"):
        quantise_model(proto, arrays, TINY)
