"""Scores of samples against SciPy and NumPy: KS and its p-value, W1, maximum mean discrepancy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sim.kernels.ks_probability import ks_p_value
from sim.kernels.scores import ks, ks_and_wasserstein, ks_test, median_distance, mmd, wasserstein


def pairs():
    rng = np.random.default_rng(21)
    for n, m in ((1, 1), (2, 7), (40, 40), (64, 65), (300, 117), (2000, 2000), (900, 1301)):
        for shift in (0.0, 0.2, 1.0):
            a, b = rng.normal(size=n), rng.normal(shift, 1.2, m)
            yield a, b
            yield a.round(), b.round()  # ties within and between
    yield np.zeros(50), np.zeros(70)
    yield np.zeros(50), np.ones(20)
    yield np.repeat([0.0, 1.0, 2.0], 500), np.repeat([0.0, 1.0, 3.0], [1, 700, 80])
    yield rng.normal(size=20_000), rng.normal(0.02, 1.0, 30_000)  # past the exact p-value
    yield rng.normal(size=500), rng.normal(0.02, 1.0, 10_001)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ks_test_and_wasserstein_equal_scipy(dtype):
    for a, b in ((a.astype(dtype), b.astype(dtype)) for a, b in pairs()):
        peer, test = stats.ks_2samp(a, b), ks_test(a, b)
        assert test.statistic == pytest.approx(peer.statistic, rel=1e-12, abs=1e-15)
        assert test.p_value == pytest.approx(peer.pvalue, rel=1e-9, abs=1e-12)
        distance = stats.wasserstein_distance(a.astype(float), b.astype(float))
        assert wasserstein(a, b) == pytest.approx(distance, rel=1e-12, abs=1e-12)
        assert ks_and_wasserstein(a, b) == (ks(a, b), wasserstein(a, b))


def test_small_p_values_keep_their_digits():
    for n, m in ((60, 60), (60, 61), (200, 150)):
        a, b = np.arange(n) / n, np.arange(m) / m + 0.9
        assert ks_test(a, b).p_value == pytest.approx(stats.ks_2samp(a, b).pvalue, rel=1e-9)
    assert ks_p_value(1.0, 60, 61) == pytest.approx(2 / math.comb(121, 60), rel=1e-10)
    assert ks_p_value(0.0, 5, 6) == 1.0
    for statistic, n, m in ((-0.1, 3, 3), (1.1, 3, 3), (0.5, 0, 3), (math.nan, 3, 3)):
        with pytest.raises(ValueError, match="statistic"):
            ks_p_value(statistic, n, m)


tied = arrays(np.float64, st.integers(1, 60), elements=st.integers(-9, 9).map(float))


@settings(derandomize=True, deadline=None)
@given(tied, tied)
def test_sorted_kernels_equal_the_definitions(a, b):
    """Branch and bound, and the integral over quantiles, against distribution functions at all values."""
    grid = np.unique(np.concatenate((a, b)))
    f, g = ((x[:, None] <= grid).mean(axis=0) for x in (a, b))
    score = ks_and_wasserstein(a, b)
    assert score.ks == pytest.approx(np.abs(f - g).max(), rel=1e-12, abs=1e-15)
    area = (np.abs(f - g)[:-1] * np.diff(grid)).sum()
    assert score.wasserstein == pytest.approx(area, rel=1e-12, abs=1e-12)
    assert ks(np.exp(a), np.exp(b)) == score.ks
    assert ks(b, a) == score.ks


# --- maximum mean discrepancy ---


def plain_mmd(a, b, bandwidth, biased):
    def gram(x, y):
        return np.exp(-((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2) / (2 * bandwidth**2))

    aa, bb, ab = gram(a, a), gram(b, b), gram(a, b)
    if biased:
        return aa.mean() + bb.mean() - 2 * ab.mean()
    n, m = len(a), len(b)
    return (
        (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * ab.mean()
    )


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("biased", [False, True])
def test_mmd_equals_the_sums(columns, biased):
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(80, columns)), rng.normal(0.5, 1.5, (61, columns))
    both = np.concatenate((a, b))
    distances = np.linalg.norm(both[:, None] - both[None], axis=2)[np.triu_indices(len(both), 1)]
    assert median_distance(both) == pytest.approx(np.median(distances), rel=1e-12)
    for bandwidth in (0.3, 2.0, None):
        exact = plain_mmd(a, b, bandwidth or np.median(distances), biased)
        assert mmd(a, b, bandwidth=bandwidth, biased=biased) == pytest.approx(exact, rel=1e-12, abs=1e-15)
    if columns == 1:
        assert mmd(a[:, 0], b[:, 0]) == mmd(a, b)


def test_mmd_of_a_subsample_is_repeatable_and_near_that_of_all_rows():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=3000), rng.normal(1.0, size=2000)
    whole = mmd(a, b, subsample=None, bandwidth=1.0)
    part = mmd(a, b, subsample=500, bandwidth=1.0, seed=3)
    assert part == mmd(a, b, subsample=500, bandwidth=1.0, seed=3) != mmd(a, b, subsample=500, bandwidth=1.0)
    # In law: kernel means of normals. Five times the noise, which is below 0.01 at 500 rows.
    law = 2 / math.sqrt(3) * (1 - math.exp(-1 / 6))
    assert whole == pytest.approx(law, abs=0.02)
    assert part == pytest.approx(law, abs=0.05)


def test_mmd_without_drift_is_about_zero():
    rng = np.random.default_rng(7)
    a = rng.normal(size=(200, 2))
    assert mmd(a, a, biased=True) == pytest.approx(0.0, abs=1e-15)
    assert mmd(np.ones(5), np.ones(9)) == 0.0
    draws = [mmd(rng.normal(size=50), rng.normal(size=50), bandwidth=1.0) for _ in range(300)]
    # Unbiased: five standard errors of the mean of 300 draws.
    assert abs(np.mean(draws)) < 5 * np.std(draws) / math.sqrt(300)
    assert min(draws) < 0


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, "at least 2 rows"),
        ([1.0, math.nan], [1.0, 2.0], {}, "reference must be finite"),
        ([1.0, 2.0], [1.0, math.inf], {}, "current must be finite"),
        (np.zeros((3, 2)), np.zeros((3, 1)), {}, "2 and 1 columns"),
        ([1.0, 2.0], [1.0, 2.0], {"bandwidth": 0.0}, "bandwidth"),
        ([1.0, 2.0], [1.0, 2.0], {"subsample": 1}, "subsample"),
    ],
)
def test_mmd_refuses(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        mmd(a, b, **options)
