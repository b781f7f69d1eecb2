"""A schedule moves loops and never a value; what it cannot do, it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilewright.compiler import host, te
from tilewright.compiler.te import layout, nn
from tilewright.compiler.te.loops import For, Nest, statements
from tilewright.driver.host import HostFunctions


def run(output, feeds, schedule):
    function = host.lower_call("f", list(feeds), [output], schedule)
    result = np.zeros(output.shape, output.dtype)
    workspace = np.zeros(max(function.workspace_bytes, 1), np.uint8)
    HostFunctions(host.build([function])).call("f", [*feeds.values(), result, workspace])
    return result


def random(tensor, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, tensor.shape).astype(tensor.dtype)


def convolution(pads=(1, 1, 1, 1)):
    x, w = te.placeholder((1, 5, 7, 11), "int8", "x"), te.placeholder((6, 5, 3, 3), "int8", "w")
    return nn.conv2d(x, w, pads=pads), {x: random(x), w: random(w, 1)}


def kinds(function):
    return [node.kind for node in statements(function.body) if isinstance(node, For)]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_schedules_of_a_convolution_keep_its_values(data):
    y, feeds = convolution()
    schedule = te.Schedule(y)
    padded = next(tensor for tensor in schedule.stages if tensor is not y)
    stage = schedule[y]
    for _ in range(data.draw(st.integers(0, 3))):
        stage.split(data.draw(st.sampled_from(stage.leaves)), data.draw(st.integers(1, 5)))
    stage.reorder(*data.draw(st.permutations(stage.leaves)))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(stage.leaves) - 2))
        outer, inner = stage.leaves[place : place + 2]
        if outer.reduce == inner.reduce:
            stage.fuse(outer, inner)
    if not stage.leaves[-1].reduce and data.draw(st.booleans()):
        stage.vectorize(stage.leaves[-1], data.draw(st.sampled_from([2, 4, 16])))
    stage.unroll(min(stage.leaves, key=lambda axis: axis.extent))
    where = data.draw(st.sampled_from(["inline", "root", "at"]))
    if where == "inline":
        schedule[padded].inline()
    elif where == "at":
        schedule[padded].compute_at(stage, data.draw(st.sampled_from(stage.leaves[:-1])))
    np.testing.assert_array_equal(run(y, feeds, schedule), te.evaluate([y], feeds)[0])


def test_split_vectorised_with_a_remainder_masks_the_last_lanes():
    x = te.placeholder((3, 30), "float32", "x")
    y = te.compute((3, 30), lambda i, j: te.where(j < 25, x[i, j] + 1.0, 0.0), "y")
    schedule = te.Schedule(y)
    _, inner = schedule[y].split(schedule[y].axes[1], 16)
    schedule[y].vectorize(inner, 16)
    feeds = {x: np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)}
    np.testing.assert_array_equal(run(y, feeds, schedule), te.evaluate([y], feeds)[0])


def test_tile_orders_the_loops():
    y, _ = convolution()
    stage = te.Schedule(y)[y]
    outer_y, outer_x, inner_y, inner_x = stage.tile(stage.axes[2], stage.axes[3], 2, 4)
    assert stage.leaves[2:6] == [outer_y, outer_x, inner_y, inner_x]
    assert [axis.extent for axis in (outer_y, outer_x, inner_y, inner_x)] == [4, 3, 2, 4]


def test_compute_at_allocates_only_the_part_needed():
    y, feeds = convolution()
    schedule = te.Schedule(y)
    padded = next(tensor for tensor in schedule.stages if tensor is not y)
    schedule[padded].compute_at(schedule[y], schedule[y].axes[2])
    function = te.verify(te.lower("f", schedule, list(feeds)))
    assert function.scratch[0].shape == (1, 5, 3, 13)


def test_a_large_intermediate_lives_in_the_workspace():
    x = te.placeholder((200, 300), "float32", "x")
    middle = te.compute(x.shape, lambda i, j: x[i, j] * 2.0, "middle")
    y = te.compute(x.shape, lambda i, j: middle[199 - i, j] + middle[i, j], "y")
    schedule = te.Schedule(y)
    assert host.lower_call("f", [x], [y], schedule).workspace_bytes == x.nbytes
    feeds = {x: np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)}
    np.testing.assert_array_equal(run(y, feeds, schedule), te.evaluate([y], feeds)[0])


def test_two_outputs():
    x = te.placeholder((4, 9), "int8", "x")
    a = te.compute(x.shape, lambda i, j: x[i, j].astype("int32") * 3, "a")
    b = layout.transpose(a, (1, 0))
    function = host.lower_call("f", [x], [a, b])
    results = [np.zeros(t.shape, t.dtype) for t in (a, b)]
    data = random(x)
    HostFunctions(host.build([function])).call("f", [data, *results])
    np.testing.assert_array_equal(results[0], data.astype(np.int32) * 3)
    np.testing.assert_array_equal(results[1], results[0].T)


@pytest.mark.parametrize("size", [7, 16, 64, 100, 203])
@pytest.mark.parametrize("outer", [1, 2])
def test_dense_tensorised_with_the_dot_product(size, outer):
    x, w = te.placeholder((2, outer * size), "int8", "x"), te.placeholder((5, outer * size), "int8", "w")
    y = nn.dense(x, w)
    schedule = te.Schedule(y)
    _, inner = schedule[y].split(schedule[y].reduce_axes[0], size)
    schedule[y].tensorize(inner, host.DOT_INT8)
    nest = [n for n in statements(te.lower("f", schedule, [x, w]).body) if isinstance(n, Nest)]
    assert [n.bounds for n in nest] == [(size,)]
    assert nest[0].initialise == (outer == 1)
    feeds = {x: random(x), w: random(w, 1)}
    np.testing.assert_array_equal(run(y, feeds, schedule), te.evaluate([y], feeds)[0])


def test_a_convolution_becomes_one_nest():
    y, feeds = convolution(pads=(0, 0, 0, 0))
    schedule = te.Schedule(y)
    schedule[y].tensorize(schedule[y].axes[1], te.Intrinsic("gemm"))
    nest = te.verify(te.lower("f", schedule, list(feeds))).body.body[0]
    assert nest.bounds == (6, 5, 9, 5, 3, 3)
    assert nest.operands[0][1].along(nest.axes) == (0, 11, 1, 77, 11, 1)
    assert nest.operands[1][1].along(nest.axes) == (45, 0, 0, 9, 3, 1)
    assert nest.reduces == (False, False, False, True, True, True)
    assert nest.initialise


def test_elementwise_producers_are_inlined_and_loops_vectorised_by_default():
    x = te.placeholder((2, 40), "float32", "x")
    y = nn.relu(nn.add(x, x))
    function = host.lower_call("f", [x], [y])
    assert not function.scratch
    assert "vector" in kinds(function)


def test_misuse_is_refused():
    y, feeds = convolution()
    x = next(iter(feeds))
    stage = te.Schedule(y)[y]
    with pytest.raises(ValueError, match="is a reduction and must not be inlined"):
        stage.inline()
    with pytest.raises(ValueError, match="must be the innermost loop"):
        stage.vectorize(stage.axes[0])
    with pytest.raises(ValueError, match="must be a power of two"):
        stage.reorder(stage.axes[0], *stage.reduce_axes, stage.axes[3])
        stage.vectorize(stage.leaves[-1], 12)
    with pytest.raises(ValueError, match="must be a loop of conv2d"):
        stage.split(te.reduce_axis(3), 2)
    with pytest.raises(ValueError, match="split factor"):
        stage.split(stage.axes[1], 0)
    with pytest.raises(ValueError, match="must be a computed tensor"):
        te.Schedule(x)
    with pytest.raises(ValueError, match="must be among the inputs"):
        te.lower("f", te.Schedule(y), [x])
    with pytest.raises(ValueError, match="a reduction must be the whole expression"):
        k = te.reduce_axis(3)
        te.compute((2,), lambda i: te.sum(x[0, i, 0, k], k) + 1)
    with pytest.raises(TypeError, match="both sides must have one dtype"):
        te.compute((2,), lambda i: x[0, i, 0, 0] + x[0, i, 0, 0].astype("int32"))
    with pytest.raises(TypeError, match="has no truth value"):
        te.compute((2,), lambda i: 1 if i < 1 else 0)


def test_long_chains_of_operators_stay_small():
    x = te.placeholder((33,), "int32", "x")
    chain = [x]
    for n in range(200):
        chain.append(te.compute(x.shape, lambda i, n=n: chain[n][i] * chain[n][i] + chain[n][i], f"t{n}"))
    function = host.lower_call("f", [x], [chain[-1]])
    data, result = np.arange(33, dtype=np.int32), np.zeros(33, np.int32)
    HostFunctions(host.build([function])).call("f", [data, result])
    expected = data
    for _ in range(200):
        expected = expected * expected + expected
    np.testing.assert_array_equal(result, expected)


def test_softmax_between_elementwise_operators_runs_row_by_row_in_small_scratch():
    x = te.placeholder((300, 40), "int8", "x")
    y = nn.quantize(nn.softmax(nn.dequantize(x, 0.1, 3)), 1 / 256, -128, "int8")
    function = host.lower_call("f", [x], [y])
    assert {tensor.shape for tensor in function.scratch} == {(1,), (1, 40)}
    feeds = {x: random(x)}
    difference = run(y, feeds, None).astype(int) - te.evaluate([y], feeds)[0]
    assert np.abs(difference).max() <= 1


def test_a_softmax_read_across_its_rows_is_computed_once():
    x = te.placeholder((300, 40), "float32", "x")
    y = layout.transpose(nn.softmax(x), (1, 0))
    function = host.lower_call("f", [x], [y])
    assert {tensor.shape for tensor in function.scratch} == {(300,), (300, 40)}
    feeds = {x: np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)}
    np.testing.assert_allclose(run(y, feeds, None), te.evaluate([y], feeds)[0], rtol=1e-5)


def test_a_costly_element_is_not_computed_again_for_each_result():
    x, w = te.placeholder((1, 30), "float32", "x"), te.placeholder((20, 30), "float32", "w")
    y = nn.dense(nn.relu(te.compute(x.shape, lambda i, j: te.exp(x[i, j]), "powers")), w)
    assert [tensor.shape for tensor in host.lower_call("f", [x, w], [y]).scratch] == [(1, 30)]
