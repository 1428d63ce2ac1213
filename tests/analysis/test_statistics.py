"""Intervals and probabilities against scipy.stats, their coverage, and what becomes of values that do not vary."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import Interval, mean_interval, probability_negative, variance_reduction

SAMPLES = 2000


def sample(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, size)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("size", [2, 3, 10, 500])
def test_interval_is_that_of_student(size, level):
    values = sample(size)
    found = mean_interval(values, level)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    assert found.mean == pytest.approx(values.mean(), rel=1e-14)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.half_width == pytest.approx((expected.high - expected.low) / 2, rel=1e-9)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_covers_the_mean_as_often_as_it_says(level):
    """Error rate 1e-3: the count of 2000 lies between the quantiles 0.0005 and 0.9995 of its binomial."""
    values = np.random.default_rng(1).normal(5.0, 3.0, (SAMPLES, 8))
    intervals = [mean_interval(row, level) for row in values]
    covered = sum(found.low <= 5.0 <= found.high for found in intervals)
    low, high = stats.binom.ppf([0.0005, 0.9995], SAMPLES, level)
    assert low <= covered <= high


def test_interval_moves_and_stretches_with_the_values():
    values = sample(12)
    plain, moved = mean_interval(values), mean_interval(10.0 - 4.0 * values)
    assert moved == pytest.approx((10 - 4 * plain.mean, 10 - 4 * plain.high, 10 - 4 * plain.low), rel=1e-12)


def test_values_that_are_missing_are_left_out():
    values = sample(9)
    with_holes = np.insert(values, [0, 4, 9], math.nan)
    assert mean_interval(with_holes) == mean_interval(values)
    assert mean_interval([math.nan, 2.0])[0] == 2.0


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.nan]])
def test_nothing_has_no_mean(values):
    assert all(math.isnan(number) for number in mean_interval(values))
    assert math.isnan(mean_interval(values).half_width)


@pytest.mark.parametrize("values", [[7.5], [7.5, math.nan]])
def test_one_value_has_a_mean_and_no_bounds(values):
    found = mean_interval(values)
    assert found.mean == 7.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("values", [[0.0] * 5, [0.1] * 7, [-1e12] * 3, [0.3, 0.1 + 0.2, 0.3]])
def test_values_equal_but_for_rounding_have_an_interval_of_no_width(values):
    found = mean_interval(values)
    assert found.low == found.mean == found.high
    assert found.mean == pytest.approx(values[0], rel=1e-15)


def test_a_small_spread_around_a_large_mean_is_no_rounding():
    values = 1e9 + np.array([-1.0, 0.0, 1.0])
    assert mean_interval(values).half_width == pytest.approx(stats.t.ppf(0.975, 2) / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0, math.nan])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(ValueError, match=r"level: got .*, expected a number between 0 and 1"):
        mean_interval([1.0, 2.0], level)


def test_interval_is_a_plain_tuple():
    assert Interval(1.0, 0.0, 4.0).half_width == 2.0
    assert tuple(Interval(1.0, 0.0, 4.0)) == (1.0, 0.0, 4.0)


@pytest.mark.parametrize("shift", [-9.0, -3.2, -3.0, 0.0, 5.0])
@pytest.mark.parametrize("size", [2, 5, 40])
def test_probability_is_the_p_value_of_the_opposite(size, shift):
    gap = sample(size) + shift
    expected = stats.ttest_1samp(gap, 0.0, alternative="greater").pvalue
    assert probability_negative(gap) == pytest.approx(expected, rel=1e-9)


def test_probability_of_paired_values():
    a, b = sample(15), sample(15, seed=1)
    expected = stats.ttest_rel(a, b, alternative="greater").pvalue
    assert probability_negative(a - b) == pytest.approx(expected, rel=1e-9)
    assert probability_negative(b - a) == pytest.approx(1.0 - expected, rel=1e-9)


def test_probability_is_uniform_when_nothing_differs():
    """Error rate 1e-3: Kolmogorov-Smirnov on 2000 samples."""
    gaps = np.random.default_rng(2).normal(0.0, 4.0, (SAMPLES, 6))
    assert stats.kstest([probability_negative(gap) for gap in gaps], "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ([-1.0, -1.0], 1.0),
        ([1.0, 1.0, 1.0], 0.0),
        ([0.0, 0.0], 0.5),
        ([0.3, 0.1 + 0.2], 0.0),
        ([-0.3, -0.1 - 0.2], 1.0),
    ],
)
def test_probability_without_spread(gap, expected):
    assert probability_negative(gap) == expected


@pytest.mark.parametrize("gap", [[], [-3.0]])
def test_probability_of_too_few_is_not_known(gap):
    assert math.isnan(probability_negative(gap))


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5, 0.9])
def test_variance_reduction_of_correlated_values(correlation):
    """1 / (1 - rho) for equal variances; 8000 pairs are within 10 % (standard error below 1.6 %: 6 sigma)."""
    covariance = [[1.0, correlation], [correlation, 1.0]]
    a, b = np.random.default_rng(3).multivariate_normal([0.0, 5.0], covariance, 8000).T
    assert variance_reduction(a, b) == pytest.approx(1.0 / (1.0 - correlation), rel=0.1)


def test_variance_reduction_by_hand():
    a, b = [1.0, 2.0, 3.0], [1.0, 3.0, 5.0]
    assert variance_reduction(a, b) == pytest.approx((1.0 + 4.0) / 1.0)
    assert variance_reduction(b, a) == variance_reduction(a, b)
    assert variance_reduction(a, [-1.0, -2.0, -3.0]) == pytest.approx(0.5)


@pytest.mark.parametrize("other", [[1.0, 2.0, 4.0], [3.0, 4.0, 6.0]])
def test_variance_reduction_is_infinite_when_the_difference_never_varies(other):
    assert variance_reduction([1.0, 2.0, 4.0], other) == math.inf


def test_variance_reduction_of_one_world_is_no_number_and_no_warning():
    assert not math.isfinite(variance_reduction([1.0], [2.0]))
