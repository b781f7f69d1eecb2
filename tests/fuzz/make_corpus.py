"""Writes the models that fuzzing starts from: ``python tests/fuzz/make_corpus.py``. They are kept beside it."""

import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CORPUS = Path(__file__).parent / "corpus"
TESTS = CORPUS.parents[1]
RANDOM = np.random.default_rng(7)


def from_conftest(path: str, name: str) -> Any:
    """A class that a conftest.py elsewhere defines."""
    spec = util.spec_from_file_location("makers", TESTS / path)
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def qdq(dtype: Any = np.int8) -> Any:
    return from_conftest("compiler/conftest.py", "QdqModel")(seed=3, dtype=dtype)


def quantised_images() -> onnx.ModelProto:
    maker = qdq(np.uint8)
    a = maker.conv(maker.input((1, 3, 8, 8)), (5, 3, 3, 3), pads=[1, 1, 1, 1], relu=True)
    b = maker.apply("Add", a, maker.conv(a, (5, 1, 3, 3), pads=[1, 1, 1, 1], group=5))
    c = maker.apply("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2])
    d = maker.quantise(maker.node("Flatten", [maker.dequantise(c)]), 0.1, 0)
    return maker.finish(maker.gemm(d, (4, 80)))


def quantised_pools() -> onnx.ModelProto:
    maker = qdq()
    a = maker.conv(maker.input((2, 4, 7, 6)), (4, 2, 1, 3), group=2, per_channel=False, auto_pad="SAME_UPPER")
    b = maker.apply("AveragePool", a, kernel_shape=[2, 2], strides=[1, 2])
    c = maker.apply("Clip", b)
    return maker.finish(maker.apply("GlobalAveragePool", c), maker.apply("Relu", a))


def plain(nodes: list, inputs: dict, constants: dict, *, opset: int = 17, **more: Any) -> onnx.ModelProto:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", infos, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def floats() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 0, 0], strides=[2, 1], dilations=[1, 2]),
        node("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], epsilon=1e-3),
        node("LeakyRelu", ["n"], ["l"], alpha=0.1),
        node("Reshape", ["l", "shape"], ["r"]),
        node("Gemm", ["r", "g"], ["y"], transB=1, alpha=0.5),
        node("Softmax", ["y"], ["z"], axis=-1),
    ]
    statistics = {name: np.abs(normal(4)) for name in "sbmv"}
    constants = {"w": normal(4, 2, 2, 2), "g": normal(3, 48), "shape": np.array([1, -1]), **statistics}
    return plain(nodes, {"x": [1, 2, 6, 5]}, constants)


def shapes() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Constant", [], ["two"], value=numpy_helper.from_array(np.array([2], np.int64))),
        node("Shape", ["x"], ["size"]),
        node("Slice", ["size", "two", "four"], ["tail"]),
        node("Mul", ["tail", "two"], ["wanted"]),
        node("Concat", ["head", "wanted"], ["sizes"], axis=0),
        node("Resize", ["x", "", "", "sizes"], ["large"], mode="nearest"),
        node("Pad", ["large", "pads"], ["padded"]),
        node("Transpose", ["padded"], ["turned"], perm=[0, 2, 3, 1]),
        node("Split", ["turned", "parts"], ["p", "q"], axis=3),
        node("Gather", ["p", "picks"], ["g"], axis=1),
        node("Expand", ["g", "repeats"], ["e"]),
        node("Tile", ["e", "counts"], ["t"]),
        node("ReduceMean", ["t"], ["m"], axes=[1, 2], keepdims=0),
        node("TopK", ["m", "one"], ["top", "where"], axis=-1),
        node("Unsqueeze", ["top", "one"], ["y"]),
    ]
    given = {"four": [4], "head": [1, 2], "pads": [0, 0, 1, 1, 0, 0, 0, 2], "parts": [1, 1], "picks": [0, 2, 1]}
    given |= {"repeats": [3, 1, 1, 1], "counts": [1, 2, 1, 1], "one": [1]}
    return plain(nodes, {"x": ["batch", 2, 3, 4]}, {name: np.array(data, np.int64) for name, data in given.items()})


def recurrent() -> onnx.ModelProto:
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["states", "last"], hidden_size=3, direction="bidirectional"),
        helper.make_node("Squeeze", ["last"], ["s"]),
        helper.make_node("MatMul", ["s", "m"], ["y"]),
    ]
    constants = {"w": normal(2, 12, 2), "r": normal(2, 12, 3), "b": normal(2, 24), "m": normal(3, 2)}
    return plain(nodes, {"x": [4, 1, 2]}, constants)


def functions() -> onnx.ModelProto:
    body = [helper.make_node("Mul", ["u", "u"], ["v"]), helper.make_node("Elu", ["v"], ["w"], alpha=0.5)]
    imports = [helper.make_opsetid("", 17)]
    local = helper.make_function("local", "Square", ["u"], ["w"], body, imports)
    nodes = [
        helper.make_node("Square", ["x"], ["a"], domain="local"),
        helper.make_node("HardSwish", ["a"], ["b"]),
        helper.make_node("MeanVarianceNormalization", ["b"], ["y"], axes=[0, 2, 3]),
    ]
    model = plain(nodes, {"x": [1, 2, 3, 3]}, {}, functions=[local])
    model.opset_import.append(helper.make_opsetid("local", 1))
    return model


def old_forms() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Pad", ["x"], ["a"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5),
        helper.make_node("Clip", ["a"], ["b"], min=-1.0, max=1.0),
        helper.make_node("Slice", ["b"], ["c"], starts=[0, 1], ends=[9, 4], axes=[2, 3]),
        helper.make_node("Upsample", ["c"], ["d"], scales=[1.0, 1.0, 2.0, 2.0]),
        helper.make_node("Split", ["d"], ["e", "f"], axis=1, split=[1, 1]),
        helper.make_node("Add", ["e", "f"], ["g"]),
        helper.make_node("Softmax", ["g"], ["y"], axis=1),
    ]
    return plain(nodes, {"x": [1, 2, 4, 5]}, {}, opset=7)


def operators() -> onnx.ModelProto:
    """QOperator form."""
    scale, zero = np.float32(0.05), np.uint8(128)
    constants: dict[str, Any] = {"s": scale, "z": zero, "zw": np.int8(0), "bias": np.arange(4, dtype=np.int32)}
    constants |= {"w": RANDOM.integers(-9, 9, (4, 2, 3, 3)).astype(np.int8)}
    constants |= {"m": RANDOM.integers(0, 255, (36, 3)).astype(np.uint8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "zw", "s", "z", "bias"], ["c"], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("QLinearMatMul", ["f", "s", "z", "m", "s", "z", "s", "z"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    return plain(nodes, {"x": [1, 2, 8, 7]}, constants)


def lite(write: Callable[[Any], int]) -> Callable[[Path], None]:
    def written(path: Path) -> None:
        maker = from_conftest("compiler/frontend/conftest.py", "TfliteMaker")()
        maker.write(path, write(maker))

    return written


def integers(*shape: int) -> np.ndarray:
    return RANDOM.integers(-127, 128, shape).astype(np.int8)


def lite_images(maker: Any) -> int:
    x = maker.input((1, 8, 7, 3), zero=-3)
    pads = maker.constant(np.array([[0, 0], [1, 1], [0, 2], [0, 0]], np.int32))
    p = maker.add("PAD", [x, pads], (1, 10, 9, 3), zero=-3)
    w = maker.constant(integers(4, 3, 3, 3), scale=[0.01, 0.02, 0.03, 0.01])
    bias = maker.constant(np.arange(4, dtype=np.int32))
    a = maker.add("CONV_2D", [p, w, bias], (1, 4, 4, 4), StrideH=2, StrideW=2, Padding=1)
    v = maker.constant(integers(1, 3, 3, 4), scale=0.02)
    b = maker.add("DEPTHWISE_CONV_2D", [a, v, bias], (1, 4, 4, 4), StrideH=1, StrideW=1, DepthMultiplier=1)
    c = maker.add("ADD", [a, b], (1, 4, 4, 4), scale=0.2, FusedActivationFunction=1)
    d = maker.add("MAX_POOL_2D", [c], (1, 2, 2, 4), scale=0.2, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)
    e = maker.add("MEAN", [d, maker.constant(np.array([1, 2], np.int32))], (1, 4), scale=0.2, KeepDims=False)
    dense = maker.constant(integers(5, 4), scale=0.01)
    f = maker.add("FULLY_CONNECTED", [e, dense, -1], (1, 5))
    return maker.add("SOFTMAX", [f], (1, 5), scale=1 / 256, zero=-128, Beta=1.0)


def lite_edges(maker: Any) -> int:
    x = maker.input((1, 4, 4, 2), "float32", scale=None)
    q = maker.add("QUANTIZE", [x], (1, 4, 4, 2), scale=0.05, zero=4)
    p = maker.add("AVERAGE_POOL_2D", [q], (1, 2, 2, 2), scale=0.05, zero=4, StrideH=2, StrideW=2, FilterHeight=2,
                  FilterWidth=2)  # fmt: skip
    r = maker.add("RELU", [p], (1, 2, 2, 2), scale=0.04, zero=-128)
    wanted = maker.constant(np.array([1, 8], np.int32))
    s = maker.add("RESHAPE", [r, wanted], (1, 8), scale=0.04, zero=-128)
    return maker.add("DEQUANTIZE", [s], (1, 8), "float32", scale=None)


def lite_floats(maker: Any) -> int:
    x = maker.input((1, 6, 6, 2), "float32", scale=None)
    w, bias = maker.constant(normal(3, 3, 3, 2)), maker.constant(normal(3))
    a = maker.add("CONV_2D", [x, w, bias], (1, 6, 6, 3), "float32", scale=None, StrideH=1, StrideW=1,
                  FusedActivationFunction=3)  # fmt: skip
    r = maker.add("RESHAPE", [a, maker.constant(np.array([1, 108], np.int32))], (1, 108), "float32", scale=None)
    return maker.add("FULLY_CONNECTED", [r, maker.constant(normal(4, 108))], (1, 4), "float32", scale=None)


ONNX = (quantised_images, quantised_pools, floats, shapes, recurrent, functions, old_forms, operators)
TFLITE = (lite_images, lite_edges, lite_floats)

if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for make in ONNX:
        onnx.save(make(), str(CORPUS / f"{make.__name__}.onnx"))
    for make in TFLITE:
        lite(make)(CORPUS / f"{make.__name__.removeprefix('lite_')}.tflite")
