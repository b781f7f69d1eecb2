"""The oracle's arithmetic against known values and a second formulation in unbounded integers."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.simulator.oracle.arithmetic import SCALE_ENTRY, clamp, requantise, wrap

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


def entry(multiplier: int, left: int = 0, right: int = 0, mode: int = 0) -> np.ndarray:
    return np.array([(multiplier, left, right, mode, 0xA5)], dtype=SCALE_ENTRY)


def scaled(value: int, *, bits: int = 32, **fields: int) -> int:
    return int(requantise(np.array([value]), entry(**fields), bits)[0])


def signed(value: int, bits: int = 32) -> int:
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


def half_away(value: Fraction) -> int:
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


@pytest.mark.parametrize(
    "value, expected",
    [(0, 0), (1, 1), (-1, 0), (2, 1), (-2, -1), (3, 2), (-3, -1), (5, 3), (INT_MAX, 1 << 30), (INT_MIN, -(1 << 30))],
)
def test_halves_of_the_high_product_go_up(value: int, expected: int) -> None:
    # SaturatingRoundingDoublingHighMul(value, 2^30), the multiplier that means one half.
    assert scaled(value, multiplier=1 << 30) == expected


@pytest.mark.parametrize("value, expected", [(5, 3), (-5, -3), (6, 3), (-6, -3), (7, 4), (-7, -4), (1, 1), (-1, -1)])
def test_right_shift_rounds_halves_away_from_zero(value: int, expected: int) -> None:
    # The multiplier 2^30 after a left shift of 1 changes nothing.
    assert scaled(value, multiplier=1 << 30, left=1, right=1) == expected


@pytest.mark.parametrize("value, expected", [(5, 3), (-5, -2), (7, 4), (-7, -3)])
def test_single_rounding_sends_halves_up(value: int, expected: int) -> None:
    assert scaled(value, multiplier=1 << 30, left=1, right=1, mode=1) == expected


def test_double_rounding_differs_from_single() -> None:
    # 0.4375 rounds to 0 once; in two steps 3.5 becomes 4, and 4 / 8 becomes 1.
    assert scaled(7, multiplier=1 << 30, right=3, mode=1) == 0
    assert scaled(7, multiplier=1 << 30, right=3) == 1


def test_extremes_wrap() -> None:
    assert scaled(INT_MIN, multiplier=INT_MIN) == INT_MIN
    assert scaled(INT_MIN, multiplier=INT_MIN, right=1) == -(1 << 30)
    assert scaled(INT_MIN, multiplier=INT_MIN, right=1, mode=1) == 1 << 30
    assert scaled(INT_MIN, multiplier=INT_MAX) == -INT_MAX
    assert scaled(INT_MIN, multiplier=INT_MAX, right=31) == -1
    assert scaled(INT_MAX, multiplier=INT_MAX, right=31, mode=1) == 1
    assert scaled(1 << 30, multiplier=1 << 30, left=1) == -(1 << 30)


def test_only_the_low_bits_of_an_entry_count() -> None:
    assert scaled(100, multiplier=1 << 30, left=32 + 1, right=0xE0, mode=0xFE) == 100
    assert scaled(100, multiplier=0x1234_0040, bits=8) == 50
    assert scaled(100, multiplier=0xC0, bits=8) == -50


@given(
    value=st.integers(INT_MIN, INT_MAX),
    multiplier=st.integers(INT_MIN, INT_MAX),
    left=st.integers(0, 31),
    right=st.integers(0, 31),
    mode=st.integers(0, 1),
    bits=st.integers(8, 32),
)
def test_against_exact_fractions(value: int, multiplier: int, left: int, right: int, mode: int, bits: int) -> None:
    product = Fraction(signed(value << left) * signed(multiplier, bits), 1 << (bits - 1))
    if mode:
        expected = floor(product / (1 << right) + Fraction(1, 2))
    else:
        high = signed(floor(product + Fraction(1, 2)))
        expected = half_away(Fraction(high, 1 << right))
    fields = {"multiplier": multiplier, "left": left, "right": right, "mode": mode}
    assert scaled(value, bits=bits, **fields) == signed(expected)


def test_wrap_and_clamp() -> None:
    assert wrap(np.array([1 << 31, -(1 << 31) - 1, 5])).tolist() == [INT_MIN, INT_MAX, 5]
    assert wrap(np.array([255, 256, -256, -257]), 9).tolist() == [255, -256, -256, 255]
    assert clamp(np.array([-5, 0, 5]), -1, 1).tolist() == [-1, 0, 1]
    assert clamp(np.array([-5, 0, 5]), 3, -3).tolist() == [-3, -3, -3]
