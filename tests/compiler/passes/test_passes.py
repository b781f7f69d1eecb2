"""What each pass makes of a graph, and what the verifier says of broken ones."""

import numpy as np
import pytest
from tilewright.compiler.compile import import_model
from tilewright.compiler.graph import Graph, GraphError, Node, Value, format_graph, verify
from tilewright.compiler.passes import Pass, run_passes
from tilewright.compiler.passes.common import merge_common
from tilewright.compiler.passes.fuse import fuse_bias
from tilewright.compiler.passes.partition import partition
from tilewright.compiler.passes.shapes import infer_shapes
from tilewright.compiler.passes.signed import make_signed
from tilewright.compiler.passes.simplify import fold_constants, remove_dead
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.errors import TilewrightError, UnsupportedOperator

FLOAT = np.dtype(np.float32)


def graph_of(nodes, shape=(2, 3), constants=None, outputs=("y",)):
    values = {"x": Value("x", shape, FLOAT)}
    values |= {name: Value.constant(name, np.asarray(data)) for name, data in (constants or {}).items()}
    values |= {name: Value(name) for node in nodes for name in node.outputs}
    return Graph("test", values, tuple(nodes), ("x",), outputs)


def test_dead_code():
    graph = graph_of([Node("a", "Relu", ("x",), ("y",)), Node("b", "Relu", ("y",), ("z",))])
    cleaned = remove_dead(graph)
    assert [node.name for node in cleaned.nodes] == ["a"] and "z" not in cleaned.values


def test_constant_folding():
    nodes = [Node("c", "Add", ("p", "q"), ("r",)), Node("d", "Add", ("x", "r"), ("y",))]
    graph = fold_constants(infer_shapes(graph_of(nodes, constants={"p": np.ones(3, "f4"), "q": np.ones(3, "f4")})))
    assert [node.name for node in graph.nodes] == ["d"]
    assert graph.constant("r").tolist() == [2, 2, 2]


def test_common_subexpressions():
    """Constants count by content, and what was merged makes others the same."""
    nodes = [
        Node("a", "Add", ("x", "p"), ("s",)),
        Node("b", "Add", ("x", "q"), ("t",)),
        Node("c", "Relu", ("s",), ("u",)),
        Node("d", "Relu", ("t",), ("v",)),
        Node("e", "LeakyRelu", ("u",), ("w",), {"alpha": 0.1}),
        Node("f", "LeakyRelu", ("v",), ("z",), {"alpha": 0.2}),
        Node("g", "Mul", ("w", "z"), ("y",)),
    ]
    constants = {"p": np.ones(3, "f4"), "q": np.ones(3, "f4")}
    graph = merge_common(infer_shapes(graph_of(nodes, constants=constants)))
    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("a", ("x", "p")), ("c", ("s",)), ("e", ("u",)), ("f", ("u",)), ("g", ("w", "z"))
    ]  # fmt: skip


def test_what_differs_is_not_common():
    nodes = [
        Node("a", "Relu", ("x",), ("y",)),
        Node("b", "Relu", ("x",), ("z",)),
        Node("c", "Add", ("x", "p"), ("s",)),
        Node("d", "Add", ("x", "q"), ("t",)),
        Node("e", "Secret", ("x",), ("u",), {"how": object()}),
        Node("f", "Secret", ("x",), ("v",), {"how": object()}),
    ]
    constants = {"p": np.zeros(3, "f4"), "q": -np.zeros(3, "f4")}
    graph = graph_of(nodes, constants=constants, outputs=("y", "z", "s", "t", "u", "v"))
    assert len(merge_common(graph).nodes) == 6
    assert len(merge_common(graph.edit(outputs=["y", "s", "t", "u", "v"])).nodes) == 5


def test_bias_joins_its_product():
    nodes = [Node("m", "MatMul", ("x", "w"), ("p",)), Node("a", "Add", ("p", "b"), ("y",))]
    constants = {"w": np.ones((3, 4), "f4"), "b": np.ones(4, "f4")}
    graph = fuse_bias(infer_shapes(graph_of(nodes, constants=constants)))
    assert [(node.operator, node.inputs) for node in graph.nodes] == [("Gemm", ("x", "w", "b"))]


def test_unsigned_becomes_signed(qdq):
    model = qdq(dtype=np.uint8)
    y = model.conv(model.input((1, 3, 5, 5)), (4, 3, 3, 3))
    graph = infer_shapes(import_model(model.finish(y)))
    signed = make_signed(graph)
    dtypes = {value.dtype for value in signed.values.values() if value.data is None}
    assert np.dtype(np.uint8) in {value.dtype for value in graph.values.values()}
    assert not any(signed.values[node.outputs[0]].dtype == np.uint8 for node in signed.nodes)
    assert np.dtype(np.int8) in dtypes


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_every_pass_keeps_the_meaning(qdq, dtype):
    """After the integers exist, no later pass changes a single element."""
    model = qdq(seed=1, dtype=dtype)
    a = model.conv(model.input((1, 3, 8, 8)), (5, 3, 3, 3), relu=True)
    b = model.apply("Relu", model.quantise(model.node("Identity", [model.dequantise(a)]), 0.1, 3), out=(0.1, 3))
    c = model.quantise(model.node("Flatten", [model.dequantise(b)]), 0.1, 3)
    stages = {}
    proto = model.finish(model.gemm(c, (6, 5 * 36)))
    run_passes(import_model(proto), passes_for(load_config("tiny")), dump=stages.__setitem__)
    inputs = {"input_1": np.random.default_rng(0).uniform(-5, 5, (1, 3, 8, 8)).astype(np.float32)}
    names = list(stages)
    first = next(number for number, name in enumerate(names) if name.endswith("integers"))
    answers = [evaluate(stages[name], inputs)[stages[name].outputs[0]] for name in names[first:]]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_partition_changes_sides_seldom():
    names = [("a", "Relu", "x", "p"), ("b", "qrescale", "p", "q"), ("c", "Relu", "x", "r"), ("d", "qrescale", "r", "y")]
    nodes = [Node(name, operator, (source,), (result,)) for name, operator, source, result in names]
    parted = partition(graph_of(nodes))
    assert [node.name for node in parted.nodes] == ["a", "c", "b", "d"]
    assert [node.target for node in parted.nodes] == ["host", "host", "accelerator", "accelerator"]
    assert {node.target for node in partition(graph_of(nodes), accelerate=False).nodes} == {"host"}


def test_dump_and_limit(qdq):
    model = qdq()
    proto = model.finish(model.conv(model.input((1, 3, 5, 5)), (4, 3, 3, 3)))
    seen = {}
    run_passes(import_model(proto), passes_for(load_config("tiny")), dump=seen.__setitem__, limit=3)
    assert list(seen) == ["00-import", "01-dead-code", "02-qoperators", "03-shapes"]
    text = format_graph(seen["03-shapes"])
    assert "Conv" in text and "float32[1x4x3x3]" in text and text.count("\n") == 2 + len(seen["03-shapes"].nodes) + 1


@pytest.mark.parametrize(
    "nodes, outputs, word",
    [
        ([Node("a", "Relu", ("gone",), ("y",))], ("y",), "'gone'"),
        ([Node("a", "Relu", ("x",), ("y",)), Node("b", "Relu", ("x",), ("y",))], ("y",), "defined once"),
        ([Node("a", "Relu", ("x",), ("z",))], ("y",), "'y' is never computed"),
    ],
)
def test_verifier(nodes, outputs, word):
    with pytest.raises(GraphError, match=word):
        verify(graph_of(nodes, outputs=outputs), stage="a test")


def test_verifier_names_the_pass():
    broken = Pass("breaker", lambda graph: graph.edit(nodes=[]), typed=False)
    with pytest.raises(GraphError, match="after breaker"):
        run_passes(graph_of([Node("a", "Relu", ("x",), ("y",))]), [broken])


def test_untyped_values_are_found():
    with pytest.raises(GraphError, match="no shape"):
        verify(graph_of([Node("a", "Relu", ("x",), ("y",))]), stage="a test", typed=True)


def test_unknown_operator_and_wrong_attributes():
    with pytest.raises(UnsupportedOperator, match=r"operator Konv \(node 'a'\).*Conv.*onnx-support"):
        infer_shapes(graph_of([Node("a", "Konv", ("x",), ("y",))]))
    with pytest.raises(UnsupportedOperator, match="'a'"):
        infer_shapes(graph_of([Node("a", "Transpose", ("x",), ("y",), {"perm": (0, 0)})]))
    with pytest.raises(UnsupportedOperator, match="'a'"):
        infer_shapes(graph_of([Node("a", "Add", ("x",), ("y",))]))


def test_scales_must_be_positive(qdq):
    model = qdq()
    y = model.apply("Relu", model.input((1, 4)), out=(-0.5, 0))
    with pytest.raises(UnsupportedOperator, match=r"scale must be positive, not -0\.5"):
        run_passes(import_model(model.finish(y)), passes_for(load_config("tiny")))


def test_inputs_are_not_outputs(qdq):
    graph = Graph("through", {"x": Value("x", (1,), FLOAT)}, (), ("x",), ("x",))
    with pytest.raises(TilewrightError, match="'x' must be computed"):
        run_passes(graph, passes_for(load_config("tiny")))


@pytest.mark.parametrize(
    "strides, pads, dilations, unrolled",
    [([1, 1], [1, 1, 1, 1], [1, 1], (9, 3, 1)), ([2, 2], [0, 3, 1, 0], [1, 2], (27, 1, 1))],
)
def test_few_channels_are_widened(qdq, strides, pads, dilations, unrolled):
    """Taps become channels: the kernel's width, or all of it; not one element changes; a second layer stays."""
    model = qdq(seed=9)
    a = model.conv(model.input((1, 3, 9, 11)), (5, 3, 3, 3), strides=strides, pads=pads, dilations=dilations)
    proto = model.finish(model.conv(a, (4, 5, 2, 2)))
    config = load_config("vta-16")
    graphs = [
        run_passes(import_model(proto), passes_for(config, accelerate=accelerate)) for accelerate in (True, False)
    ]
    inputs = {"input_1": np.random.default_rng(0).uniform(-5, 5, (1, 3, 9, 11)).astype(np.float32)}
    answers = [evaluate(graph, inputs)[graph.outputs[0]] for graph in graphs]
    np.testing.assert_array_equal(*answers)
    kernels = [graphs[0].values[node.inputs[1]].shape for node in graphs[0].nodes if node.operator == "qconv"]
    assert kernels == [(5, *unrolled), (4, 5, 2, 2)]


@pytest.mark.parametrize("stride, kernel, pads", [(2, 3, [0, 0, 1, 1]), (2, 3, [1, 1, 1, 1]), (1, 2, [1, 0, 0, 1])])
def test_neighbouring_windows_share_a_cell(qdq, compiled, stride, kernel, pads):
    """Where loading takes longest, one cell of the image feeds two columns of the result."""
    model = qdq(seed=2)
    x = model.input((1, 3, 24, 32))
    y = model.conv(x, (8, 3, kernel, kernel), strides=[stride, stride], pads=pads, out=(0.1, 3))
    proto = model.finish(model.conv(y, (8, 8, 3, 3), pads=[1, 1, 1, 1]))
    case = compiled(proto, load_config("vta-16").replace(name="narrow", block_in=16, act_depth=4096))
    (first,) = [node for node in case.graph.nodes if node.operator in ("qconv", "qconv_columns")][:1]
    inputs = case.random_inputs()
    plain = run_passes(import_model(proto), passes_for(case.config, accelerate=False))
    (expected,) = [evaluate(plain, inputs)[name] for name in plain.outputs]
    np.testing.assert_array_equal(case.reference(inputs)[0], expected)
    np.testing.assert_array_equal(case.oracle(inputs)[0], expected)
    if stride == 2:
        assert first.operator == "qconv_columns" and first["columns"] == 2
