"""Arithmetic and functions of one element, lane by lane and one by one, against NumPy in double precision."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilewright.compiler import te

REFERENCE = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "abs": np.abs,
}
INPUTS = {"log": (1e-44, 3e38), "sqrt": (0, 3e38), "exp": (-87, 88.5), "tanh": (-12, 12), "sigmoid": (-80, 80)}
ULP = {"exp": 2, "log": 2, "tanh": 4, "sigmoid": 4}


def samples(function):
    low, high = INPUTS.get(function, (-1e7, 1e7))
    rng = np.random.default_rng(5)
    if low > 0:
        return np.exp(rng.uniform(np.log(low), np.log(high), 200_003)).astype(np.float32)
    spread = rng.uniform(low, high, 150_000)
    near = rng.uniform(max(low, -1), 1, 50_003)
    return np.concatenate([spread, near]).astype(np.float32)


def elementwise(function, dtype, size):
    x = te.placeholder((size,), dtype, "x")
    return x, te.compute((size,), lambda i: getattr(te, function)(x[i]), "y")


@pytest.mark.parametrize("function", REFERENCE)
def test_error_in_units_in_the_last_place(run, function):
    data = samples(function)
    x, y = elementwise(function, "float32", data.size)
    exact = REFERENCE[function](data.astype(np.float64))
    error = np.abs(run(y, {x: data}).astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() <= ULP.get(function, 0.5)


@pytest.mark.parametrize(
    ("function", "given_", "expected"),
    [
        ("exp", [-np.inf, -1000, -104, 89, 1000, np.inf, np.nan, 0], [0, 0, 0, np.inf, np.inf, np.inf, np.nan, 1]),
        ("log", [0, -1, np.inf, 1, np.nan], [-np.inf, np.nan, np.inf, 0, np.nan]),
        ("tanh", [-np.inf, -100, 100, np.inf, np.nan, -0.0], [-1, -1, 1, 1, np.nan, -0.0]),
        ("sigmoid", [-np.inf, np.inf, np.nan], [0, 1, np.nan]),
        ("round", [0.5, 1.5, -0.5, 2.0**23 + 1, -1e30, np.inf, np.nan, 8388607.5], None),
        ("floor", [-0.5, 0.99999994, -1e30, np.nan, -8388607.5], None),
        ("ceil", [-0.5, 0.5, 1e30, np.nan, 8388607.5], None),
    ],
)
def test_edges(run, function, given_, expected):
    data = np.array(given_, np.float32)
    x, y = elementwise(function, "float32", data.size)
    expected = REFERENCE[function](data) if expected is None else np.array(expected, np.float32)
    result = run(y, {x: data})
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(np.signbit(result[~np.isnan(expected)]), np.signbit(expected[~np.isnan(expected)]))


def test_exp_below_the_normal_range(run):
    data = np.linspace(-103.9, -87.4, 1001).astype(np.float32)
    x, y = elementwise("exp", "float32", data.size)
    exact = np.exp(data.astype(np.float64))
    assert np.abs(run(y, {x: data}) - exact).max() <= 1.5 * 2.0**-149 + exact.max() * 2.0**-22


def test_doubles(run):
    data = np.array([0.5, 1.5, 2.0**52 + 1, -3.7, 1e300, -0.2])
    x, y = elementwise("round", "float64", data.size)
    np.testing.assert_array_equal(run(y, {x: data}), np.rint(data))
    for function, (low, high) in {"exp": (-700, 700), "log": (1e-300, 1e300), "tanh": (-20, 20)}.items():
        data = np.linspace(low, high, 10_001)
        x, y = elementwise(function, "float64", data.size)
        np.testing.assert_allclose(run(y, {x: data}), REFERENCE[function](data), rtol=4e-15)


def test_the_generic_cpu_gives_the_same_bits(run):
    data = np.linspace(-80, 80, 4001).astype(np.float32)
    for function in ("exp", "tanh", "sigmoid"):
        x, y = elementwise(function, "float32", data.size)
        native, generic = run(y, {x: data}), run(y, {x: data}, cpu="generic")
        np.testing.assert_array_equal(native.view(np.int32), generic.view(np.int32))


@settings(max_examples=25, deadline=None)
@given(
    op=st.sampled_from(["add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "and_", "or_", "xor"]),
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32", "int64"]),
    size=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_integer_arithmetic_is_numpys(run, meaning, op, dtype, size, seed):
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, size, endpoint=True).astype(dtype)
    b = rng.integers(info.min, info.max, size, endpoint=True).astype(dtype)
    if op in ("floordiv", "mod"):
        b[b == 0] = 3
        a[(a == info.min) & (b == -1 if info.min < 0 else False)] = 5
    if op in ("lshift", "rshift"):
        b = (b % (8 * b.itemsize)).astype(dtype)
    x, y = te.placeholder((size,), dtype, "x"), te.placeholder((size,), dtype, "y")
    z = te.compute((size,), lambda i: getattr(operator, op)(x[i], y[i]), "z")
    np.testing.assert_array_equal(run(z, {x: a, y: b}), meaning(z, {x: a, y: b}))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_comparisons_and_choices(run, dtype):
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 53).astype(dtype), rng.integers(0, 5, 53).astype(dtype)
    if dtype == "float32":
        a[::7] = np.nan
    x, y = te.placeholder(a.shape, dtype, "x"), te.placeholder(b.shape, dtype, "y")
    cases = {
        "lt": (lambda p, q: p < q, a < b),
        "le": (lambda p, q: p <= q, a <= b),
        "gt": (lambda p, q: p > q, a > b),
        "ge": (lambda p, q: p >= q, a >= b),
        "eq": (te.equal, a == b),
        "ne": (te.not_equal, a != b),
    }
    for name, (build, expected) in cases.items():
        z = te.compute(a.shape, lambda i, build=build: build(x[i], y[i]), name)
        np.testing.assert_array_equal(run(z, {x: a, y: b}), expected)
    chosen = te.compute(a.shape, lambda i: te.where(x[i] < y[i], x[i], y[i]), "chosen")
    np.testing.assert_array_equal(run(chosen, {x: a, y: b}), np.where(a < b, a, b))
