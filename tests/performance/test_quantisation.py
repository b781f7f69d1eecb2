"""Float networks quantised here and by ONNX Runtime's quantize_static: signal to noise of each layer, in decibels.

`make bench` prints it.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import version_converter
from tilewright.compiler.compile import import_model
from tilewright.compiler.quantise.canonical import canonical
from tilewright.compiler.quantise.model import quantise_model
from tilewright.compiler.quantise.report import QuantisationReport
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config

MODELS = Path(__file__).parents[3] / "shared" / "models"
OPSET = 13  # the first whose weights may have a scale for each channel

pytestmark = [
    pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="prints figures: set TILEWRIGHT_BENCH"),
    pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository"),
]


def samples_of(name: str) -> list[np.ndarray]:
    with np.load(MODELS / f"{name}.npz") as file:
        return [file[key] for key in sorted(file.files) if key.startswith("in_")]


def peer(name: str, folder: Path, samples: list[np.ndarray]) -> onnxruntime.InferenceSession:
    """The network, quantised by ONNX Runtime, with every restored tensor as an output."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Samples(CalibrationDataReader):
        def __init__(self, key: str) -> None:
            self.rest: Iterator[dict[str, np.ndarray]] = iter([{key: sample} for sample in samples])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rest, None)

    model = onnx.load(MODELS / f"{name}.onnx")
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = 8
    onnx.save(version_converter.convert_version(model, OPSET), folder / "float.onnx")
    options = {"per_channel": True, "activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(folder / "float.onnx", folder / "qdq.onnx", Samples(inputs[0].name), **options)
    quantised = onnx.load(folder / "qdq.onnx")
    known = {entry.name for entry in quantised.graph.output}
    for node in quantised.graph.node:
        if node.op_type == "DequantizeLinear" and node.output[0] not in known:
            quantised.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(quantised.SerializeToString(), settings)


def peer_figures(name: str, folder: Path) -> dict[str, float]:
    """Decibels by tensor."""
    samples = samples_of(name)
    session, graph = peer(name, folder, samples), canonical(import_model(MODELS / f"{name}.onnx"))
    signal, noise = dict[str, float](), dict[str, float]()
    for sample in samples:
        real = evaluate(graph, {graph.inputs[0]: sample})
        names = [entry.name for entry in session.get_outputs()]
        for key, found in zip(names, session.run(None, {graph.inputs[0]: sample}), strict=True):
            tensor = key.removesuffix("_DequantizeLinear_Output")
            if tensor in real and (tensor != key or key in graph.outputs):
                expected = real[tensor].astype(np.float64)
                signal[tensor] = signal.get(tensor, 0.0) + float(np.square(expected).sum())
                noise[tensor] = noise.get(tensor, 0.0) + float(np.square(found - expected).sum())
    return {key: 10 * np.log10(signal[key] / noise[key]) for key in signal if noise[key]}


def our_report(name: str, *, equalisation: bool) -> QuantisationReport:
    arrays = {f"in_{place}_0": sample for place, sample in enumerate(samples_of(name))}
    return quantise_model(MODELS / f"{name}.onnx", arrays, load_config("vta-16"), equalisation=equalisation).report


@pytest.mark.parametrize("name", ["mnist_float", "ultraface_slim_float"])
def test_less_noise_than_onnxruntime(name, tmp_path):
    onnxruntime.set_default_logger_severity(4)
    logging.disable(logging.WARNING)
    theirs = peer_figures(name, tmp_path)
    plain, equal = (our_report(name, equalisation=on) for on in (False, True))
    print(f"\n{name}: SQNR in dB\n{'layer':16} {'ONNX Runtime':>12} {'ours':>6} {'equalised':>10}")
    for layer, even in zip(plain.layers, equal.layers, strict=True):
        other = theirs.get(layer.tensor)
        print(f"{layer.name:16} {'-' if other is None else f'{other:.1f}':>12} {layer.sqnr:6.1f} {even.sqnr:10.1f}")
    for output, even in zip(plain.outputs, equal.outputs, strict=True):
        print(f"output {output.name[:9]:9} {theirs[output.name]:12.1f} {output.sqnr:6.1f} {even.sqnr:10.1f}")
        assert even.sqnr > theirs[output.name] + 1
