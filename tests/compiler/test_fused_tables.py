"""A function by table after an integer operator: looked up by the same instruction."""

import numpy as np
import pytest
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.passes import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.checker import check_program
from tilewright.simulator.native import NativeSimulator
from tilewright.simulator.oracle import OracleSimulator

VTA = load_config("vta-16")
CORES = ("vta-16", "tiny", "two-rows", "small")
SHAPE = (1, 20, 9, 7)


def layer(model, kind, x):
    """One operator over `x` of SHAPE."""
    match kind:
        case "conv":
            return model.conv(x, (24, 20, 3, 3), pads=[1, 1, 1, 1])
        case "depthwise":
            return model.conv(x, (20, 1, 3, 3), group=20, pads=[1, 1, 1, 1])
        case "gemm":
            return model.gemm(model.apply("Flatten", x, out=model.scales[x]), (30, 20 * 63))
        case "residual":
            return model.apply("Add", x, model.conv(x, (20, 20, 1, 1)))
        case "Add" | "Mul":
            return model.apply(kind, x, model.apply("MaxPool", x, kernel_shape=[1, 1], out=model.scales[x]))
        case "AveragePool" | "MaxPool":
            how = {"out": model.scales[x]} if kind == "MaxPool" else {}
            return model.apply(kind, x, kernel_shape=[2, 2], **how)
        case "padded":
            return model.apply("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        case _:
            return model.apply(kind, x)


KINDS = ("conv", "depthwise", "gemm", "residual", "Add", "Mul", "AveragePool", "padded", "GlobalAveragePool")


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["HardSwish", "Sigmoid"])
def test_the_table_joins(qdq, shaped_cores, kind, core, function):
    model = qdq(seed=len(kind), opset=14)
    y = layer(model, kind, model.input(SHAPE))
    graph = import_model(model.finish(model.apply(function, y, out=(0.02, -3))))
    config = shaped_cores[core]
    lowered = run_passes(graph, passes_for(config))
    assert "qtable" not in [node.operator for node in lowered.nodes]
    shape = graph.values[graph.inputs[0]].known_shape
    inputs = {graph.inputs[0]: np.random.default_rng(1).uniform(-6, 6, shape).astype(np.float32)}
    (name,) = graph.outputs
    expected = evaluate(run_passes(graph, passes_for(config, accelerate=False)), inputs)[name]
    program = compile_graph(graph, config)
    assert check_program(program) == []
    simulator = OracleSimulator if core == "tiny" else NativeSimulator
    np.testing.assert_array_equal(Session(program, simulator(config)).run(inputs)[name], expected)
    on_host = compile_graph(graph, config, accelerate=False)
    np.testing.assert_array_equal(Session(on_host, simulator(config)).run(inputs)[name], expected)
    assert len(np.unique(expected)) > 1


def test_what_others_read_keeps_its_values(qdq):
    model = qdq(seed=7)
    y = model.conv(model.input(SHAPE), (20, 20, 1, 1))
    graph = import_model(model.finish(model.apply("Sigmoid", y), y))
    assert "qtable" in [node.operator for node in run_passes(graph, passes_for(VTA)).nodes]
