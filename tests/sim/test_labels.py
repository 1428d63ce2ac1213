"""Labels: which requests get one, and when it arrives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, lognorm, norm

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.labels import LabelBatches, training_lag
from sim.world import World

LOGNORMAL = {"kind": "lognormal", "median": "6h", "p95": "2d"}


def scenario(labels: Any, horizon: str = "40d", window: str = "1h", **traffic: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "labels",
            "horizon": horizon,
            "window": window,
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "2400/d", **traffic},
            "labels": labels,
        }
    )


def labels_of(labels: Any, replication: int = 0, **given: Any) -> tuple[World, LabelBatches]:
    world = World(scenario(labels, **given), 0, replication)
    return world, world.labels


def arrivals(batches: LabelBatches) -> np.ndarray:
    """Window in which each batch arrives, from the index."""
    return np.repeat(np.arange(len(batches.first) - 1), np.diff(batches.first))


def per_window(world: World, batches: LabelBatches) -> np.ndarray:
    return np.bincount(batches.window, weights=batches.count, minlength=world.scenario.windows)


@pytest.mark.parametrize("labels", ["none", {"coverage": 0.0}, {"coverage": 0, "delay": LOGNORMAL}])
def test_no_labels(labels):
    world, batches = labels_of(labels)
    assert len(batches.count) == len(batches.window) == len(batches.identity) == 0
    assert batches.first.tolist() == [0] * (world.scenario.windows + 1)


@pytest.mark.parametrize("arriving", ["poisson", "deterministic"])
def test_full_coverage_without_delay_labels_every_request_in_its_window(arriving):
    world, batches = labels_of({}, arrivals=arriving)
    assert np.array_equal(batches.count, world.requests)
    assert np.array_equal(batches.window, np.arange(world.scenario.windows))
    assert np.array_equal(arrivals(batches), batches.window)


@pytest.mark.parametrize(("delay", "shift"), [("0h", 0), ("20min", 0), ("1h", 1), ("7h", 7), ("450min", 8)])
def test_a_fixed_delay_shifts_the_labels_by_whole_windows(delay, shift):
    # a request counts as made in the middle of its window, so 20 min later is still the same window
    world, batches = labels_of({"delay": delay})
    assert np.array_equal(arrivals(batches), batches.window + shift)
    assert np.array_equal(batches.count, world.requests[: world.scenario.windows - shift])


def test_labels_that_come_after_the_horizon_are_not_there():
    _, batches = labels_of({"delay": "41d"})
    assert len(batches.count) == 0
    world, late = labels_of({"delay": "39d"})
    assert late.count.sum() == world.requests[:24].sum()


@pytest.mark.parametrize("delay", ["3h", LOGNORMAL, {"kind": "exponential", "mean": "1d"}])
@pytest.mark.parametrize("coverage", [1.0, 0.3])
def test_batches_are_sorted_by_arrival_and_indexed(delay, coverage):
    world, batches = labels_of({"delay": delay, "coverage": coverage})
    windows = world.scenario.windows
    assert batches.first[0] == 0
    assert batches.first[-1] == len(batches.count)
    assert np.all(np.diff(batches.first) >= 0)
    assert np.all(arrivals(batches) >= batches.window), "no label comes before its request"
    assert len(np.unique(batches.identity)) == len(batches.identity)
    assert np.all(batches.count > 0)
    assert np.array_equal(batches.count, np.round(batches.count))
    assert np.all(per_window(world, batches) <= world.requests)
    assert np.all((batches.window >= 0) & (batches.window < windows))


def test_coverage_is_the_chance_of_each_request():
    coverage = 0.03
    world, batches = labels_of({"coverage": coverage}, horizon="400d", arrivals="deterministic")
    found = per_window(world, batches)
    n = len(found) * 100
    # binomial counts: total and variance within 5 standard errors, error rate 6e-7 each
    assert found.sum() == pytest.approx(n * coverage, abs=5 * math.sqrt(n * coverage * (1 - coverage)))
    variance = binom.var(100, coverage)
    kurtosis = float(binom.stats(100, coverage, moments="k")) + 2
    assert found.var() == pytest.approx(variance, abs=5 * variance * math.sqrt(kurtosis / len(found)))


@pytest.mark.parametrize("coverage", [1.0, 0.2])
def test_realised_delays_follow_their_law(coverage):
    world, batches = labels_of(
        {"coverage": coverage, "delay": LOGNORMAL}, horizon="400d", arrivals="deterministic"
    )
    early = batches.window < 300 * 24  # later windows lose their slowest labels to the horizon
    delay = (arrivals(batches) - batches.window)[early]
    count = batches.count[early]
    asked = per_window(world, batches)[: 300 * 24].sum()
    law = lognorm(math.log(2 / 0.25) / norm.ppf(0.95), scale=0.25)
    for hours in (0, 2, 5, 12, 24, 47, 96):
        # arriving within `hours` windows means a delay below hours + 1/2, seen from the middle of the window
        expected = law.cdf((hours + 0.5) / 24)
        # 28,800 delays, at worst independent: 5 standard errors (6e-7); stratification makes them smaller
        error = 5 * math.sqrt(expected * (1 - expected) / (4 * 7200))
        assert count[delay <= hours].sum() / asked == pytest.approx(expected, abs=error)


def test_delays_of_a_window_are_spread_over_the_law():
    # stratified: of the four batches of a window exactly two are faster than the median, in every window
    world, batches = labels_of({"delay": {"kind": "uniform", "low": "0d", "high": "8d"}}, horizon="30d")
    early = batches.window < 20 * 24
    delay = (arrivals(batches) - batches.window)[early]
    fast = np.bincount(batches.window[early], weights=delay <= 4 * 24)
    assert world.scenario.labels is not None
    assert np.all(np.abs(fast - 2) <= 1)
    assert np.mean(fast == 2) > 0.95


def test_delay_and_coverage_have_streams_of_their_own():
    world, some = labels_of({"coverage": 0.5, "delay": LOGNORMAL})
    twin, more = labels_of({"coverage": 0.9, "delay": LOGNORMAL})
    assert np.array_equal(world.requests, twin.requests)
    arrival = dict(zip(some.identity.tolist(), arrivals(some).tolist(), strict=True))
    again = dict(zip(more.identity.tolist(), arrivals(more).tolist(), strict=True))
    shared = arrival.keys() & again.keys()
    assert len(shared) > 0.9 * len(arrival)
    assert all(arrival[batch] == again[batch] for batch in shared)


@pytest.mark.parametrize(
    ("labels", "lag"),
    [("none", 0.0), ({}, 0.0), ({"delay": "5d"}, 5.0), ({"delay": LOGNORMAL}, 0.25)],
)
def test_a_training_lags_by_the_median_delay(labels, lag):
    assert training_lag(scenario(labels)) == pytest.approx(lag)


def test_labels_are_a_function_of_seed_and_replication():
    given = {"coverage": 0.5, "delay": LOGNORMAL}
    (_, first), (_, again), (_, other) = (labels_of(given, replication) for replication in (1, 1, 2))
    assert np.array_equal(first.count, again.count)
    assert np.array_equal(first.first, again.first)
    assert not np.array_equal(first.first, other.first)
