"""Affine forms, ranges, flat indices; and the verifier that stands on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.compiler import te
from tilewright.compiler.te.loops import Block, For, Function, Guard, Store
from tilewright.compiler.te.tensor import compute
from tilewright.isa.nest import Access, Nest

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def axes(*extents):
    return compute(extents, lambda *_: 0).axes


def value(node, point):
    """A number for an index expression at a point of the axes."""
    if isinstance(node, te.Axis):
        return point[node]
    if isinstance(node, te.Const):
        return node.value
    a, b = (value(child, point) for child in node.children)
    return {"add": a + b, "sub": a - b, "mul": a * b, "floordiv": b and a // b, "mod": b and a % b,
            "min": min(a, b), "max": max(a, b)}[node.op]  # fmt: skip


Y, X = axes(5, 7)
INDEX = st.recursive(
    st.one_of(st.just(Y), st.just(X), st.integers(-6, 6).map(lambda n: te.Const(n, "int64"))),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, st.integers(-4, 4)).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.integers(1, 5)).map(lambda p: p[0] // p[1]),
        st.tuples(inner, st.integers(1, 5)).map(lambda p: p[0] % p[1]),
        st.tuples(inner, inner).map(lambda p: te.minimum(*p)),
    ),
    max_leaves=8,
)
POINTS = [{Y: i, X: j} for i in range(5) for j in range(7)]


@given(node=INDEX)
def test_affine_form_and_interval_hold_everywhere(node):
    values = [value(node, point) for point in POINTS]
    low, high = te.interval(node, {})
    assert low <= min(values)
    assert max(values) <= high
    form = te.affine(node)
    if form is not None:
        assert values == [form.base + sum(s * p[a] for a, s in form.terms.items()) for p in POINTS]
        assert [value(form.expression(), point) for point in POINTS] == values
        assert (low, high) == (min(values), max(values))
    stride = te.stride_along(node, X)
    if stride is not None:
        assert all(value(node, {Y: i, X: 3}) - value(node, {Y: i, X: 2}) == stride for i in range(5))


def test_what_is_shared_is_looked_at_once():
    """Written out, the expression has 2^200 leaves."""
    node = Y // 2
    for _ in range(200):
        node = te.minimum(node, node + 1)
    assert te.interval(node, {}) == (0, 2)
    assert te.interval(node, {X: (1, 2), Y // 2: (1, 1)}) == (1, 1)
    assert node in {node: None}


@given(shape=SIZES)
def test_flat_index_undoes_unravel(shape):
    (flat,) = axes(int(np.prod(shape)))
    if flat.extent > 1:
        found = te.flat_index(shape, te.unravel(flat, shape))
        assert [value(found, {flat: n}) for n in range(flat.extent)] == list(range(flat.extent))
        assert te.stride_along(found, flat) == 1


def test_address_of_a_load_is_an_instructions_access():
    x = te.placeholder((1, 4, 9, 9), "int8", "x")
    (oh, ow), ci, kh = axes(3, 4), te.reduce_axis(4), te.reduce_axis(3)
    load = x[0, ci, oh * 2 + kh, ow * 2 + 1]
    form = te.address(x.strides, load.indices)
    nest = Nest((3, 4, 4, 3))
    addresses = Access(form.base, form.along([oh, ow, ci, kh])).addresses(nest)
    flat = np.arange(x.size).reshape(x.shape)
    expected = [
        [[[flat[0, c, 2 * h + k, 2 * w + 1] for k in range(3)] for c in range(4)] for w in range(4)] for h in range(3)
    ]
    np.testing.assert_array_equal(addresses, expected)
    assert form.only([oh, ow, ci, kh])
    assert not form.only([oh, ow])


def test_products_of_axes_are_not_affine():
    assert te.affine(Y * X) is None
    assert te.affine(Y // 2) is None
    assert te.address((7, 1), (Y, X % 2)) is None


def function(body, tensors, outputs):
    return Function(name="f", inputs=tuple(tensors), outputs=tuple(outputs), body=body)


def test_the_verifier_finds_what_is_wrong():
    x, y = te.placeholder((5,), "int8", "x"), te.placeholder((5,), "int8", "y")
    other = te.placeholder((5,), "int8", "other")
    (i,) = axes(6)
    zero = te.Const(0, "int8")
    loop = For(i, 5, Store(y, (i,), x[i]))
    te.verify(function(loop, [x], [y]))
    guarded = For(i, 6, Guard(i < 5, Store(y, (i,), x[i])))
    te.verify(function(guarded, [x], [y]))
    chosen = For(i, 5, Store(y, (i,), te.where(te.all_of(i - 1 >= 0, i - 1 < 3), x[i - 1], zero)))
    te.verify(function(chosen, [x], [y]))
    never = For(i, 5, Store(y, (i,), te.where(i + 7 < 5, x[i + 7], x[i])))
    te.verify(function(never, [x], [y]))
    te.verify(function(For(i, 5, Guard(i + 7 < 5, Store(y, (i + 7,), zero))), [x], [y]))
    wrong = {
        "beyond 0 to 4": For(i, 6, loop.body),
        "index .* from -1": For(i, 5, Store(y, (i,), x[i - 1])),
        "used outside its loop": loop.body,
        "is in use": For(i, 5, loop),
        "inside a vector loop": For(axes(4)[0], 4, loop, "vector"),
        "not a power of two": For(i, 5, loop.body, "vector"),
        "neither output nor scratch": For(i, 5, Store(x, (i,), zero)),
        "gets int32": For(i, 5, Store(y, (i,), x[i].astype("int32"))),
        "not a buffer": For(i, 5, Store(y, (i,), other[i])),
        "a reduction is left": Store(y, (te.Const(0, "int64"),), te.sum(zero, te.reduce_axis(2))),
        "has extent 0": For(i, 0, loop.body),
    }
    for message, body in wrong.items():
        with pytest.raises(te.VerificationError, match=message):
            te.verify(function(Block((body,)), [x], [y]))
