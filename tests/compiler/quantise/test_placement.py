"""What becomes integers, and which tensors share a scale."""

import pytest
from tilewright.compiler.quantise.canonical import canonical
from tilewright.compiler.quantise.placement import place
from tilewright.errors import TilewrightError


def placed(graph):
    placement = place(canonical(graph))
    return placement, {node.name for node in placement.nodes}


def test_everything_of_a_residual_network_but_softmax(residual):
    placement, chosen = placed(residual)
    assert not any(name.startswith(("softmax", "probabilities")) for name in chosen)
    assert {"sum", "largest", "joined", "mean"} <= chosen
    groups = placement.groups.values()
    assert any({"largest", "joined"} <= set(group) for group in groups)
    assert all(("mean" in group) <= ("joined" not in group) for group in groups)
    assert "joined" not in placement.sources and "mean" in placement.sources


def test_limits_are_part_of_what_is_before_them(floats):
    model = floats()
    y = model.conv(model.input(1, 3, 4, 4), 4, 3, 1, 1, name="conv")
    y = model.node("Clip", model.node("Relu", y, name="relu"), model.constant(0.0), model.constant(6.0), name="clip")
    placement, chosen = placed(model.graph(model.conv(y, 4, 4, 1, 1, name="last")))
    assert chosen == {"conv", "last"}
    assert placement.results == {"conv": "clip", "last": "last"}
    assert list(placement.tensors) == ["x", "clip", "last"]


def test_a_tensor_that_others_read_before_its_limit_is_quantised_itself(floats):
    model = floats()
    y = model.conv(model.input(1, 4, 4, 4), 4, 4, 1, 1, name="conv")
    z = model.node("Add", model.node("Relu", y, name="relu"), y, name="sum")
    placement, chosen = placed(model.graph(z))
    assert chosen == {"conv", "relu", "sum"}
    assert placement.results["conv"] == "conv"


def test_activation_functions_join_only_before_a_product(floats):
    model = floats()
    y = model.conv(model.input(1, 4, 4, 4), 4, 4, 1, 1, name="first")
    y = model.node("Mul", y, model.node("Sigmoid", y, name="gate"), name="gated")
    y = model.conv(y, 4, 4, 1, 1, name="second")
    _, chosen = placed(model.graph(model.node("Sigmoid", y, name="answer")))
    assert chosen == {"first", "gate", "gated", "second"}


def test_what_has_no_integer_form_stays_in_floating_point(floats):
    model = floats()
    x = model.input(1, 4, 8, 8)
    y = model.conv(model.node("Sin", x, name="sine"), 4, 4, 3, 3, name="conv")
    mean = model.node("ReduceMean", y, axes=[1], keepdims=1, name="mean")
    _, chosen = placed(model.graph(model.node("Sub", y, mean)))
    assert chosen == {"conv"}


def test_nothing_to_quantise(floats):
    model = floats()
    graph = model.graph(model.node("MatMul", model.input(2, 3, name="a"), model.input(3, 2, name="b")))
    with pytest.raises(TilewrightError, match=r"model net must have a Conv, Gemm or MatMul on float32 with constant"):
        placed(graph)
