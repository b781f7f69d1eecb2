"""TFLite's int8 networks, bit for bit: every tensor is what the reference kernels compute."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.compile_host import compile_for_host
from tilewright.compiler.graph import Graph
from tilewright.compiler.reference import evaluate
from tilewright.compiler.taps import softmax_input, with_outputs
from tilewright.config import PRESETS, load_config
from tilewright.driver.golden import compare_samples, golden_samples
from tilewright.driver.session import Session
from tilewright.driver.simple import run
from tilewright.isa.checker import check_program
from tilewright.isa.program import Program
from tilewright.isa.races import program_races
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.native import NativeSimulator

MODELS = Path(__file__).parents[3] / "shared" / "models"
NAMES = (
    *("ad", "cifar10", "hello_world", "kws", "magic_wand", "micro_speech", "mnist", "person_detect", "resnet8"),
    *("rock_paper_scissors", "simple_add", "vww"),
)
WITH_LAYERS = ("ad", "cifar10", "kws", "person_detect", "resnet8", "vww")
ON_HOST = {"Transpose", "Reshape", "Identity", "im2col", "softmax", "round_to_int8", "DequantizeLinear"}

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")


@cache
def graph_of(name: str) -> Graph:
    return import_model(MODELS / f"{name}_int8.tflite")


@cache
def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(MODELS / f"{name}_int8.npz") as file:
        return {key: file[key] for key in file.files}


def program_of(name: str, config: str = "vta-16", **options: object) -> Program:
    graph = graph_of(name)
    tap = softmax_input(graph)
    return compile_graph(graph if tap is None else with_outputs(graph, tap), load_config(config), **options)


def compared(name: str, program: Program, device: object, samples: int | None = None) -> int:
    """Compare with all that is recorded; how many tensors that was."""
    graph = graph_of(name)
    chosen = golden_samples(golden(name))[:samples]
    results = list(
        compare_samples(
            Session(program, device),
            chosen,
            outputs=len(graph.outputs),
            tap=softmax_input(graph),
            answers="out",
            tolerance=0,
        )
    )
    assert [(result.key, result.differing) for result in results if result.differing] == []
    return len(results)


def recorded_layers(name: str) -> dict[str, np.ndarray]:
    """Every tensor of sample 0 that the graph computes, by its name there, channels first."""
    graph = graph_of(name)
    users = {*graph.inputs, *graph.outputs}
    with np.load(MODELS / "layers" / f"{name}_int8.npz") as file:
        names = json.loads(str(file["names"]))
        layers = {names[key[1:]]: file[key] for key in file.files if key != "names"}
    return {
        key: array.transpose(0, 3, 1, 2) if array.ndim == 4 and key not in users else array
        for key, array in layers.items()
        if key in graph.producers
    }


@pytest.mark.parametrize("name", WITH_LAYERS)
def test_every_tensor_of_the_reference(name):
    graph, layers = graph_of(name), recorded_layers(name)
    values = evaluate(graph, {graph.inputs[0]: golden(name)["in_0_0"]})
    assert len(layers) >= sum(node.operator not in ("Transpose", "Reshape") for node in graph.nodes)
    for key, expected in layers.items():
        np.testing.assert_array_equal(values[key], expected, err_msg=key)


@pytest.mark.parametrize("name", WITH_LAYERS)
def test_every_tensor_on_the_native_simulator(name):
    graph, layers = graph_of(name), recorded_layers(name)
    program = compile_graph(with_outputs(graph, *layers), load_config("vta-16"))
    results = run(program, {graph.inputs[0]: golden(name)["in_0_0"]})
    for key, expected in layers.items():
        np.testing.assert_array_equal(results[key], expected, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_answers_of_the_reference(name):
    graph = graph_of(name)
    tap = softmax_input(graph)
    assert (tap is not None) == ("tap_0_0" in golden(name))
    for sample in golden_samples(golden(name)):
        values = evaluate(graph, {key: sample.inputs[place] for place, key in enumerate(graph.inputs)})
        for place, expected in sample.outputs.items():
            np.testing.assert_array_equal(values[graph.outputs[place]], expected)
        if tap is not None:
            np.testing.assert_array_equal(values[tap], sample.tap)


@pytest.mark.parametrize("config", ["vta-16", "tiny", "wide-32", "8x16"])
@pytest.mark.parametrize("name", NAMES)
def test_answers_on_the_native_simulator(name, config):
    program = program_of(name, config)
    assert check_program(program) == []
    accelerated = {layer.operator for layer in program.layers if layer.target == "accelerator"}
    assert {layer.operator for layer in program.layers if layer.target == "host"} <= ON_HOST
    assert accelerated
    assert compared(name, program, NativeSimulator(program.config)) >= 3


@pytest.mark.parametrize("config", [name for name in PRESETS if name.startswith("ecp5-")])
@pytest.mark.parametrize("name", ["kws", "resnet8"])
def test_answers_on_cores_for_boards(name: str, config: str) -> None:
    program = program_of(name, config)
    assert check_program(program) == []
    assert compared(name, program, NativeSimulator(program.config), samples=1) >= 1


@pytest.mark.parametrize("name", ["kws", "person_detect"])
def test_nothing_races(name):
    assert program_races(program_of(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_answers_on_the_host(name):
    program = program_of(name, accelerate=False)
    assert len(program.instructions) == 0
    assert compared(name, program, NativeSimulator(program.config)) >= 3


@pytest.mark.parametrize("name", ["ad", "kws", "resnet8", "vww"])
def test_an_answer_on_the_rtl(name):
    """One sample, and all of them in a soak."""
    samples = None if os.environ.get("TILEWRIGHT_PROGRAMS") else 1
    program = program_of(name)
    device = CycleSimulator(program.config)
    try:
        assert compared(name, program, device, samples=samples) >= 1
    finally:
        device.close()


@pytest.mark.parametrize("name", ["ad_float", "resnet8_float"])
def test_the_float_parents_on_the_host(name):
    graph = import_model(MODELS / f"{name}.tflite")
    with np.load(MODELS / f"{name}.npz") as file:
        samples = golden_samples(dict(file))
    program = compile_for_host(MODELS / f"{name}.tflite")
    for sample in samples:
        results = run(program, {graph.inputs[0]: sample.inputs[0]})
        np.testing.assert_allclose(results[graph.outputs[0]], sample.outputs[0], rtol=1e-4, atol=1e-5)


def test_dense_layers_of_tflite_micro():
    graph = import_model(MODELS / "ad_int8.tflite", dense_rounding="double")
    for sample in golden_samples(golden("ad"), answers="outtflm"):
        values = evaluate(graph, {graph.inputs[0]: sample.inputs[0]})
        np.testing.assert_array_equal(values[graph.outputs[0]], sample.outputs[0])


def test_a_hundred_spoken_commands():
    with np.load(MODELS / "kws01_first100.npz") as file:
        commands, answers = file["x"], file["out_ref"]
    program = program_of("kws")
    session = Session(program, NativeSimulator(program.config))
    for command, answer in zip(commands, answers, strict=True):
        results = session.run({program.inputs[0].name: command.reshape(program.inputs[0].shape)})
        np.testing.assert_array_equal(results[program.outputs[0].name].reshape(-1), answer.reshape(-1))
