"""Warm-up and batch means against their definitions, and on AR(1) series whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from analysis.statistics import batch_means, mean_interval, mser


def series(size: int, correlation: float, seed: int, start: float = 0.0, skewed: bool = False) -> np.ndarray:
    """AR(1) around 0, stationary but for a shift `start` that decays with it."""
    rng = np.random.default_rng(seed)
    noise = rng.exponential(size=size) - 1.0 if skewed else rng.standard_normal(size)
    first = rng.standard_normal() / math.sqrt(1.0 - correlation**2) + start
    return lfilter([1.0], [1.0, -correlation], noise, zi=[correlation * first])[0]


def plain_mser(values: np.ndarray, batch: int) -> tuple[int, list[float]]:
    """Twin: the definition, truncation by truncation."""
    count = len(values) // batch
    z = [float(np.mean(values[batch * j : batch * (j + 1)])) for j in range(count)]
    found = []
    for d in range(count // 2 + 1):
        rest = z[d:]
        mean = sum(rest) / len(rest)
        found.append(sum((v - mean) ** 2 for v in rest) / len(rest) ** 2)
    return batch * found.index(min(found)), found


@pytest.mark.parametrize("batch", [1, 5, 7])
@pytest.mark.parametrize("seed", range(4))
def test_mser_against_its_definition(seed, batch):
    values = 1e6 + series(333, 0.7, seed, start=20.0)
    truncation, statistic = plain_mser(values, batch)
    found = mser(values, batch)
    assert found.truncation == truncation
    assert found.statistic[: len(statistic)] == pytest.approx(statistic, rel=1e-6)
    assert np.isinf(found.statistic[len(statistic) :]).all()
    assert found.table()["mser"].idxmin() * batch == truncation


@pytest.mark.parametrize(("start", "low", "high"), [(0.0, 0, 60), (60.0, 60, 400)])
def test_truncation_finds_the_initial_bias_and_removes_it(start, low, high):
    """A shift that fades by 0.98 a step: from 60 to about 1 (half a standard deviation) in 200 steps."""
    fading = start * 0.98 ** np.arange(3000)
    found = [(mser(x := series(3000, 0.8, seed) + fading), x) for seed in range(100)]
    assert all(warm.decided for warm, _ in found)
    assert low <= np.median([warm.truncation for warm, _ in found]) <= high
    kept = np.mean([x[warm.truncation :].mean() for warm, x in found])
    assert (
        abs(kept) < 0.08
    )  # the whole series has a bias of 1.0 with the shift; standard error of this mean 0.01
    assert np.mean([x.mean() for _, x in found]) == pytest.approx(start / 60.0, abs=0.05)


def test_a_series_that_never_settles_is_not_decided():
    assert not mser(np.arange(500.0)).decided
    assert mser(np.full(100, 3.0)).truncation == 0


@pytest.mark.parametrize(("correlation", "size"), [(0.0, 200), (0.5, 1000), (0.8, 3000)])
@pytest.mark.parametrize("skewed", [False, True])
def test_coverage_of_batch_means(correlation, size, skewed):
    """93 to 97 % of 2000 series at a nominal 95 % (standard error 0.5 %), batches of 10 or more correlation times."""
    found = [batch_means(series(size, correlation, seed, skewed=skewed)).interval for seed in range(2000)]
    assert 0.93 <= np.mean([i.low <= 0.0 <= i.high for i in found]) <= 0.97


def test_the_plain_interval_of_a_correlated_series_covers_far_too_little():
    found = [mean_interval(series(3000, 0.8, seed)) for seed in range(300)]
    assert np.mean([i.low <= 0.0 <= i.high for i in found]) < 0.6


def test_batch_means_by_hand():
    found = batch_means([99.0, 1.0, 3.0, 5.0, 7.0, 0.0, 2.0], batches=3)
    assert found.means.tolist() == [2.0, 6.0, 1.0]
    assert (found.batch_size, found.interval) == (2, mean_interval([2.0, 6.0, 1.0]))
    assert found.lag1 == pytest.approx(1.0 - (16.0 + 25.0) / (2.0 * (1.0 + 9.0 + 4.0)))
    assert found.table()["first"].tolist() == [0, 2, 4]


def test_the_check_of_independence_errs_as_often_as_it_says_and_sees_short_batches():
    """10 % of 2000 independent series fail (standard error 0.7 %); batches of one correlation time nearly all do."""
    fine = np.mean([batch_means(series(400, 0.0, seed)).independent for seed in range(2000)])
    assert fine == pytest.approx(0.9, abs=0.025)
    short = np.mean([batch_means(series(800, 0.99, seed), batches=30).independent for seed in range(200)])
    assert short < 0.1


def test_a_constant_series_has_no_width():
    found = batch_means([2.0] * 50)
    assert found.interval == (2.0, 2.0, 2.0)
    assert found.independent


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mser([1.0] * 49), "values: got 49 of them, expected at least 50"),
        (lambda: mser([1.0] * 100, batch=0), "batch: got 0"),
        (lambda: batch_means([1.0] * 39), "expected at least 40"),
        (lambda: batch_means([1.0] * 39, batches=2), "batches: got 2"),
        (lambda: batch_means([1.0, math.nan] * 39), "finite numbers"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
