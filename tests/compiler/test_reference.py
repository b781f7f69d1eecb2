"""The NumPy meaning of float windows, which bisecting passes needs, is ONNX Runtime's."""

import weakref

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tilewright.compiler.compile import import_model
from tilewright.compiler.reference import evaluate, walk

NODES = [
    ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2], "group": 2}, (6, 2, 3, 3)),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [3]}, (5, 4, 4)),
    ("Conv", {"group": 4}, (8, 1, 2, 3, 1)),
    ("Conv", {"group": 4, "strides": [2, 1], "pads": [0, 1, 2, 1]}, (4, 1, 3, 3)),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}, (0, 0, 0, 0)),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, (0, 0, 0, 0)),
    ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}, (0, 0, 0, 0)),
    ("AveragePool", {"kernel_shape": [3, 2], "strides": [2, 3]}, (0, 0, 0, 0)),
    ("GlobalAveragePool", {}, (0, 0, 0, 0)),
]


def test_a_walk_forgets_what_is_no_longer_read():
    nodes = [helper.make_node("Relu", [f"v{place}"], [f"v{place + 1}"]) for place in range(3)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2,)) for name in ("v0", "v3")]
    graph = import_model(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])))
    x = np.array([-1, 2], np.float32)
    alive: list[weakref.ref] = []
    for node, (argument,), (result,) in walk(graph, {"v0": x}):
        np.testing.assert_array_equal(result, np.maximum(argument, 0), node.name)
        alive.append(weakref.ref(result))
        del argument, result
        assert sum(array() is not None for array in alive) <= 2
    np.testing.assert_array_equal(evaluate(graph, {"v0": x})["v3"], [0, 2])


@pytest.mark.parametrize("operator, attributes, filters", NODES)
def test_float_windows(operator, attributes, filters):
    random = np.random.default_rng(5)
    arrays = {"x": random.normal(size=(2, 4, *[9] * (len(filters) - 2)))}
    if operator == "Conv":
        arrays |= {"w": random.normal(size=filters), "b": random.normal(size=filters[0])}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in arrays.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(operator, [*arrays], ["y"], **attributes)], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, arrays)[0]
    found = evaluate(import_model(model), arrays)["y"]
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
