"""Random float models: what is quantised of them compiles, and runs as the report says."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_graph
from tilewright.compiler.quantise.calibration import Calibration
from tilewright.compiler.quantise.quantise import quantise_graph
from tilewright.compiler.quantise.report import measure
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.simulator.native import NativeSimulator

TINY = load_config("tiny")
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


class Growing:
    """A model to which one layer after another is added; images are (1, channels, size, size)."""

    def __init__(self, model, choose):
        self.model, self.choose = model, choose
        self.images = [(model.input(1, 3, 8, 8), 3, 8)]

    def pick(self):
        return self.choose(st.sampled_from(self.images))

    def add(self):
        name, channels, size = self.pick()
        kind = self.choose(st.sampled_from([key for key in dir(self) if key.startswith("layer_")]))
        made = getattr(self, kind)(name, channels, size)
        if made is not None:
            self.images.append(made)

    def layer_conv(self, x, channels, size):
        kernel, stride = self.choose(st.sampled_from([(1, 1), (3, 1), (3, 2), (2, 2)]))
        outputs = self.choose(st.sampled_from([1, 4, 5, 8]))
        pads = [self.choose(st.integers(0, kernel - 1)) for _ in range(2)]
        if size + sum(pads) < kernel:
            return None
        y = self.model.conv(
            x, outputs, channels, kernel, kernel, bias=self.choose(st.booleans()), strides=[stride] * 2,
            pads=[pads[0], pads[0], pads[1], pads[1]],
        )  # fmt: skip
        return y, outputs, (size + sum(pads) - kernel) // stride + 1

    def layer_depthwise(self, x, channels, size):
        return self.model.conv(x, channels, 1, 3, 3, group=channels, pads=[1] * 4), channels, size

    def layer_normalisation(self, x, channels, size):
        return self.model.batch_norm(x, channels), channels, size

    def layer_function(self, x, channels, size):
        kind = self.choose(st.sampled_from(["Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Sin", "Identity"]))
        return self.model.node(kind, x), channels, size

    def layer_clip(self, x, channels, size):
        return self.model.node("Clip", x, self.model.constant(-0.5), self.model.constant(2.0)), channels, size

    def layer_two(self, x, channels, size):
        kind = self.choose(st.sampled_from(["Add", "Mul", "Sub", "Sum"]))
        others = [name for name, *shape in self.images if shape == [channels, size]]
        return self.model.node(kind, x, self.choose(st.sampled_from(others))), channels, size

    def layer_constant(self, x, channels, size):
        kind = self.choose(st.sampled_from(["Add", "Mul", "Sub"]))
        shape = self.choose(st.sampled_from([(), (channels, 1, 1), (1, channels, size, size), (size,)]))
        return self.model.node(kind, x, self.model.normal(*shape)), channels, size

    def layer_concat(self, x, channels, size):
        others = [(name, count) for name, count, extent in self.images if extent == size]
        other, count = self.choose(st.sampled_from(others))
        return self.model.node("Concat", x, other, axis=1), channels + count, size

    def layer_pool(self, x, channels, size):
        kind = self.choose(st.sampled_from(["MaxPool", "AveragePool"]))
        if size < 2:
            return None
        return self.model.node(kind, x, kernel_shape=[2, 2], strides=[2, 2]), channels, size // 2

    def layer_pad(self, x, channels, size):
        pads = self.model.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64)
        return self.model.node("Pad", x, pads), channels, size + 1

    def layer_transpose(self, x, channels, size):
        return self.model.node("Transpose", x, perm=[0, 1, 3, 2]), channels, size


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_random_models(floats, data):
    growing = Growing(floats(data.draw(st.integers(0, 99))), data.draw)
    growing.images.append(growing.layer_conv(*growing.images[0]) or growing.layer_depthwise(*growing.images[0]))
    for _ in range(data.draw(st.integers(1, 8))):
        growing.add()
    outputs = {growing.images[1][0], growing.images[-1][0], growing.pick()[0]} - {"x"}
    x = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    graph = growing.model.graph(*sorted(outputs))
    samples = Calibration(graph, {"x": x})
    result = quantise_graph(graph, samples, estimator="min-max")
    program = compile_graph(result.graph, TINY)
    assert check_program(program) == []
    found = Session(program, NativeSimulator(TINY)).run({"x": x[:1]})
    recorded = {f"out_0_{place}": found[name] for place, name in enumerate(graph.outputs)}
    report = measure(result, Calibration(graph, {"in_0_0": x[:1], **recorded}), TINY)
    for output in report.outputs:
        assert output.largest <= 1e-4 * max(1.0, float(np.abs(found[output.name]).max()))
    assert all(layer.cosine > 0.5 for layer in measure(result, samples, TINY).layers if layer.own_sqnr > 30)
