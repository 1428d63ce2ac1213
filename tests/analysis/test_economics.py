from __future__ import annotations

import inspect
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import bdtr

from analysis import economics, experiment_economics, monitoring_economics, serving_economics
from analysis.economics import FRAUD_DETECTION, Retention

# One valid call of every public function; the tests of ranges and of arrays walk this table.
STAKES = dict(FRAUD_DETECTION)
RETRAINING = {"retrain_cost": 5000.0, **STAKES}
COSTS = {"false_positive_cost": 100.0, "false_negative_cost": 500.0, "steepness": 8.0}
CENTRES = {"false_positive_centre": 0.3, "false_negative_centre": 0.7}
LOSS = {"annual_revenue_usd": 50e6, "quality_drop": 0.05, "detection_days": 28.0}
CALLS: dict[str, dict[str, Any]] = {
    "accuracy_at": {"age": 30.0, "accuracy": 0.95, "decay": 0.02},
    "decay_between": {"accuracy": 0.94, "later_accuracy": 0.88, "elapsed": 28.0},
    "half_life": {"decay": 0.02},
    "days_to_threshold": {"threshold": 0.82, "accuracy": 0.9, "decay": 0.0003},
    "first_day_below": {"threshold": 0.82, "accuracy": 0.9, "decay": 0.0003},
    "staleness_cost_rate": {"interval": 7.0, **STAKES},
    "staleness_cost": {"interval": 7.0, **STAKES},
    "linear_staleness_cost_rate": {
        "interval": 7.0,
        "queries_per_day": 1e6,
        "value": 0.5,
        "drop_per_day": 0.002,
    },
    "retraining_cost_rate": {"interval": 7.0, "retrain_cost": 5000.0},
    "total_cost_rate": {"interval": 7.0, **RETRAINING},
    "optimal_interval_sqrt": RETRAINING,
    "optimal_interval": RETRAINING,
    "minimal_cost_rate": RETRAINING,
    "skew_cost": {"error_rate": 0.01, "queries_per_day": 1e6, "cost_per_error_usd": 0.1, "days": 365.0},
    "automation_break_even": {"build_hours": 80.0, "manual_hours_per_week": 4.0},
    "silent_failure_loss": LOSS,
    "samples_to_tell_apart": {"p0": 0.95, "p1": 0.9, "alpha": 0.05, "power": 0.8},
    "ab_sample_size": {"baseline": 0.05, "delta": 0.02, "alpha": 0.05, "power": 0.8},
    "ab_detectable_difference": {
        "baseline": 0.05,
        "users_per_variant": 25_000.0,
        "alpha": 0.05,
        "power": 0.8,
    },
    "detection_time": {"samples": 1000.0, "labels_per_day": 100.0},
    "decision_cost": {"threshold": 0.4, **COSTS, **CENTRES},
    "cost_per_thousand": {"hourly_gpu_usd": 3.0, "inferences_per_hour": 50_000.0},
    "amdahl_speedup": {"share": 0.45, "speedup": 2.0},
    "monitoring_points": {"variants": 3.0, "metrics": 50.0, "samples_per_minute": 4.0, "days": 30.0},
    "ingest_cost": {"points": 1e7, "usd_per_million": 0.3},
    "storage_cost": {"points": 1e7, "bytes_per_point": 8.0, "usd_per_gb_month": 1.0},
    "query_cost": {
        "dashboards": 2.0,
        "users": 3.0,
        "queries_per_hour": 12.0,
        "hours": 8.0,
        "days": 22.0,
        "usd_per_query": 0.02,
    },
    "observability_volume": {"requests_per_second": 1e6, "bytes_per_request": 1e3, "period_s": 60.0},
    "monitoring_roi": {"incidents_prevented": 5.0, "cost_per_incident": 5e4, "annual_cost": 5e4},
    "mlops_roi": {
        "incidents_avoided": 4.0,
        "cost_per_incident": 25e3,
        "hours_saved_per_month": 20.0,
        "hourly_cost": 150.0,
        "annual_investment": 30e3,
    },
}
# These take or return something other than numbers or arrays that broadcast, and have tests of their own.
NOT_ELEMENTWISE = {
    "business_cost_threshold",
    "latency_total",
    "overall_accuracy",
    "tiered_retention_saving",
}
ARGUMENTS = [(function, argument) for function, call in CALLS.items() for argument in call]


def evaluate(function: str, **changed: Any) -> Any:
    return getattr(economics, function)(**{**CALLS[function], **changed})


# ---------------------------------------------------------------- every function


def test_the_table_of_calls_has_every_public_function():
    modules = (economics, experiment_economics, monitoring_economics, serving_economics)
    public = {
        name
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public == set(CALLS) | NOT_ELEMENTWISE
    assert public == {name for name in economics.__all__ if inspect.isfunction(getattr(economics, name))}


@pytest.mark.parametrize(("function", "argument"), ARGUMENTS)
@pytest.mark.parametrize("wrong", [math.nan, -1.0, "5", None, [1.0, -1.0], [[1.0], [1.0, 2.0]]])
def test_an_argument_out_of_range_is_named(function, argument, wrong):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*, expected "):
        evaluate(function, **{argument: wrong})


def test_the_message_has_value_and_range():
    with pytest.raises(ValueError, match=r"^interval: got 0, expected a finite number > 0 \(days\)$"):
        evaluate("staleness_cost", interval=0)
    with pytest.raises(ValueError, match=r"^accuracy: got 95, expected a fraction in \[0, 1\]$"):
        evaluate("optimal_interval", accuracy=95)


@pytest.mark.parametrize("function", CALLS)
def test_numbers_give_a_float(function):
    assert type(evaluate(function)) is float


@pytest.mark.parametrize(("function", "argument"), ARGUMENTS)
def test_arrays_equal_the_calls_one_by_one(function, argument):
    base = CALLS[function][argument]
    values = base * np.array([[1.0, 0.96], [0.99, 0.97]])
    together = evaluate(function, **{argument: values})
    assert together.shape == values.shape
    one_by_one = [evaluate(function, **{argument: value}) for value in values.flat]
    np.testing.assert_allclose(together.ravel(), one_by_one, rtol=1e-14)


def test_arguments_broadcast_together():
    costs, decays = np.array([100.0, 5000.0, 1e9])[:, None], np.array([0.0, 0.001, 0.02, 0.3])
    intervals = evaluate("optimal_interval", retrain_cost=costs, decay=decays)
    assert intervals.shape == (3, 4)
    assert intervals[1, 2] == evaluate("optimal_interval")
    assert np.isinf(intervals[:, 0]).all()
    assert np.isinf(intervals[2]).all()


# ---------------------------------------------------------------- staleness


def exact_staleness(interval: float, decay: float) -> float:
    """The textbook form, in 60 digits, so that its cancellation does no harm."""
    with localcontext() as context:
        context.prec = 60
        t, rate = Decimal(interval), Decimal(decay)
        lost = t - (1 - (-rate * t).exp()) / rate
        return float(Decimal(1_000_000) * Decimal("0.475") * lost)


@pytest.mark.parametrize("decay", [1e-15, 1e-9, 1e-4, 0.02, 0.07, 0.0714, 0.072, 1.0, 50.0])
@pytest.mark.parametrize("interval", [1e-6, 1.0, 7.0])
def test_staleness_cost_keeps_its_digits(interval, decay):
    assert evaluate("staleness_cost", interval=interval, decay=decay) == pytest.approx(
        exact_staleness(interval, decay), rel=3e-15
    )


def test_staleness_cost_is_the_integral_of_the_loss():
    def loss(age: float) -> float:
        return 1e6 * 0.5 * (0.95 - economics.accuracy_at(age, accuracy=0.95, decay=0.02))

    integral, _ = quad(loss, 0.0, 45.0)
    assert evaluate("staleness_cost", interval=45.0) == pytest.approx(integral, rel=1e-10)


def test_staleness_limits():
    assert evaluate("staleness_cost", decay=0.0) == 0.0
    assert evaluate("staleness_cost_rate", decay=0.0, interval=math.inf) == 0.0
    assert evaluate("staleness_cost_rate", interval=math.inf) == 1e6 * 0.5 * 0.95
    assert evaluate("staleness_cost_rate", interval=1e9) == pytest.approx(475_000, rel=1e-6)
    assert evaluate("total_cost_rate", interval=math.inf) == 475_000
    with pytest.raises(ValueError, match="interval: got inf"):
        evaluate("staleness_cost", interval=math.inf)


INTERVALS = st.floats(1e-6, 1e6)
DECAYS = st.floats(0.0, 1e3) | st.floats(1e-18, 1e-3)
TINY = 1e-300  # USD; numbers near the smallest float have few digits left


@given(INTERVALS, INTERVALS, DECAYS)
def test_staleness_cost_rises_and_is_convex(a, b, decay):
    left, right = sorted((a, b))
    low, middle, high = evaluate("staleness_cost", interval=[left, (left + right) / 2, right], decay=decay)
    slack = 1e-12 * high + TINY
    assert 0 <= low <= high + slack
    assert middle <= (low + high) / 2 + slack


@given(INTERVALS, DECAYS)
def test_staleness_is_bounded_by_the_tangent_and_by_all_that_is_at_stake(interval, decay):
    rate = evaluate("staleness_cost_rate", interval=interval, decay=decay)
    tangent = economics.linear_staleness_cost_rate(
        interval, queries_per_day=1e6, value=0.5, drop_per_day=0.95 * decay
    )
    assert rate <= min(tangent, 475_000) * (1 + 1e-12) + TINY


def test_for_short_intervals_the_tangent_is_the_staleness():
    tangent = economics.linear_staleness_cost_rate(
        1e-4, queries_per_day=1e6, value=0.5, drop_per_day=0.95 * 0.02
    )
    # the next term of the series is decay * interval / 3 of the first
    assert evaluate("staleness_cost_rate", interval=1e-4) == pytest.approx(
        tangent * (1 - 2e-6 / 3), rel=1e-11
    )


# ---------------------------------------------------------------- the optimal interval

WORLDS = [
    {"retrain_cost": cost, "decay": decay}
    for cost in (1e-6, 50.0, 5000.0, 2e6)
    for decay in (1e-5, 0.02, 0.2)
]


@pytest.mark.parametrize("world", WORLDS)
def test_optimal_interval_minimises_the_total_cost(world):
    optimum = evaluate("optimal_interval", **world)

    def cost_of_log_interval(log_interval: float) -> float:
        return evaluate("total_cost_rate", interval=math.exp(log_interval), **world)

    centre = math.log(optimum)
    found = minimize_scalar(
        cost_of_log_interval, bounds=(centre - 4, centre + 4), method="bounded", options={"xatol": 1e-9}
    )
    # a minimum is flat: an error of 1e-8 in the cost moves the place by about 1e-4 of it
    assert math.exp(found.x) == pytest.approx(optimum, rel=1e-4)
    assert evaluate("minimal_cost_rate", **world) == pytest.approx(found.fun, rel=1e-12)
    assert evaluate("minimal_cost_rate", **world) == pytest.approx(
        evaluate("total_cost_rate", interval=optimum, **world), rel=1e-12
    )


@pytest.mark.parametrize("world", WORLDS)
def test_optimal_interval_is_the_root_of_its_condition(world):
    def condition(x: float) -> float:  # x = decay * interval
        return -math.expm1(-x) - x * math.exp(-x) - world["retrain_cost"] * world["decay"] / 475_000

    optimum = evaluate("optimal_interval", **world)
    # near 0 the condition is x^2 / 2 and loses digits to rounding, hence the bound that grows for tiny x
    x = brentq(condition, 0.0, 700.0, xtol=1e-300, rtol=1e-15)
    assert optimum * world["decay"] == pytest.approx(x, rel=1e-12 + 1e-15 / x**2)


def test_optimal_interval_is_infinite_exactly_from_where_retraining_never_pays():
    limit = 475_000 / 0.02
    assert math.isinf(evaluate("optimal_interval", retrain_cost=limit))
    assert math.isinf(evaluate("optimal_interval", retrain_cost=2 * limit))
    assert math.isfinite(evaluate("optimal_interval", retrain_cost=limit * (1 - 1e-9)))
    assert (evaluate("minimal_cost_rate", retrain_cost=limit * np.array([1.0, 1.2, 2.0])) == 475_000).all()
    # and indeed any interval costs more than letting the model decay to nothing
    every = evaluate("total_cost_rate", interval=np.logspace(-2, 5, 200), retrain_cost=2 * limit)
    assert (every > 475_000).all()


@pytest.mark.parametrize("nothing", ["queries_per_day", "value", "accuracy", "decay"])
def test_never_retrain_what_loses_nothing(nothing):
    assert evaluate("optimal_interval", **{nothing: 0.0}) == math.inf
    assert evaluate("optimal_interval_sqrt", **{nothing: 0.0}) == math.inf
    assert evaluate("minimal_cost_rate", **{nothing: 0.0}) == 0.0


def test_free_retraining_is_continuous():
    assert evaluate("optimal_interval", retrain_cost=0.0) == 0.0
    assert evaluate("optimal_interval_sqrt", retrain_cost=0.0) == 0.0
    assert evaluate("minimal_cost_rate", retrain_cost=0.0) == 0.0


@pytest.mark.parametrize(
    ("argument", "power"),
    [("retrain_cost", 0.5), ("queries_per_day", -0.5), ("value", -0.5), ("accuracy", -0.5), ("decay", -0.5)],
)
def test_square_root_law(argument, power):
    for factor in (0.25, 0.5, 0.9):
        scaled = evaluate("optimal_interval_sqrt", **{argument: factor * RETRAINING[argument]})
        assert scaled == pytest.approx(evaluate("optimal_interval_sqrt") * factor**power, rel=1e-14)


@given(st.floats(1e-3, 1e9), st.floats(1e-8, 10.0), st.floats(0.1, 10.0))
def test_exact_optimum_laws(cost, decay, unit):
    exact = evaluate("optimal_interval", retrain_cost=cost, decay=decay)
    approximate = evaluate("optimal_interval_sqrt", retrain_cost=cost, decay=decay)
    assert approximate <= exact * (1 + 1e-12)
    # money has no unit of its own, and neither has time
    richer = evaluate("optimal_interval", retrain_cost=unit * cost, decay=decay, value=unit * 0.5)
    hourly = evaluate("optimal_interval", retrain_cost=cost, decay=decay / unit, queries_per_day=1e6 / unit)
    if math.isfinite(exact) and cost * decay < 0.999 * 475_000:  # near the limit a rounding moves it a lot
        assert richer == pytest.approx(exact, rel=1e-9)
        assert hourly == pytest.approx(exact * unit, rel=1e-9)


def test_square_root_law_is_the_limit_of_cheap_retraining():
    costs = np.array([1e-4, 1.0, 100.0, 5000.0])
    ratio = evaluate("optimal_interval", retrain_cost=costs) / evaluate(
        "optimal_interval_sqrt", retrain_cost=costs
    )
    root = np.sqrt(2 * costs * 0.02 / 475_000)
    # next terms of the expansion of the root of P(2, x) = k in s = sqrt(2 k): x = s + s^2 / 3 + 11 s^3 / 72
    np.testing.assert_allclose(ratio, 1 + root / 3 + 11 * root**2 / 72, rtol=2e-6)


# ---------------------------------------------------------------- decay and thresholds


def test_half_life_halves():
    assert economics.accuracy_at(economics.half_life(0.02), accuracy=0.9, decay=0.02) == pytest.approx(0.45)
    assert economics.half_life(0.0) == math.inf


def test_decay_between_goes_through_both_readings():
    decay = economics.decay_between(0.94, 0.88, 28.0)
    assert economics.accuracy_at(28.0, accuracy=0.94, decay=decay) == pytest.approx(0.88, rel=1e-14)
    assert economics.decay_between(0.9, 0.9, 5.0) == 0.0
    with pytest.raises(ValueError, match=r"^later_accuracy: got 0\.95, expected at most accuracy = 0\.94$"):
        economics.decay_between(0.94, 0.95, 28.0)


@pytest.mark.parametrize("decay", [0.0003, 0.0031, 0.02, 0.5])
@pytest.mark.parametrize("threshold", [0.5, 0.82, 0.8999])
def test_first_day_below_is_the_first_day_below(decay, threshold):
    daily = economics.accuracy_at(np.arange(3000.0), accuracy=0.9, decay=decay)
    first = int(np.flatnonzero(daily < threshold)[0])
    assert economics.first_day_below(threshold, accuracy=0.9, decay=decay) == first


def test_first_day_below_at_the_edges():
    assert economics.first_day_below(0.95, accuracy=0.9, decay=0.02) == 0.0
    assert economics.first_day_below(0.9, accuracy=0.9, decay=0.02) == 1.0
    assert economics.first_day_below(0.9, accuracy=0.9, decay=0.0) == math.inf
    assert economics.first_day_below(0.95, accuracy=0.9, decay=0.0) == 0.0
    assert economics.days_to_threshold(0.82, accuracy=0.9, decay=0.0) == math.inf
    assert economics.days_to_threshold(0.95, accuracy=0.9, decay=0.02) == 0.0


# ---------------------------------------------------------------- detection and experiments


@pytest.mark.parametrize(("p0", "p1"), [(0.95, 0.90), (0.95, 0.93), (0.80, 0.75), (0.97, 0.90)])
def test_samples_to_tell_apart_has_the_power_it_promises(p0, p1):
    samples = math.ceil(economics.samples_to_tell_apart(p0, p1))
    successes = np.arange(samples + 1)
    # the exact binomial test: the largest critical count with a false alarm probability of at most 0.05
    critical = successes[bdtr(successes, samples, p0) <= 0.05].max()
    # exact level and power are discrete, and the normal approximation is off by a little in both
    assert 0.70 < bdtr(critical, samples, p1) < 0.86


def test_samples_to_tell_apart_needs_a_difference():
    with pytest.raises(ValueError, match=r"^p1: got 0\.9, expected .* other than p0$"):
        economics.samples_to_tell_apart(0.9, 0.9)
    # less power than a coin with the false alarm probability: no data needed
    assert economics.samples_to_tell_apart(0.5, 0.4, alpha=0.3, power=0.1) == 0.0
    assert economics.ab_sample_size(baseline=0.5, delta=0.1, alpha=0.3, power=0.1) == 0.0


def test_ab_detectable_difference_inverts_the_sample_size():
    for delta in (0.001, 0.005, 0.02):
        users = economics.ab_sample_size(baseline=0.05, delta=delta)
        found = economics.ab_detectable_difference(baseline=0.05, users_per_variant=users)
        assert found == pytest.approx(delta, rel=1e-12)


def test_the_25_000_users_of_the_source_detect_about_half_a_point():
    points = 100 * economics.ab_detectable_difference(baseline=0.05, users_per_variant=25_000)
    assert round(points, 3) == 0.546


def test_overall_accuracy():
    rng = np.random.default_rng(11)
    weights, accuracy = rng.dirichlet(np.ones(5)), rng.uniform(size=5)
    overall = economics.overall_accuracy(weights, accuracy)
    assert overall == pytest.approx(np.average(accuracy, weights=weights), rel=1e-14)
    assert accuracy.min() <= overall <= accuracy.max()
    with pytest.raises(ValueError, match=r"weights: got sum 0\.9, expected shares that sum to 1"):
        economics.overall_accuracy([0.5, 0.4], [0.9, 0.9])
    with pytest.raises(ValueError, match=r"accuracy: got shape \(3,\), expected one per weight, \(2,\)"):
        economics.overall_accuracy([0.5, 0.5], [0.9, 0.9, 0.9])


def test_business_cost_threshold_is_where_the_cost_is_least():
    found = economics.business_cost_threshold(**COSTS, **CENTRES, grid=np.linspace(0, 1, 100_001))
    least = minimize_scalar(
        lambda cut: economics.decision_cost(cut, **COSTS, **CENTRES), bounds=(0.05, 0.95), method="bounded"
    )
    assert found == pytest.approx(least.x, abs=1e-4)
    # dear misses pull the threshold below the one for equal costs, dear false alarms push it above
    equal = economics.business_cost_threshold(**{**COSTS, "false_negative_cost": 100.0}, **CENTRES)
    dear = economics.business_cost_threshold(**{**COSTS, "false_positive_cost": 2500.0}, **CENTRES)
    assert found < equal < dear
    assert equal == pytest.approx(0.5, abs=0.98 / 199)


def test_business_cost_threshold_refuses_an_empty_grid():
    with pytest.raises(ValueError, match="grid: got no thresholds"):
        economics.business_cost_threshold(**COSTS, **CENTRES, grid=np.array([]))


# ---------------------------------------------------------------- serving and monitoring


def test_amdahl_limits():
    assert economics.amdahl_speedup(share=0.0, speedup=1e9) == 1.0
    assert economics.amdahl_speedup(share=0.45, speedup=1e12) == pytest.approx(1 / 0.55, rel=1e-9)
    assert economics.amdahl_speedup(share=1.0, speedup=3.0) == pytest.approx(3.0)


def test_latency_total_names_the_wrong_stage():
    assert economics.latency_total({}) == 0.0
    np.testing.assert_allclose(economics.latency_total({"a": [1.0, 2.0], "b": 3.0}), [4.0, 5.0])
    with pytest.raises(ValueError, match=r"^inference: got -45, expected"):
        economics.latency_total({"network": 15, "inference": -45})


def test_tiered_retention():
    flat = Retention(period_s=15.0, days=30.0)
    assert economics.tiered_retention_saving([flat], flat=flat) == 0.0
    assert economics.tiered_retention_saving([]) == 1.0
    assert economics.tiered_retention_saving([Retention(30.0, 30.0)]) == pytest.approx(0.5)
    assert economics.tiered_retention_saving([flat, flat]) == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="period_s: got 0"):
        economics.tiered_retention_saving([Retention(0.0, 30.0)])
    with pytest.raises(ValueError, match=r"flat\.days: got 0"):
        economics.tiered_retention_saving(flat=Retention(15.0, 0.0))


LINEAR = [
    ("skew_cost", "cost_per_error_usd", 1),
    ("automation_break_even", "manual_hours_per_week", -1),
    ("detection_time", "labels_per_day", -1),
    ("ab_sample_size", "delta", -2),
    ("cost_per_thousand", "inferences_per_hour", -1),
    ("monitoring_points", "samples_per_minute", 1),
    ("query_cost", "users", 1),
    ("observability_volume", "period_s", -1),
    ("monitoring_roi", "annual_cost", -1),
    ("mlops_roi", "annual_investment", -1),
]


@pytest.mark.parametrize(("function", "argument", "power"), LINEAR)
def test_scaling(function, argument, power):
    doubled = evaluate(function, **{argument: 2 * CALLS[function][argument]})
    assert doubled == pytest.approx(evaluate(function) * 2.0**power, rel=1e-14)
