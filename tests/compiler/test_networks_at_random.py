"""Random networks of a few layers: what stays in ACT, what passes through, and what both engines share, all agree."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.isa.dependence import find_races
from tilewright.isa.memories import memory_shape
from tilewright.isa.program import Run
from tilewright.isa.table import Memory
from tilewright.simulator.native import NativeSimulator

SMALL = load_config("vta-16").replace(
    name="small", act_depth=512, wgt_depth=64, acc_depth=128, bias_depth=16, scale_depth=16
)
CONFIGS = {
    "vta-16": load_config("vta-16"),
    "small": SMALL,
    "smallest": SMALL.replace(name="smallest", act_depth=256),
    "two-banks": load_config("vta-16").replace(name="two-banks", act_depth=1024, act_banks=2),
    "8x16": load_config("8x16"),
    "16x8": load_config("vta-16").replace(name="16x8", block_out=8, vector_lanes=8, acc_depth=512),
    "two-rows": load_config("vta-16").replace(name="two-rows", rows=2),
}
LAYERS = ("conv", "conv", "depthwise", "depthwise", "add", "maxpool", "averagepool", "strided")


def _layer(model, draw, kind, x, shape, seen):
    """(name, shape) of one more layer."""
    n, channels, height, width = shape
    out = (draw(st.sampled_from([0.05, 0.11])), draw(st.sampled_from([-128, 0, 5])))
    kernel = draw(st.integers(1, min(9 if kind == "depthwise" else 3, height, width)))
    pad = draw(st.integers(0, kernel // 2))
    pads = [pad, kernel // 2, kernel // 2, pad]
    grown = [height + pads[0] + pads[2] - kernel + 1, width + pads[1] + pads[3] - kernel + 1]
    if kind == "add":
        partners = [name for name, other in seen if other == shape and name != x]
        return (model.apply("Add", x, partners[-1], out=out), shape) if partners else None
    if kind == "depthwise":
        y = model.conv(x, (channels, 1, kernel, kernel), group=channels, pads=pads, out=out, relu=True)
        return y, (n, channels, *grown)
    if kind in ("maxpool", "averagepool"):
        if min(height, width) < 2:
            return None
        operator = "MaxPool" if kind == "maxpool" else "AveragePool"
        same = model.scales[x] if kind == "maxpool" else out
        return model.apply(operator, x, kernel_shape=[2, 2], out=same), (n, channels, height - 1, width - 1)
    outputs = draw(st.integers(1, 40))
    if kind == "strided":
        y = model.conv(x, (outputs, channels, kernel, kernel), strides=[2, 2], pads=pads, out=out)
        return y, (n, outputs, *(-(-size // 2) for size in grown))
    return model.conv(x, (outputs, channels, kernel, kernel), pads=pads, out=out), (n, outputs, *grown)


def _littered(config):
    """A simulator whose memories hold something already: nobody may count on zeros."""
    simulator, random = NativeSimulator(config), np.random.default_rng(0)
    for memory in Memory:
        for row in range(memory_shape(config, memory).rows):
            shape = simulator.peek(memory, row).shape
            simulator.poke(memory, random.integers(0, 256, shape).astype(np.uint8), row)
    return simulator


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_networks(qdq, data):
    draw = data.draw
    config = CONFIGS[draw(st.sampled_from(sorted(CONFIGS)))]
    model = qdq(seed=draw(st.integers(0, 99)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 40)), draw(st.integers(2, 14)), draw(st.integers(2, 14)))
    seen = [(model.input(shape), shape)]
    for _ in range(draw(st.integers(2, 6))):
        made = _layer(model, draw, draw(st.sampled_from(LAYERS)), *seen[-1], seen)
        seen += [] if made is None else [made]
    outputs = {seen[-1][0], draw(st.sampled_from(seen))[0]}
    graph = import_model(model.finish(*sorted(outputs)))
    lowered = run_passes(graph, passes_for(config))
    inputs = {
        name: np.random.default_rng(1).uniform(-7, 7, graph.values[name].known_shape).astype(np.float32)
        for name in graph.inputs
    }
    expected = evaluate(lowered, inputs)
    program = compile_graph(graph, config)
    assert check_program(program) == []
    for step in program.steps:
        if isinstance(step, Run):
            sizes = [segment.size for segment in program.segments]
            assert find_races(program.decoded(step), config, sizes) == []
    for name, answer in Session(program, _littered(config)).run(inputs).items():
        np.testing.assert_array_equal(answer, expected[name], err_msg=name)
