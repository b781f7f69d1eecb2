"""Damaged models: a one-line error of ours, or a program; never anything else."""

import copy
import itertools
import os
import time
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.compile import compile_model
from tilewright.compiler.compile_host import compile_for_host
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


def small(nodes, *, constants=(), shape=(4, 4), functions=()):
    """A float model from x to y."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions)


def whole(name, *numbers):
    return numpy_helper.from_array(np.array(numbers if len(numbers) > 1 else numbers[0], np.int64), name)


def complaint(model):
    """What the compiler says, within 10 seconds; None where it compiles."""
    began = time.process_time()
    try:
        compile_for_host(model)
    except TilewrightError as error:
        assert "\n" not in str(error)
        return str(error)
    finally:
        assert time.process_time() - began < 10
    return None


@pytest.fixture
def little_memory():
    """At most 1 GiB more than now."""
    tracemalloc.start()
    yield
    assert tracemalloc.get_traced_memory()[1] < 1 << 30
    tracemalloc.stop()


NODE = helper.make_node
HUGE = 1 << 15
FOLDED = {
    "Expand": (["c", "s"], [np.float32([[1]]), np.int64([HUGE, HUGE])]),
    "Tile": (["c", "s"], [np.ones((2, 2), np.float32), np.int64([HUGE, HUGE])]),
    "Pad": (["c", "s"], [np.ones((2, 2), np.float32), np.int64([0, 0, HUGE, HUGE])]),
    "ConstantOfShape": (["c"], [np.int64([HUGE, HUGE])]),
    "OneHot": (["c", "s", "v"], [np.int64([1, 2]), np.int64(1 << 29), np.float32([0, 1])]),
    "Range": (["c", "s", "v"], [np.float32(0), np.float32(1 << 30), np.float32(1)]),
}


@pytest.mark.parametrize("operator", FOLDED)
def test_constants_that_grow_are_not_made_while_compiling(little_memory, operator):
    names, arrays = FOLDED[operator]
    constants = [numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True)]
    nodes = [NODE(operator, names, ["large"]), NODE("ReduceMax", ["large"], ["one"], keepdims=0)]
    model = small([*nodes, NODE("Add", ["x", "one"], ["y"])], constants=constants)
    told = complaint(model)
    assert told is None or "elements" in told or "must have 0 to" in told, told


def test_constants_that_double(little_memory):
    nodes = [NODE("Concat", [f"c{n}"] * 2, [f"c{n + 1}"], axis=0) for n in range(40)]
    constants = [numpy_helper.from_array(np.float32([1]), "c0")]
    model = small([*nodes, NODE("Add", ["x", "c40"], ["y"])], constants=constants, shape=(1,))
    assert "must have at most" in complaint(model)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        (
            [NODE("Range", ["a", "b", "c"], ["r"]), NODE("Add", ["x", "r"], ["y"])],
            (whole("a", 0), whole("b", 1 << 60), whole("c", 1)),
        ),
        ([NODE("Reshape", ["x", "a"], ["y"])], (whole("a", 1 << 62, 4),)),
        ([NODE("Tile", ["x", "a"], ["y"])], (whole("a", 1 << 40, 1 << 40),)),
        ([NODE("Conv", ["x", "x"], ["y"], pads=[1 << 40] * 4)], ()),
        ([NODE("DFT", ["x", "a"], ["y"])], (whole("a", 1 << 40),)),
        (
            [NODE("Unsqueeze", ["x", "a"], ["i"]), NODE("Resize", ["i", "", "s"], ["y"])],
            (whole("a", 0, 1), numpy_helper.from_array(np.float32([1, 1, 1e9, 1e9]), "s")),
        ),
        (
            [NODE("Unsqueeze", ["x", "a"], ["i"]), NODE("Resize", ["i", "", "s"], ["y"])],
            (whole("a", 0, 1), numpy_helper.from_array(np.float32([1, 1, np.inf, np.nan]), "s")),
        ),
    ],
    ids=lambda value: value[-1].op_type if isinstance(value, list) else "",
)  # fmt: skip
def test_absurd_sizes(little_memory, nodes, constants):
    assert complaint(small(nodes, constants=constants))


def test_deep_and_wide_networks():
    """As deep as Python's recursion is not."""
    count = 1500
    names = ["x", *(f"v{n}" for n in range(count - 1)), "y"]
    chain = [NODE("Relu", [a], [b]) for a, b in itertools.pairwise(names)]
    assert complaint(small(chain)) is None
    assert complaint(small(chain[::-1])) is None
    many = [NODE("Neg", ["x"], [f"v{n}"]) for n in range(200)]
    assert complaint(small([*many, NODE("Concat", [f"v{n}" for n in range(200)], ["y"], axis=0)])) is None
    steep = [NODE("Erf", [a], [b]) for a, b in itertools.pairwise([*names[:30], "y"])]
    assert complaint(small(steep)) is None


def function(name, *nodes):
    return helper.make_function(
        "own", name, ["a"], ["b"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    )


def test_functions_without_end():
    call = NODE("F0", ["x"], ["y"], domain="own")
    itself = function("F0", NODE("F0", ["a"], ["b"], domain="own"))
    assert complaint(small([call], functions=[itself])).startswith("function 'F0' must not call itself")
    doubling = [
        function(f"F{n}", NODE(f"F{n + 1}", ["a"], ["c"], domain="own"), NODE(f"F{n + 1}", ["c"], ["b"], domain="own"))
        for n in range(24)
    ]
    model = small([call], functions=[*doubling, function("F24", NODE("Relu", ["a"], ["b"]))])
    assert "must expand to at most 65536 nodes, not 16777216" in complaint(model)


@pytest.mark.parametrize("name", ["Re\nlu", "R" * 100_000, "\x1b[31mRelu", ""])
def test_odd_names(name):
    assert len(complaint(small([NODE(name, ["x"], ["y"])]))) < 1200


@pytest.mark.parametrize(
    "node",
    [
        NODE("Clip", ["x"], ["y"], min="z"),
        NODE("Clip", ["x"], [], min=0.0),
        NODE("Slice", ["x"], ["y"], starts=[float("inf")], ends=[1.0]),
        NODE("Constant", [], ["y"], value=3),
        NODE("Constant", [], ["y"], value_int="a"),
        NODE("Softmax", ["x"], ["y"], axis="q"),
    ],
    ids=lambda node: node.op_type,
)
def test_attributes_of_another_kind(node):
    model = small([node])
    model.opset_import[0].version = 9
    assert complaint(model)


LOCATIONS = {
    "../outside.bin": "must lie in the model's folder",
    "link.bin": "must lie in the model's folder",
    "up/../outside.bin": "must lie in the model's folder",
    "/etc/hostname": "must lie in the model's folder",
    "": "must lie in the model's folder",
    ".": "is no file",
    "missing.bin": "is no file",
    "pipe": "is no file",
    "a\0b": "is no path",
    "a" * 5000: "is no path",
    "loop": "is no path",
}


@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: repr(location[:20]))
def test_external_data(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    outside = tmp_path / "outside.bin"
    outside.write_bytes(np.ones(4, np.float32).tobytes())
    (folder / "link.bin").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    path = folder / "model.onnx"
    path.write_bytes(small([NODE("Add", ["x", "w"], ["y"])], constants=[weight]).SerializeToString())
    assert LOCATIONS[location] in complaint(path)
