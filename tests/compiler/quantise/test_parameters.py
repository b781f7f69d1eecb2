"""Scales, zero points and weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tilewright.compiler.quantise.parameters import quantisation_of, quantise_weight, restored

ENDS = st.tuples(st.floats(-1e20, 0), st.floats(0, 1e20))


@settings(deadline=None)
@given(ENDS, st.lists(st.floats(0, 1), min_size=1))
def test_every_number_of_the_range_is_met_within_half_a_step(ends, places):
    low, high = ends
    meaning = quantisation_of(low, high)
    assert -128 <= meaning.zero_point <= 127 and meaning.scale == np.float32(meaning.scale) > 0
    values = np.array([low + (high - low) * place for place in [*places, 0, 1]], np.float32)
    error = np.abs(restored(values, meaning).astype(np.float64) - values)
    assert np.all(error <= meaning.scale * 1.001 if high - low >= 1e-30 else error < 1e-30)
    np.testing.assert_array_equal(restored(np.zeros(1, np.float32), meaning), 0)


def test_tensors_of_one_sign_use_all_integers():
    assert (quantisation_of(0, 255).scale, quantisation_of(0, 255).zero_point) == (1.0, -128)
    assert (quantisation_of(-51, 0).scale, quantisation_of(-51, 0).zero_point) == (np.float32(0.2), 127)
    assert quantisation_of(0.0, 0.0).scale == 1.0


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, (3, 2, 2), elements=st.floats(-1e6, 1e6, width=32)),
    st.integers(0, 1),
    st.floats(1e-6, 1e3),
)
def test_weights_are_met_within_half_a_step_output_for_output(weight, axis, x_scale):
    found = quantise_weight(weight, axis, bias=None, x_scale=x_scale)
    assert found.data.dtype == np.int8 and found.data.min() >= -127
    assert found.scale.shape == (weight.shape[axis],) and np.all(found.scale > 0)
    shape = [-1 if d == axis else 1 for d in range(3)]
    assert np.all(np.abs(found.real - weight) <= found.scale.reshape(shape) * 0.5001 + 1e-30)


def test_a_bias_that_weights_are_too_small_for():
    weight, bias = np.float32([[1e-9, 0], [1, -1], [0, 0]]), np.float32([50, 1, 3])
    found = quantise_weight(weight, 0, bias=bias, x_scale=1e-3)
    units = bias / (found.scale.astype(np.float64) * 1e-3)
    assert np.all(np.abs(units) < 1 << 30)
    np.testing.assert_array_equal(found.data[1], [127, -127])
