"""Mirrored streams: opposite numbers with the right distributions, and worlds that are as they were without them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import scenarios
from sim.antithetic import poisson_quantile
from sim.randomness import mirrored_stream, stream
from sim.world import World


def test_uniform_and_normal_numbers_are_turned_round():
    plain, mirror = stream(3, 5, "x"), mirrored_stream(3, 5, "x")
    assert mirror.random(7) == pytest.approx(1.0 - plain.random(7), abs=1e-15)
    assert mirror.standard_normal((2, 3)).tolist() == (-plain.standard_normal((2, 3))).tolist()
    assert mirror.random() == pytest.approx(1.0 - plain.random(), abs=1e-15)


@pytest.mark.parametrize("mean", [0.0, 0.3, 6.0, 400.0, 4e4])
def test_mirrored_counts_have_their_distribution_and_are_opposite(mean):
    """Two-sample test of 4000 counts with SciPy's quantiles as the law; error rate 1e-3."""
    plain = stream(0, 0, "n").poisson(np.full(4000, mean))
    mirror = mirrored_stream(0, 0, "n").poisson(np.full(4000, mean))
    if mean == 0.0:
        assert not mirror.any()
        return
    edges = np.unique(stats.poisson.ppf([0.1, 0.3, 0.5, 0.7, 0.9], mean))
    expected = np.diff(np.concatenate([[0.0], stats.poisson.cdf(edges, mean), [1.0]])) * 4000
    seen = np.bincount(np.searchsorted(edges, mirror), minlength=len(edges) + 1)
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    assert np.corrcoef(plain, mirror)[0, 1] < (-0.95 if mean > 5.0 else -0.2)


@pytest.mark.parametrize("mean", [0.01, 1.0, 37.5, 1e3, 1e6])
def test_quantiles_of_counts_are_those_of_scipy(mean):
    probability = np.concatenate([[0.0, 1e-12, 1.0 - 1e-12], np.random.default_rng(1).random(500)])
    assert (
        poisson_quantile(probability, mean).tolist()
        == np.maximum(stats.poisson.ppf(probability, mean), 0).tolist()
    )


def test_a_mirrored_world_turns_drift_round_and_repeats_itself():
    scenario = scenarios.load("ad_click").with_(drift=[{"kind": "random_walk", "volatility": "0.1/sqrt(d)"}])
    plain, mirror = World(scenario, 1, 2), World(scenario, 1, 2, mirrored=True)
    assert np.array_equal(mirror.state().features, -plain.state().features)
    assert np.corrcoef(plain.requests, mirror.requests)[0, 1] > 0.9  # the same day and week in both
    again = World(scenario, 1, 2, mirrored=True)
    assert np.array_equal(again.requests, mirror.requests)
    assert mirror.unwatched().mirrored
    assert mirror.key("labels:x") == plain.key("labels:x")
