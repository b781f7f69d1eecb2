"""Real factors as multiplier and shifts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.compiler.requantise import Requantiser

FACTORS = st.floats(1e-9, 1000.0)


@given(FACTORS, st.integers(-(1 << 20), 1 << 20), st.sampled_from([32, 24, 16]))
def test_close_to_the_real_product(factor, accumulator, bits):
    requantiser = Requantiser.from_factor(factor, bits=bits)
    exact = factor * accumulator
    if abs(exact) > 1 << 30 or abs(accumulator) << int(requantiser.left[0]) >= 1 << 31:
        return
    got = int(requantiser.apply(np.array([accumulator]), axis=0)[0])
    assert abs(got - exact) <= 0.5 + abs(exact) * 2.0 ** (2 - bits)


@given(FACTORS)
def test_fields_fit(factor):
    requantiser = Requantiser.from_factor(factor, bits=32)
    assert 0 <= int(requantiser.multiplier[0]) < 1 << 31
    assert 0 <= int(requantiser.left[0]) <= 31 and 0 <= int(requantiser.right[0]) <= 31
    entry = requantiser.cells(1)
    assert len(entry) == 8 and entry[6] == 1
    assert int.from_bytes(entry[:4], "little") == int(requantiser.multiplier[0])


def test_vanishing_and_channels():
    requantiser = Requantiser.from_factor(np.array([0.5, 1e-30, 2.0]), bits=32)
    sums = np.array([[[100]], [[100]], [[100]]])[None]
    assert requantiser.apply(sums)[0, :, 0, 0].tolist() == [50, 0, 200]
    assert np.frombuffer(requantiser.cells(4), np.int32)[6] == 0


def test_halves_go_up():
    requantiser = Requantiser.from_factor(0.5, bits=32)
    assert requantiser.apply(np.array([1, 3, -1, -3]), axis=0).tolist() == [1, 2, 0, -1]


def test_too_large():
    with pytest.raises(OverflowError):
        Requantiser.from_factor(2.0**40, bits=32)
