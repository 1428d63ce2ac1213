"""Control variates and antithetic pairs: by the definitions, their coverage, and their gain on library scenarios."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import scenarios
from analysis.economics import staleness_cost_rate
from analysis.staleness_control import expected_traffic, staleness_controls
from analysis.statistics import antithetic_mean, controlled_mean, mean_interval
from sim.engine import run
from sim.traffic import requests
from sim.world import World


def test_one_control_is_simple_regression():
    rng = np.random.default_rng(0)
    control = rng.gamma(2.0, size=15)
    values = 3.0 * control + rng.normal(size=15)
    fit = stats.linregress(control - 2.0, values)
    found = controlled_mean(values, control, 2.0, 0.9)
    half = stats.t.ppf(0.95, 13) * fit.intercept_stderr
    assert found.interval == pytest.approx(
        (fit.intercept, fit.intercept - half, fit.intercept + half), rel=1e-9
    )
    assert found.coefficients == pytest.approx((fit.slope,))
    assert found.gain == pytest.approx(values.var(ddof=1) / 15 / fit.intercept_stderr**2)


def test_several_controls_by_the_normal_equations():
    rng = np.random.default_rng(1)
    controls = rng.normal([1.0, 1e6, -3.0], [1.0, 1e4, 1e-3], (20, 3))
    values = rng.normal(size=20) + (controls - [1.0, 1e6, -3.0]) @ [2.0, 1e-4, 1e3]
    spread = np.cov(np.column_stack([values, controls]).T)
    beta = np.linalg.solve(spread[1:, 1:], spread[1:, 0])
    found = controlled_mean(values, controls, [1.0, 1e6, -3.0])
    assert found.coefficients == pytest.approx(beta, rel=1e-6)
    assert found.interval.mean == pytest.approx(
        values.mean() - beta @ (controls.mean(axis=0) - [1.0, 1e6, -3.0])
    )


@pytest.mark.parametrize("size", [8, 30])
@pytest.mark.parametrize("skewed", [False, True])
def test_coverage_with_controls(size, skewed):
    """93 to 97 % of 2000 at a nominal 95 % (standard error 0.5 %), with two controls, one of them useless."""
    covered = 0
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        controls = rng.exponential(size=(size, 2)) if skewed else rng.normal(1.0, 1.0, (size, 2))
        values = 5.0 * controls[:, 0] + rng.normal(size=size)
        found = controlled_mean(values, controls, [1.0, 1.0]).interval
        covered += found.low <= 5.0 <= found.high
    assert 0.93 <= covered / 2000 <= 0.97


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_gain_of_a_control_is_what_its_correlation_is_worth(correlation):
    """(1 - rho^2)^-1 but for (n - 2) / (n - 3), the loss of estimating one coefficient; 4000 runs, within 10 %."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(4000, 2))
    values = correlation * z[:, 0] + math.sqrt(1.0 - correlation**2) * z[:, 1]
    assert controlled_mean(values, z[:, 0], 0.0).gain == pytest.approx(1.0 / (1.0 - correlation**2), rel=0.1)


def test_a_useless_control_costs_what_the_docstring_says():
    gains = [
        1.0
        / controlled_mean(
            np.random.default_rng(s).normal(size=8), np.random.default_rng(s + 9999).normal(size=8), 0.0
        ).gain
        for s in range(4000)
    ]
    assert np.mean(gains) == pytest.approx(6.0 / 5.0, rel=0.05)


@pytest.mark.parametrize(
    "controls", [np.full(6, 2.0), np.column_stack([np.arange(6.0), 2.0 * np.arange(6.0)])]
)
def test_controls_that_say_nothing_new_are_left_out(controls):
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    expected = [2.0] if controls.ndim == 1 else [2.5, 5.0]
    found = controlled_mean(values, controls, expected)
    reference = (
        mean_interval(values) if controls.ndim == 1 else controlled_mean(values, np.arange(6.0), 2.5).interval
    )
    assert found.interval == pytest.approx(reference)


def test_nothing_varies():
    found = controlled_mean([3.0] * 5, [1.0] * 5, 1.0)
    assert found.interval == (3.0, 3.0, 3.0)
    assert math.isnan(found.gain)
    assert controlled_mean([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0], 2.0).gain == math.inf


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
def test_gain_of_antithetic_pairs(correlation):
    a, b = (
        np.random.default_rng(3)
        .multivariate_normal([1.0, 1.0], [[1.0, correlation], [correlation, 1.0]], 8000)
        .T
    )
    found = antithetic_mean(a, b)
    assert found.gain == pytest.approx(1.0 / (1.0 + correlation), rel=0.1)
    assert found.interval == mean_interval((a + b) / 2.0)


# ---------------------------------------------------------------- the closed form as the control


def test_control_of_a_world_without_noise_is_the_simulated_cost():
    """Instant retraining, deterministic traffic: the control is what the simulator charges, and the closed form."""
    scenario = scenarios.load("rotting_asset")
    controls = staleness_controls(scenario, 73.0, 1)
    result = run(scenario, "scheduled:73d")
    rate = staleness_cost_rate(73.0, queries_per_day=1e5, value=0.1, accuracy=0.9, decay=0.0003)
    assert controls.values[0] == pytest.approx(result.costs["staleness"], rel=1e-12)
    assert controls.expectation == pytest.approx(365.0 * rate, rel=1e-12)


DRIFTING = {
    "features": ["a", "b"],
    "quality": {
        "kind": "degradation",
        "initial_accuracy": 0.9,
        "feature_sensitivity": 0.02,
        "concept_sensitivity": 0.05,
    },
    "drift": [
        {"kind": "ramp", "rate": "0.02/d", "features": ["a"], "slice": "new"},
        {"kind": "random_walk", "volatility": "0.1/sqrt(d)"},
        {"kind": "ornstein_uhlenbeck", "stationary_sd": 0.5, "relaxation": "5d", "features": ["b"]},
        {"kind": "random_walk", "volatility": "0.1/sqrt(d)", "on": "concept"},
        {"kind": "ramp", "rate": "0.01/d", "on": "concept"},
    ],
    "slices": [{"name": "new", "weight": 0.3}],
    "traffic": {
        "rate": "100k/d",
        "daily_profile": [1, 3],
        "bursts": {
            "rate": "24/y",
            "factor": 5,
            "duration": {"kind": "lognormal", "median": "1d", "p95": "6d"},
        },
    },
    "horizon": "60d",
    "window": "6h",
}


@pytest.mark.slow
def test_expectation_of_the_control_is_its_mean():
    """Every closed form at once: 3000 worlds, error rate 1e-3."""
    scenario = scenarios.load("rotting_asset").with_(**DRIFTING)
    values, expectation = staleness_controls(scenario, 9.0, 3000)
    assert stats.ttest_1samp(values, expectation).pvalue > 1e-3
    assert values.std() / math.sqrt(3000) < 0.02 * expectation


def test_expected_traffic_is_the_mean_traffic():
    """4000 worlds, total and the first tenth (where bursts are still few); error rate 1e-3 each."""
    scenario = scenarios.load("rotting_asset").with_(**DRIFTING)
    expected = expected_traffic(scenario)
    drawn = np.array([requests(scenario, World(scenario, 0, r).stream) for r in range(4000)])
    for part in (slice(None), slice(0, 24), slice(200, 240)):
        assert stats.ttest_1samp(drawn[:, part].sum(axis=1), expected[part].sum()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "interval", "least"),
    [("fraud_detection", 7.0, 20.0), ("ad_click", 7.0, 8.0), ("ad_click", 1.0, 4.0)],
)
def test_gain_of_the_control_on_library_scenarios(name, interval, least):
    """Measured over 100 worlds: 127, 30 and 14; 25 here leave a wide margin."""
    scenario = scenarios.load(name)
    costs = [
        run(scenario, f"scheduled:{interval:g}d", replication=r).summary["total_cost"] for r in range(25)
    ]
    found = controlled_mean(costs, *staleness_controls(scenario, interval, 25))
    assert found.gain > least
    assert found.interval.low > mean_interval(costs).low
    assert found.interval.high < mean_interval(costs).high


@pytest.mark.slow
@pytest.mark.parametrize(("name", "low", "high"), [("fraud_detection", 1.2, 4.0), ("ad_click", 0.45, 0.75)])
def test_gain_of_mirrored_worlds_on_library_scenarios(name, low, high):
    """Bursts: a gain of about 1.8. Loss by squared random drift, the same in the mirror: 0.5, so don't."""
    scenario = scenarios.load(name)
    costs = [
        [
            run(scenario, "scheduled:7d", replication=r, world=World(scenario, 0, r, mirrored=m)).summary[
                "total_cost"
            ]
            for r in range(40)
        ]
        for m in (False, True)
    ]
    assert low < antithetic_mean(*costs).gain < high


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: controlled_mean([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0], 2.0),
            r"controls: got shape \(3, 1\)",
        ),
        (
            lambda: controlled_mean([1.0, 2.0, 3.0, 4.0], np.ones((4, 2)), 2.0),
            "expectations: got 2.0, expected 2",
        ),
        (lambda: controlled_mean([1.0, 2.0, 3.0, 4.0], np.ones((4, 2)), [1, 1]), "at least 5 for 2 controls"),
        (lambda: antithetic_mean([1.0, 2.0, 3.0], [1.0, 2.0]), "mirrored: got 2 values, expected 3"),
        (lambda: staleness_controls(scenarios.load("rotting_asset"), 0.0, 3), "interval: got 0"),
        (lambda: staleness_controls(scenarios.load("medical_imaging"), 30.0, 3), "drift: got jumps"),
        (lambda: staleness_controls(scenarios.load("electricity"), 30.0, 3), "quality: got recorded"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
