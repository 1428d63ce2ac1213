"""Durations against scipy.stats; draws have a fixed seed and fail by chance once in 10,000 times a law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from scenarios.distributions import Duration
from sim.durations import draw, mean, quantile

READ = TypeAdapter(Duration).validate_python
Z95 = stats.norm.ppf(0.95)
SIGMA = math.log(2.0 / 0.25) / Z95
RECORDED = [0.5, 0.125, 0.25, 0.25, 2.0]

LAWS = {
    "exponential": ({"kind": "exponential", "mean": "6h"}, stats.expon(scale=0.25)),
    "lognormal": ({"kind": "lognormal", "median": "6h", "p95": "2d"}, stats.lognorm(SIGMA, scale=0.25)),
    "heavy weibull": ({"kind": "weibull", "scale": "1d", "shape": 0.6}, stats.weibull_min(0.6, scale=1.0)),
    "wearing weibull": ({"kind": "weibull", "scale": "12h", "shape": 3}, stats.weibull_min(3, scale=0.5)),
    "uniform": ({"kind": "uniform", "low": "1d", "high": "3d"}, stats.uniform(1.0, 2.0)),
}
PROBABILITIES = np.array([[0.0, 0.01, 0.3], [0.5, 0.95, 0.9999]])


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_and_mean_are_those_of_scipy(name):
    written, law = LAWS[name]
    assert quantile(READ(written), PROBABILITIES) == pytest.approx(law.ppf(PROBABILITIES), rel=1e-12)
    assert mean(READ(written)) == pytest.approx(law.mean(), rel=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_law(name):
    written, law = LAWS[name]
    rng = np.random.default_rng(20240601)
    drawn = [draw(READ(written), rng.random) for _ in range(2000)]
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", LAWS)
def test_a_draw_takes_one_uniform_number(name):
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    assert draw(READ(LAWS[name][0]), rng.random) == float(quantile(READ(LAWS[name][0]), twin.random()))
    assert rng.random() == twin.random()


def test_a_plain_duration_is_fixed():
    fixed = READ("90min")
    assert quantile(fixed, PROBABILITIES) == pytest.approx(np.full((2, 3), 0.0625))
    assert mean(fixed) == draw(fixed, np.random.default_rng(0).random) == 0.0625


def test_recorded_durations_are_resampled():
    law = READ({"kind": "empirical", "values": [f"{value}d" for value in RECORDED]})
    ordered = sorted(RECORDED)
    assert quantile(law, [0.0, 0.19, 0.21, 0.5, 0.79, 0.81, 0.999]).tolist() == [
        ordered[0], ordered[0], ordered[1], ordered[2], ordered[3], ordered[4], ordered[4]
    ]  # fmt: skip
    assert mean(law) == pytest.approx(np.mean(RECORDED))
    rng = np.random.default_rng(7)
    drawn = [draw(law, rng.random) for _ in range(5000)]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == sorted(set(RECORDED))
    assert stats.chisquare(counts, 1000 * np.array([1, 2, 1, 1])).pvalue > 1e-4


def test_what_is_not_a_duration_is_refused():
    for function in (mean, lambda law: quantile(law, 0.5)):
        with pytest.raises(TypeError, match="not a duration"):
            function("6h")
