"""Sums made tile by tile beside the convolution before them: which are, and that they stay the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Graph, Node, Value
from tilewright.compiler.passes import run_passes
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.requantise import Requantiser
from tilewright.config import load_config
from tilewright.simulator.native import NativeSimulator

VTA = load_config("vta-16")
CORES = ("16x8", "8x16", "small", "smallest", "tiny", "two-rows", "vta-16")
SCALARS = st.integers(-128, 127)


def rescale(factor, *, double, **how):
    make = Requantiser.from_tflite if double else lambda value, **more: Requantiser.from_factor(value, bits=32, **more)
    return make(factor, **how)


def residual(random, image, outputs, kernel, *, stride=1, zeros=(1, 2, 3, 4), double=False, swapped=False, loops=False):
    """x0 → qconv → r; r and x1, or x0 again where it `loops`, → qadd → y."""
    pads = (kernel // 2, kernel // 2, (kernel - 1) // 2, (kernel - 1) // 2)
    size = [(extent - 1) // stride + 1 for extent in image[2:]]
    weight = random.integers(-127, 128, (outputs, image[1], kernel, kernel)).astype(np.int8)
    limits = {"minimum": -120, "maximum": 125}
    conv = {
        "pads": pads,
        "strides": (stride, stride),
        "x_zero": zeros[0],
        "y_zero": zeros[1],
        "requantiser": rescale(10.0 ** random.uniform(-4, -2, outputs), double=double),
        **limits,
    }
    add = {
        "a_zero": zeros[2],
        "b_zero": zeros[1],
        "y_zero": zeros[3],
        "a_requantiser": rescale(0.5, double=double, pre_shift=20),
        "b_requantiser": rescale(0.31, double=double, pre_shift=20),
        "requantiser": rescale(1.3 / (1 << 20), double=double),
        **limits,
    }
    int8 = np.dtype(np.int8)
    other = Value("x1", (image[0], outputs, *size), int8)
    values = [Value("x0", image, int8), *([] if loops else [other]), Value("r"), Value("y")]
    values += [Value.constant("w", weight), Value.constant("b", random.integers(-999, 999, outputs).astype(np.int32))]
    terms = ("r", "x0" if loops else "x1")
    nodes = (
        Node("conv", "qconv", ("x0", "w", "b"), ("r",), conv),
        Node("add", "qadd", terms[::-1] if swapped else terms, ("y",), add),
    )
    inputs = ("x0",) if loops else ("x0", "x1")
    return infer_shapes(Graph("residual", {value.name: value for value in values}, nodes, inputs, ("y",)))


def operators(graph, core):
    return [node.operator for node in run_passes(graph, passes_for(core)).nodes if node.operator != "im2col"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    core=st.sampled_from(CORES),
    image=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12)),
    outputs=st.integers(1, 40),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    zeros=st.tuples(*[SCALARS] * 4),
    flags=st.tuples(*[st.booleans()] * 3),
    seed=st.integers(0, 99),
)
def test_sums_beside_products(agree, shaped_cores, core, image, outputs, kernel, stride, zeros, flags, seed):
    double, swapped, loops = flags
    if loops:
        outputs, stride = image[1], 1
    how = {"stride": stride, "zeros": zeros, "double": double, "swapped": swapped, "loops": loops}
    graph = residual(np.random.default_rng(seed), image, outputs, kernel, **how)
    agree(graph, shaped_cores[core], seed=seed, simulator=NativeSimulator)


@pytest.mark.parametrize("core", ["vta-16", "two-rows", "tiny"])
def test_the_oracle_agrees(agree, shaped_cores, core):
    graph = residual(np.random.default_rng(3), (1, 20, 9, 7), 20, 3, loops=True)
    assert "qconv+add" in operators(graph, shaped_cores[core])
    agree(graph, shaped_cores[core])


def block(qdq, *, tapped=False):
    """A residual block with convolutions on both branches; (model, results of both)."""
    model = qdq(seed=4)
    x = model.conv(model.input((1, 8, 10, 10)), (16, 8, 1, 1))
    deep = model.conv(x, (16, 16, 3, 3), pads=[1, 1, 1, 1])
    shallow = model.conv(x, (16, 16, 1, 1))
    y = model.apply("Add", deep, shallow)
    return import_model(model.finish(*([y, deep] if tapped else [y])))


def test_the_one_with_more_products_is_chosen(qdq):
    lowered = run_passes(block(qdq), passes_for(VTA))
    (fused,) = [node for node in lowered.nodes if node.operator == "qconv+add"]
    assert lowered.values[fused.inputs[1]].known_shape[2:] == (3, 3)


def test_what_leaves_the_graph_is_not_fused(qdq):
    """A result that someone wants to see is made; the other branch takes the sum."""
    lowered = run_passes(block(qdq, tapped=True), passes_for(VTA))
    (fused,) = [node for node in lowered.nodes if node.operator == "qconv+add"]
    assert lowered.values[fused.inputs[1]].known_shape[2:] == (1, 1)


def test_a_pixel_for_all_is_not_fused(qdq):
    model = qdq(seed=5)
    x = model.conv(model.input((1, 8, 6, 6)), (16, 8, 3, 3))
    pixel = model.apply("GlobalAveragePool", x)
    graph = import_model(model.finish(model.apply("Add", model.conv(x, (16, 16, 1, 1)), pixel)))
    assert "qadd" in operators(graph, VTA) and "qconv+add" not in operators(graph, VTA)
