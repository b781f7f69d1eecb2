"""Damaged models: a one-line error of ours, or a program; never anything else."""

import copy

import numpy as np
import onnx
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.errors import TilewrightError


@pytest.fixture
def model(qdq):
    maker = qdq(seed=3, dtype=np.uint8)
    x = maker.input((1, 3, 8, 8))
    a = maker.conv(x, (5, 3, 3, 3), pads=[1, 1, 1, 1], relu=True)
    b = maker.apply("Add", a, maker.conv(a, (5, 5, 3, 3), pads=[1, 1, 1, 1]))
    c = maker.apply("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2])
    d = maker.quantise(maker.node("Flatten", [maker.dequantise(c)]), 0.1, 0)
    return maker.finish(maker.gemm(d, (4, 80)))


def compiles_or_refuses(source):
    try:
        compile_model(source, load_config("tiny"))
    except TilewrightError as error:
        assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes(model, tmp_path, seed):
    raw, random = model.SerializeToString(), np.random.default_rng(seed)
    for _ in range(8):
        damaged = bytearray(raw)
        for place in random.integers(0, len(raw), random.integers(1, 6)):
            damaged[place] = random.integers(256)
        (tmp_path / "model.onnx").write_bytes(damaged)
        compiles_or_refuses(tmp_path / "model.onnx")


def test_truncated(model, tmp_path):
    raw = model.SerializeToString()
    for end in range(0, len(raw), len(raw) // 23):
        (tmp_path / "model.onnx").write_bytes(raw[:end])
        compiles_or_refuses(tmp_path / "model.onnx")


@pytest.mark.parametrize("seed", range(8))
def test_rewired_graphs(model, seed):
    random = np.random.default_rng(seed)
    for _ in range(8):
        damaged = copy.deepcopy(model)
        for _ in range(random.integers(1, 4)):
            damage(damaged.graph, random)
        compiles_or_refuses(damaged)


def damage(graph: onnx.GraphProto, random: np.random.Generator) -> None:
    """One wrong edge, operator, attribute or shape."""
    node, other = (graph.node[random.integers(len(graph.node))] for _ in range(2))
    constant = graph.initializer[random.integers(len(graph.initializer))]
    place = random.integers(len(node.input))
    kind = random.integers(6)
    if kind == 0 and len(node.input) > 1:
        del node.input[place]
    elif kind == 1:
        node.input[place] = other.output[0]
    elif kind == 2:
        node.input[place] = constant.name
    elif kind == 3:
        node.op_type = other.op_type
    elif kind == 4 and node.attribute:
        attribute = node.attribute[0]
        if attribute.ints:
            attribute.ints[0] = int(random.integers(-3, 9))
        else:
            attribute.i = int(random.integers(-3, 9))
    elif constant.dims:
        constant.dims[0] = int(random.integers(0, 9))
    else:
        constant.dims.append(int(random.integers(0, 4)))
