"""The NumPy meaning of float windows, which bisecting passes needs, is ONNX Runtime's."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tilewright.compiler.compile import import_model
from tilewright.compiler.reference import evaluate

NODES = [
    ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2], "group": 2}, (6, 2, 3, 3)),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [3]}, (5, 4, 4)),
    ("Conv", {"group": 4}, (8, 1, 2, 3, 1)),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}, (0, 0, 0, 0)),
    ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}, (0, 0, 0, 0)),
]


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
