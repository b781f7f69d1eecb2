"""Histograms and the ranges that estimators choose from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tilewright.compiler.quantise.estimators import ESTIMATORS, estimate
from tilewright.compiler.quantise.histogram import Histogram
from tilewright.compiler.quantise.parameters import quantisation_of, restored

few = settings(max_examples=40, deadline=None)
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)


def histogram_of(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


def error_of(values: np.ndarray, ends: tuple[float, float]) -> float:
    return float(np.mean((restored(values, quantisation_of(*ends)).astype(np.float64) - values) ** 2))


@few
@given(st.lists(arrays.arrays(np.float32, st.integers(1, 20), elements=FLOATS), min_size=1, max_size=6), st.randoms())
def test_the_order_of_samples_does_not_matter(parts, random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    one, other, whole = histogram_of(*parts), histogram_of(*shuffled), histogram_of(np.concatenate(parts))
    for histogram in (other, whole):
        assert (histogram.low, histogram.high, histogram.width) == (one.low, one.high, one.width)
        for a, b in zip(histogram.bins(), one.bins(), strict=True):
            np.testing.assert_array_equal(a, b)


@few
@given(arrays.arrays(np.float32, st.integers(1, 60), elements=FLOATS))
def test_bins_count_what_lies_in_them(values):
    histogram = histogram_of(values)
    edges, counts = histogram.bins()
    assert counts.sum() == histogram.total == values.size
    width = histogram.width
    if not width:
        assert not values.any()
        return
    places = np.searchsorted(edges, values.astype(np.float64), side="right") - 1
    np.testing.assert_array_equal(np.bincount(places, minlength=len(edges)), counts)
    assert np.all(values < edges[places] + width) and np.all(np.diff(edges) == width)
    assert 2048 * width <= np.abs(values).max() <= 4096 * width


@pytest.mark.parametrize("estimator", ESTIMATORS)
@few
@given(arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_ranges_lie_inside_what_was_seen_and_hold_0(estimator, values):
    low, high = estimate(histogram_of(values), estimator, percentile=90)
    assert min(float(values.min()), 0) <= low <= 0 <= high <= max(float(values.max()), 0)
    if estimator == "min-max":
        assert (low, high) == (min(float(values.min()), 0), max(float(values.max()), 0))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_constant_tensors(estimator, value):
    low, high = estimate(histogram_of(np.full(100, value)), estimator)
    meaning = quantisation_of(low, high)
    np.testing.assert_allclose(restored(np.float32([value, 0]), meaning), [value, 0], rtol=0.05)


def test_percentile_cuts_off_its_share():
    values = np.random.default_rng(0).uniform(-1, 3, 100_000)
    low, high = estimate(histogram_of(values), "percentile", percentile=90)
    np.testing.assert_allclose([low, high], np.quantile(values, [0.05, 0.95]), atol=0.01)
    low, high = estimate(histogram_of(np.maximum(values, 0)), "percentile", percentile=90)
    assert low == 0
    np.testing.assert_allclose(high, np.quantile(np.maximum(values, 0), 0.9), atol=0.01)


@pytest.mark.parametrize("estimator, widest", [("mse", 45), ("entropy", 10), ("percentile", 10)])
def test_outliers_do_not_spoil_the_rest(estimator, widest):
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(0, 1, 200_000), [60.0, -45.0]]).astype(np.float32)
    low, high = estimate(histogram_of(values), estimator)
    assert -widest < low < -2.5 and 2.5 < high < widest
    assert error_of(values[:-2], (low, high)) < error_of(values[:-2], (-45.0, 60.0)) / 2


@pytest.mark.parametrize("positive", [False, True])
def test_mse_is_never_worse_than_all_that_was_seen(positive):
    random = np.random.default_rng(2)
    for tail in (0.3, 1.0, 2.0):
        values = random.standard_t(2 + 1 / tail, 5000).astype(np.float32)
        values = np.maximum(values, 0) if positive else values
        histogram = histogram_of(values)
        ends = {estimator: estimate(histogram, estimator) for estimator in ESTIMATORS}
        assert error_of(values, ends["mse"]) <= min(error_of(values, ends[e]) for e in ESTIMATORS) * 1.1
