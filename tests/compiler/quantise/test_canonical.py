"""The canonical form computes what the model computes, with nothing left between products."""

import numpy as np
import pytest
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.quantise.canonical import canonical
from tilewright.compiler.reference import evaluate
from tilewright.errors import TilewrightError


def folded(graph, operators):
    """The canonical form, once it computes the same with exactly `operators`."""
    form = canonical(graph)
    random = np.random.default_rng(7)
    inputs = {name: random.normal(size=graph.values[name].shape).astype(np.float32) for name in graph.inputs}
    expected, found = evaluate(infer_shapes(graph), inputs), evaluate(form, inputs)
    for name in graph.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
    assert [node.operator for node in form.nodes] == operators
    return form


def test_batch_normalization_after_a_convolution(floats):
    model = floats()
    y = model.conv(model.input(1, 4, 5, 5), 6, 2, 3, 3, group=2, bias=False)
    folded(model.graph(model.node("Relu", model.batch_norm(y, 6))), ["Conv", "Relu"])


def test_a_chain_of_constants(floats):
    model = floats(1)
    y = model.conv(model.input(1, 2, 4, 4), 3, 2, 1, 1)
    y = model.node("Sub", model.normal(3, 1, 1), y)
    y = model.node("Mul", y, model.normal(1, 3, 1, 1))
    y = model.node("Div", y, model.constant(3.0))
    folded(model.graph(model.node("Add", model.normal(1), y)), ["Conv"])


@pytest.mark.parametrize("transposed", [0, 1])
def test_products_of_matrices(floats, transposed):
    model = floats(2)
    weight = model.normal(*((3, 4) if transposed else (4, 3)))
    y = model.node("Gemm", model.input(2, 4), weight, model.normal(1, 3), transB=transposed, alpha=0.5, beta=2.0)
    y = model.node("MatMul", model.node("Mul", y, model.normal(3)), model.normal(3, 5))
    form = folded(model.graph(model.node("Add", y, model.normal(5))), ["Gemm", "Gemm"])
    assert all(set(node.attributes) == {"transB"} for node in form.nodes)


def test_products_of_rows(floats):
    model = floats(2)
    y = model.node("MatMul", model.input(1, 3, 2, 4), model.normal(4, 5))
    y = model.node("Relu", model.node("Add", model.normal(5), y))
    y = model.node("Clip", y, "", model.constant(1.0))
    y = model.node("Add", model.node("MatMul", y, model.normal(5, 3)), model.normal(2, 3))
    operators = ["Reshape", "Gemm", "Relu", "Clip", "Reshape", "Reshape", "Gemm", "Reshape", "Add"]
    folded(model.graph(y), operators)


def test_sums_of_several(floats):
    model = floats(2)
    y = model.conv(model.input(1, 2, 4, 4), 3, 2, 1, 1)
    total = model.node("Sum", y, model.normal(3, 1, 1), model.node("Relu", y), model.normal(1, 1, 4, 4))
    folded(
        model.graph(model.node("Sum", model.node("Sum", total), total)), ["Conv", "Relu", *["Add"] * 3, "Sum", "Add"]
    )


def test_what_is_read_elsewhere_stays(floats):
    model = floats(3)
    y = model.conv(model.input(1, 2, 4, 4), 3, 2, 1, 1)
    both = model.node("Add", model.node("Mul", y, model.normal(3, 1, 1)), y)
    folded(model.graph(both), ["Conv", "Mul", "Add"])
    model = floats(4)
    y = model.conv(model.input(1, 2, 4, 4), 3, 2, 1, 1)
    folded(model.graph(model.node("Mul", y, model.normal(3, 1, 1)), y), ["Conv", "Mul"])


def test_what_is_not_by_channel_stays(floats):
    model = floats(5)
    y = model.conv(model.input(1, 2, 4, 4), 3, 2, 1, 1)
    y = model.node("Add", model.node("Mul", y, model.normal(4)), model.normal(1, 3, 4, 4))
    folded(
        model.graph(model.node("Div", model.constant(1.0), model.node("Exp", y))), ["Conv", "Mul", "Add", "Exp", "Div"]
    )


def test_identities_go_and_constants_are_computed(floats):
    model = floats(6)
    weight = model.node("Reshape", model.normal(2, 6), model.constant((4, 3), np.int64))
    y = model.node("MatMul", model.node("Dropout", model.node("Identity", model.input(1, 4))), weight)
    folded(model.graph(y), ["Gemm"])
    model = floats(6)
    folded(model.graph(model.node("Identity", model.input(1, 4))), ["Identity"])


def test_a_quantised_model_is_refused(qdq_graph):
    with pytest.raises(TilewrightError, match=r"must be in floating point .* \(QuantizeLinear\) is quantised already"):
        canonical(qdq_graph)


@pytest.fixture
def qdq_graph(floats):
    model = floats()
    scale, zero = model.constant(0.1), model.constant(0, np.int8)
    y = model.node("DequantizeLinear", model.node("QuantizeLinear", model.input(1, 2), scale, zero), scale, zero)
    return model.graph(model.node("Gemm", y, model.normal(2, 2)))
