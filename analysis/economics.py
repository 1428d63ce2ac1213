"""Closed forms of operating a model: staleness, retraining, detection, monitoring, serving.

Money is USD and time is days unless a name says otherwise; accuracy is a fraction in [0, 1] and `value` is
USD per query for accuracy going from 0 to 1. Numbers and arrays are accepted and broadcast together: numbers
give a float, arrays an array. Every function raises ValueError for an argument outside the range that its
docstring states, with a message that names the argument, the value and the right range; NaN is outside.

The forms assume smooth exponential decay, a known value and a fixed cost per retraining; `sim` drops these
assumptions, and its tests check it against this module where they hold.
Source: the chapter's section named in each docstring.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, gammaincinv, ndtri

# A float for numbers, an array for arrays. A union would make every caller narrow it before using it.
Values: TypeAlias = Any

DAYS_PER_YEAR = 365.0
MONTHS_PER_YEAR = 12.0
SECONDS_PER_DAY = 86_400.0
MINUTES_PER_DAY = 1_440.0

SHADOW_SERVING_OVERHEAD = (0.10, 0.20)
"""Extra serving compute of a shadow deployment, as fractions, low and high. Source: 'Shadow Deployment'."""

FRAUD_DETECTION: Mapping[str, float] = MappingProxyType(
    {"queries_per_day": 1e6, "value": 0.5, "accuracy": 0.95, "decay": 0.02}
)
"""The source's fraud detection model, as keyword arguments of the retraining functions below."""


class _Range(NamedTuple):
    """A set of admissible numbers, and how to say it."""

    words: str
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]]

    def check(self, name: str, value: ArrayLike, unit: str = "") -> NDArray[np.float64]:
        expected = f"{self.words} ({unit})" if unit else self.words
        try:
            array = np.asarray(value)
        except ValueError:  # a ragged sequence
            array = np.asarray(None)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"{name}: got {value!r}, expected {expected}")
        array = array.astype(np.float64)
        wrong = ~self.holds(array)
        if wrong.any():
            raise ValueError(f"{name}: got {array[wrong][0]:g}, expected {expected}")
        return array


_POSITIVE = _Range("a finite number > 0", lambda v: (v > 0) & (v < np.inf))
_NON_NEGATIVE = _Range("a finite number >= 0", lambda v: (v >= 0) & (v < np.inf))
_POSITIVE_OR_INFINITE = _Range("a number > 0, or infinity for never", lambda v: v > 0)
_FRACTION = _Range("a fraction in [0, 1]", lambda v: (v >= 0) & (v <= 1))
_POSITIVE_FRACTION = _Range("a fraction in (0, 1]", lambda v: (v > 0) & (v <= 1))
_INSIDE = _Range("a fraction in (0, 1), both ends excluded", lambda v: (v > 0) & (v < 1))


def _plain(values: NDArray[np.float64] | np.float64 | float) -> Values:
    return float(values) if np.ndim(values) == 0 else values


# ---------------------------------------------------------------- decay of accuracy


def accuracy_at(age: ArrayLike, *, accuracy: ArrayLike, decay: ArrayLike) -> Values:
    """Accuracy `age` days after training, `accuracy * exp(-decay * age)`.

    age: days, >= 0; accuracy: at age 0, in [0, 1]; decay: per day, >= 0.
    Source: 'Quantitative Retraining Economics', accuracy decay.

    >>> round(accuracy_at(30.0, accuracy=0.95, decay=0.02), 4)
    0.5214
    """
    age = _NON_NEGATIVE.check("age", age, "days")
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    return _plain(_FRACTION.check("accuracy", accuracy) * np.exp(-decay * age))


def decay_between(accuracy: ArrayLike, later_accuracy: ArrayLike, elapsed: ArrayLike) -> Values:
    """Decay per day of the exponential through two readings of accuracy, `elapsed` days apart.

    accuracy, later_accuracy: in (0, 1], the later one not above the earlier one; elapsed: days, > 0.

    >>> round(decay_between(0.94, 0.88, 28), 6)
    0.002356
    """
    first, later = np.broadcast_arrays(
        _POSITIVE_FRACTION.check("accuracy", accuracy),
        _POSITIVE_FRACTION.check("later_accuracy", later_accuracy),
    )
    rises = later > first
    if rises.any():
        raise ValueError(
            f"later_accuracy: got {later[rises][0]:g}, expected at most accuracy = {first[rises][0]:g}"
        )
    return _plain(np.log(first / later) / _POSITIVE.check("elapsed", elapsed, "days"))


def half_life(decay: ArrayLike) -> Values:
    """Days until accuracy has halved, `ln 2 / decay`; infinite without decay.

    decay: per day, >= 0. Source: 'Quantitative Retraining Economics'.

    >>> round(half_life(0.02), 2)
    34.66
    """
    return days_to_threshold(0.5, accuracy=1.0, decay=decay)


def days_to_threshold(threshold: ArrayLike, *, accuracy: ArrayLike, decay: ArrayLike) -> Values:
    """Age in days at which a decaying accuracy equals `threshold`; 0 if it starts at or below it.

    threshold, accuracy: fractions in (0, 1]; decay: per day, >= 0 (0 gives infinity, or 0 as above).

    >>> round(days_to_threshold(0.82, accuracy=0.90, decay=0.0003), 2)
    310.3
    """
    start = _POSITIVE_FRACTION.check("accuracy", accuracy)
    distance = np.maximum(np.log(start / _POSITIVE_FRACTION.check("threshold", threshold)), 0.0)
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _plain(np.where(distance > 0, distance / decay, 0.0))


def first_day_below(threshold: ArrayLike, *, accuracy: ArrayLike, decay: ArrayLike) -> Values:
    """First whole day on which a decaying accuracy is strictly below `threshold`.

    Arguments as in `days_to_threshold`. Returns a whole number of days as a float; infinity if it never is.
    Source: the 'Rotting Asset Curve'.

    >>> first_day_below(0.82, accuracy=0.90, decay=0.0003)
    311.0
    """
    crossing = np.asarray(days_to_threshold(threshold, accuracy=accuracy, decay=decay))
    below_at_once = np.less(accuracy, threshold)
    never = (np.asarray(decay) == 0) & ~below_at_once
    return _plain(np.where(below_at_once, 0.0, np.where(never, np.inf, np.floor(crossing) + 1.0)))


# ---------------------------------------------------------------- retraining


def _mean_relative_loss(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`1 - (1 - exp(-x)) / x`: the share of the initial accuracy lost, averaged over ages 0 to x / decay.

    Below 1/2 the difference cancels, so the alternating series x/2! - x^2/3! + x^3/4! - ... takes over there:
    its first omitted term is below 1e-19 of the sum.
    """
    small = np.minimum(x, 0.5)
    series = np.zeros_like(small)
    for order in range(16, 0, -1):
        series = small * ((-1) ** (order + 1) / math.factorial(order + 1) + series)
    large = np.maximum(x, 0.5)
    return np.where(x < 0.5, series, 1.0 + np.expm1(-large) / large)


def _value_at_stake(queries_per_day: ArrayLike, value: ArrayLike, accuracy: ArrayLike) -> NDArray[np.float64]:
    """USD per day that the whole of the initial accuracy is worth."""
    queries = _NON_NEGATIVE.check("queries_per_day", queries_per_day)
    per_query = _NON_NEGATIVE.check("value", value, "USD per query and unit of accuracy")
    return queries * per_query * _FRACTION.check("accuracy", accuracy)


def staleness_cost_rate(
    interval: ArrayLike,
    *,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Mean loss per day, in USD, of serving an ageing model that is retrained every `interval` days.

    interval: days, > 0, or infinity (never retrain: all accuracy is lost in the end, unless decay is 0)
    queries_per_day, value, decay (per day): >= 0; accuracy: right after training, in [0, 1]
    Source: 'Quantitative Retraining Economics', staleness cost.

    >>> round(staleness_cost_rate(7.0, **FRAUD_DETECTION), 2)
    31751.16
    """
    interval = _POSITIVE_OR_INFINITE.check("interval", interval, "days")
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    with np.errstate(invalid="ignore", over="ignore"):
        decayed = np.where(decay > 0, decay * interval, 0.0)
    return _plain(_value_at_stake(queries_per_day, value, accuracy) * _mean_relative_loss(decayed))


def staleness_cost(
    interval: ArrayLike,
    *,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Expected loss, in USD, of serving an ageing model for one retraining interval.

    `Q V A0 (T - (1 - exp(-decay T)) / decay)`, without its cancellation for small `decay * interval`.
    interval: days between retrainings, finite, > 0; the other arguments as in `staleness_cost_rate`.
    Source: 'Quantitative Retraining Economics', staleness cost.

    >>> round(staleness_cost(1.0, queries_per_day=1e6, value=0.5, accuracy=0.95, decay=0.02), 2)
    4718.49
    """
    days = _POSITIVE.check("interval", interval, "days")
    rate = staleness_cost_rate(
        days, queries_per_day=queries_per_day, value=value, accuracy=accuracy, decay=decay
    )
    return _plain(days * rate)


def linear_staleness_cost_rate(
    interval: ArrayLike, *, queries_per_day: ArrayLike, value: ArrayLike, drop_per_day: ArrayLike
) -> Values:
    """Mean loss per day, in USD, when accuracy falls on a straight line: `Q V drop T / 2`.

    interval: days, finite, > 0; queries_per_day, value: >= 0; drop_per_day: accuracy lost per day, >= 0.
    With `drop_per_day = accuracy * decay`, the tangent at age 0, it exceeds the exponential form for every
    interval and has its optimum at `optimal_interval_sqrt`.

    >>> linear_staleness_cost_rate(28.0, queries_per_day=1e6, value=0.5, drop_per_day=0.002)
    14000.0
    """
    days = _POSITIVE.check("interval", interval, "days")
    drop = _NON_NEGATIVE.check("drop_per_day", drop_per_day, "accuracy per day")
    return _plain(_value_at_stake(queries_per_day, value, 1.0) * drop * days / 2.0)


def retraining_cost_rate(interval: ArrayLike, *, retrain_cost: ArrayLike) -> Values:
    """Cost of the retrainings themselves, in USD per day.

    interval: days, > 0, or infinity; retrain_cost: USD per retraining, >= 0, that is compute + validation +
    deployment + risk. Source: 'Quantitative Retraining Economics', retraining cost function.

    >>> retraining_cost_rate(7.0, retrain_cost=5000.0)
    714.2857142857143
    """
    interval = _POSITIVE_OR_INFINITE.check("interval", interval, "days")
    return _plain(_NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD") / interval)


def total_cost_rate(
    interval: ArrayLike,
    *,
    retrain_cost: ArrayLike,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Staleness plus retraining, in USD per day: what the optimal interval minimises.

    Arguments as in `staleness_cost_rate` and `retraining_cost_rate`.
    Source: 'Quantitative Retraining Economics', optimal retraining interval.

    >>> round(total_cost_rate(1.0, retrain_cost=5000.0, **FRAUD_DETECTION), 2)
    9718.49
    """
    staleness = staleness_cost_rate(
        interval, queries_per_day=queries_per_day, value=value, accuracy=accuracy, decay=decay
    )
    return staleness + retraining_cost_rate(interval, retrain_cost=retrain_cost)


def optimal_interval_sqrt(
    *,
    retrain_cost: ArrayLike,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Days between retrainings by the square-root law, `sqrt(2 C / (Q V A0 decay))`.

    The first-order approximation of `optimal_interval`, never above it; infinite if nothing is lost by
    ageing. Arguments as in `total_cost_rate`. Source: 'Quantitative Retraining Economics', square-root law.

    >>> round(optimal_interval_sqrt(retrain_cost=5000.0, **FRAUD_DETECTION), 4)
    1.026
    """
    cost = _NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD")
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    loss_growth = _value_at_stake(queries_per_day, value, accuracy) * decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _plain(np.where(loss_growth > 0, np.sqrt(2.0 * cost / loss_growth), np.inf))


def _optimal_decay(
    retrain_cost: ArrayLike, at_stake: NDArray[np.float64], decay: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`decay * T*`, the optimum on the clock of the decay; infinity where retraining never pays.

    The condition for the minimum is `1 - exp(-x) (1 + x) = C decay / (Q V A0)`. Its left side is the
    regularised incomplete gamma function P(2, x), so the inverse of that is the root, without a bracket.
    """
    cost = _NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative_cost = cost * decay / at_stake
    pays = (at_stake > 0) & (decay > 0) & (relative_cost < 1)
    return np.where(pays, gammaincinv(2.0, np.where(pays, relative_cost, 0.0)), np.inf)


def optimal_interval(
    *,
    retrain_cost: ArrayLike,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Days between retrainings that minimise `total_cost_rate`, exactly.

    Infinite when retraining never pays: `retrain_cost >= queries_per_day * value * accuracy / decay`, that is
    one retraining costs no less than everything a model earns until it has decayed to nothing. 0 when
    retraining is free. Arguments as in `total_cost_rate`.
    Source: 'Quantitative Retraining Economics', optimal retraining interval.

    >>> round(optimal_interval(retrain_cost=5000.0, **FRAUD_DETECTION), 4)
    1.0331
    >>> optimal_interval(retrain_cost=5000.0, queries_per_day=100.0, value=0.5, accuracy=0.95, decay=0.02)
    inf
    """
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    x = _optimal_decay(retrain_cost, _value_at_stake(queries_per_day, value, accuracy), decay)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _plain(np.where(np.isfinite(x), x / decay, np.inf))


def minimal_cost_rate(
    *,
    retrain_cost: ArrayLike,
    queries_per_day: ArrayLike,
    value: ArrayLike,
    accuracy: ArrayLike,
    decay: ArrayLike,
) -> Values:
    """Lowest reachable total cost, in USD per day: `Q V A0 (1 - exp(-decay T*))`.

    At the optimum the loss of one more day of ageing equals the mean cost of a day, which gives this form.
    All of `Q V A0` where retraining never pays, 0 without decay. Arguments as in `total_cost_rate`.

    >>> round(minimal_cost_rate(retrain_cost=5000.0, **FRAUD_DETECTION), 2)
    9713.4
    """
    decay = _NON_NEGATIVE.check("decay", decay, "per day")
    at_stake = _value_at_stake(queries_per_day, value, accuracy)
    x = np.where(decay > 0, _optimal_decay(retrain_cost, at_stake, decay), 0.0)
    return _plain(-at_stake * np.expm1(-x))


# ---------------------------------------------------------------- skew, silent failures, automation


def skew_cost(
    *,
    error_rate: ArrayLike,
    queries_per_day: ArrayLike,
    cost_per_error_usd: ArrayLike,
    days: ArrayLike = DAYS_PER_YEAR,
) -> Values:
    """Cost, in USD over `days`, of the errors that training-serving skew adds.

    error_rate: fraction of queries in [0, 1]; the others >= 0. Source: 'Consistency Imperative'.

    >>> skew_cost(error_rate=0.01, queries_per_day=1e6, cost_per_error_usd=0.10)
    365000.0
    """
    errors = _FRACTION.check("error_rate", error_rate) * _NON_NEGATIVE.check(
        "queries_per_day", queries_per_day
    )
    cost = _NON_NEGATIVE.check("cost_per_error_usd", cost_per_error_usd)
    return _plain(errors * cost * _NON_NEGATIVE.check("days", days))


def automation_break_even(*, build_hours: ArrayLike, manual_hours_per_week: ArrayLike) -> Values:
    """Weeks until an automated pipeline has saved the hours that it took to build.

    build_hours: >= 0; manual_hours_per_week: saved, > 0. Source: 'Technical Debt'.

    >>> automation_break_even(build_hours=80, manual_hours_per_week=4)
    20.0
    """
    built = _NON_NEGATIVE.check("build_hours", build_hours)
    return _plain(built / _POSITIVE.check("manual_hours_per_week", manual_hours_per_week))


def silent_failure_loss(
    *, annual_revenue_usd: ArrayLike, quality_drop: ArrayLike, detection_days: ArrayLike
) -> Values:
    """Revenue lost, in USD, by a failure that starts right after a check and is found at the next one.

    This is the worst onset. annual_revenue_usd: >= 0; quality_drop: fraction of revenue lost, in [0, 1];
    detection_days: between checks, >= 0. Source: 'The Cost of Silent Failures'.

    >>> round(silent_failure_loss(annual_revenue_usd=50e6, quality_drop=0.05, detection_days=28), 2)
    191780.82
    """
    revenue = _NON_NEGATIVE.check("annual_revenue_usd", annual_revenue_usd)
    drop = _FRACTION.check("quality_drop", quality_drop)
    return _plain(revenue * drop * _NON_NEGATIVE.check("detection_days", detection_days) / DAYS_PER_YEAR)


def mean_silent_failure_loss(
    *, annual_revenue_usd: ArrayLike, quality_drop: ArrayLike, detection_days: ArrayLike
) -> Values:
    """Revenue lost, in USD, on average over an onset uniform between two checks: half of the worst onset.

    Arguments as in `silent_failure_loss`.

    >>> round(mean_silent_failure_loss(annual_revenue_usd=50e6, quality_drop=0.05, detection_days=28), 2)
    95890.41
    """
    worst = silent_failure_loss(
        annual_revenue_usd=annual_revenue_usd, quality_drop=quality_drop, detection_days=detection_days
    )
    return worst / 2.0


# ---------------------------------------------------------------- detection and experiments


def samples_to_tell_apart(
    p0: ArrayLike, p1: ArrayLike, *, alpha: ArrayLike = 0.05, power: ArrayLike = 0.80
) -> Values:
    """Labelled samples of a one-sided test that tells the proportion `p1` from the known `p0`.

    Normal approximation, `((z_alpha sqrt(p0 q0) + z_beta sqrt(p1 q1)) / (p0 - p1))^2`; round up for a count.
    p0, p1: in (0, 1), different; alpha: false alarm probability, power: detection probability, in (0, 1).
    Source: 'Drift Detection Delay', whose rule of thumb is 1,000 samples.

    >>> round(samples_to_tell_apart(0.95, 0.90), 1)
    149.3
    """
    null, alternative = np.broadcast_arrays(_INSIDE.check("p0", p0), _INSIDE.check("p1", p1))
    equal = null == alternative
    if equal.any():
        raise ValueError(f"p1: got {alternative[equal][0]:g}, expected {_INSIDE.words}, other than p0")
    z_alpha = -ndtri(_INSIDE.check("alpha", alpha))
    z_beta = ndtri(_INSIDE.check("power", power))
    spread = z_alpha * np.sqrt(null * (1 - null)) + z_beta * np.sqrt(alternative * (1 - alternative))
    return _plain((np.maximum(spread, 0.0) / (null - alternative)) ** 2)


def _two_sided_normal_sum(alpha: ArrayLike, power: ArrayLike) -> NDArray[np.float64]:
    z: NDArray[np.float64] = ndtri(_INSIDE.check("power", power)) - ndtri(_INSIDE.check("alpha", alpha) / 2.0)
    return np.where(z > 0, z, 0.0)  # a power below alpha / 2 needs no data


def ab_sample_size(
    *, baseline: ArrayLike, delta: ArrayLike, alpha: ArrayLike = 0.05, power: ArrayLike = 0.80
) -> Values:
    """Users per variant of a two-sided A/B test, `2 (z_alpha/2 + z_beta)^2 p (1 - p) / delta^2`.

    baseline: conversion p, in (0, 1); delta: smallest ABSOLUTE difference to detect, in (0, 1] (a lift of 5 %
    by 2 % of itself is 0.001); alpha, power: in (0, 1). Not rounded.
    Source: 'A/B Testing for Model Validation'.

    >>> round(ab_sample_size(baseline=0.05, delta=0.02), 1)
    1864.1
    """
    p = _INSIDE.check("baseline", baseline)
    z = _two_sided_normal_sum(alpha, power)
    return _plain(2.0 * p * (1.0 - p) * (z / _POSITIVE_FRACTION.check("delta", delta)) ** 2)


def ab_detectable_difference(
    *, baseline: ArrayLike, users_per_variant: ArrayLike, alpha: ArrayLike = 0.05, power: ArrayLike = 0.80
) -> Values:
    """Smallest absolute difference that an A/B test of this size detects: the inverse of `ab_sample_size`.

    users_per_variant: > 0; the others as in `ab_sample_size`.

    >>> round(ab_detectable_difference(baseline=0.05, users_per_variant=25_000), 5)
    0.00546
    """
    p = _INSIDE.check("baseline", baseline)
    users = _POSITIVE.check("users_per_variant", users_per_variant)
    return _plain(_two_sided_normal_sum(alpha, power) * np.sqrt(2.0 * p * (1.0 - p) / users))


def detection_time(samples: ArrayLike, *, labels_per_day: ArrayLike) -> Values:
    """Days until `samples` labelled requests have arrived.

    samples: >= 0; labels_per_day: > 0. Source: 'Drift Detection Delay'.

    >>> detection_time(1000, labels_per_day=100)
    10.0
    """
    return _plain(_NON_NEGATIVE.check("samples", samples) / _POSITIVE.check("labels_per_day", labels_per_day))


def overall_accuracy(weights: ArrayLike, accuracy: ArrayLike) -> float:
    """Accuracy over all slices: the mean weighted by traffic, which can hide a bad slice.

    weights: shares of traffic, (slices,), sum 1; accuracy: (slices,), in [0, 1]. Source: 'Slice Analysis'.

    >>> round(overall_accuracy([0.45, 0.30, 0.20, 0.05], [0.94, 0.92, 0.88, 0.62]), 4)
    0.906
    """
    shares = np.atleast_1d(_FRACTION.check("weights", weights))
    by_slice = np.atleast_1d(_FRACTION.check("accuracy", accuracy))
    if shares.shape != by_slice.shape or shares.ndim != 1:
        raise ValueError(f"accuracy: got shape {by_slice.shape}, expected one per weight, {shares.shape}")
    if not math.isclose(shares.sum(), 1.0, abs_tol=1e-9):
        raise ValueError(f"weights: got sum {shares.sum():g}, expected shares that sum to 1")
    return float(shares @ by_slice)


def decision_cost(
    threshold: ArrayLike,
    *,
    false_positive_cost: float,
    false_negative_cost: float,
    steepness: float,
    false_positive_centre: float,
    false_negative_centre: float,
) -> Values:
    """Expected cost, in USD per decision, of a decision threshold whose error rates are logistic in it.

    False positives fall from 1 to 0 around `false_positive_centre`, false negatives rise from 0 to 1 around
    `false_negative_centre`, both with `steepness` > 0. threshold, centres: in [0, 1]; costs: USD per error,
    >= 0. Source: 'The Business Cost Curve'.
    """
    cut = _FRACTION.check("threshold", threshold)
    slope = _POSITIVE.check("steepness", steepness)
    blocked = expit(slope * (_FRACTION.check("false_positive_centre", false_positive_centre) - cut))
    missed = expit(slope * (cut - _FRACTION.check("false_negative_centre", false_negative_centre)))
    false_alarms = _NON_NEGATIVE.check("false_positive_cost", false_positive_cost) * blocked
    return _plain(false_alarms + _NON_NEGATIVE.check("false_negative_cost", false_negative_cost) * missed)


def business_cost_threshold(
    *,
    false_positive_cost: float,
    false_negative_cost: float,
    steepness: float,
    false_positive_centre: float,
    false_negative_centre: float,
    grid: ArrayLike | None = None,
) -> float:
    """Threshold of lowest `decision_cost` on `grid` (the first of equals).

    grid: thresholds in [0, 1]; default the source's 200 points from 0.01 to 0.99. The other arguments as in
    `decision_cost`. Source: 'The Business Cost Curve'.

    >>> centres = {"false_positive_centre": 0.3, "false_negative_centre": 0.7}
    >>> t = business_cost_threshold(false_positive_cost=100, false_negative_cost=500, steepness=8, **centres)
    >>> round(t, 3)
    0.335
    """
    thresholds = np.atleast_1d(
        _FRACTION.check("grid", np.linspace(0.01, 0.99, 200) if grid is None else grid)
    )
    if thresholds.size == 0:
        raise ValueError("grid: got no thresholds, expected at least one in [0, 1]")
    costs = decision_cost(
        thresholds,
        false_positive_cost=false_positive_cost,
        false_negative_cost=false_negative_cost,
        steepness=steepness,
        false_positive_centre=false_positive_centre,
        false_negative_centre=false_negative_centre,
    )
    return float(thresholds[int(np.argmin(costs))])


# ---------------------------------------------------------------- serving


def cost_per_thousand(*, hourly_gpu_usd: ArrayLike, inferences_per_hour: ArrayLike) -> Values:
    """USD per 1,000 inferences of a GPU that costs `hourly_gpu_usd` (>= 0).

    inferences_per_hour: > 0. Source: 'Cost-Per-Inference Tracking'.

    >>> round(cost_per_thousand(hourly_gpu_usd=3.0, inferences_per_hour=50_000), 6)
    0.06
    """
    hourly = _NON_NEGATIVE.check("hourly_gpu_usd", hourly_gpu_usd)
    return _plain(1000.0 * hourly / _POSITIVE.check("inferences_per_hour", inferences_per_hour))


def latency_total(stages: Mapping[str, ArrayLike]) -> Values:
    """End-to-end latency of stages that follow one another, in the unit they are given in (each >= 0).

    Source: 'Latency Budget'.

    >>> latency_total({"network": 15, "feature_fetch": 25, "inference": 45, "post_processing": 15})
    100.0
    """
    return _plain(sum((_NON_NEGATIVE.check(name, stage) for name, stage in stages.items()), np.float64(0.0)))


def amdahl_speedup(*, share: ArrayLike, speedup: ArrayLike) -> Values:
    """Speed-up of the whole when a `share` in [0, 1] of its time gets `speedup` (> 0) times faster.

    Source: 'Latency Budget'.

    >>> round(amdahl_speedup(share=0.45, speedup=2), 4)
    1.2903
    """
    part = _FRACTION.check("share", share)
    return _plain(1.0 / ((1.0 - part) + part / _POSITIVE.check("speedup", speedup)))


# ---------------------------------------------------------------- monitoring


class Retention(NamedTuple):
    """A storage tier: one sample every `period_s` seconds, kept for `days`."""

    period_s: float
    days: float


FLAT_RETENTION = Retention(period_s=15.0, days=30.0)
TIERED_RETENTION = (Retention(15.0, 1.0), Retention(60.0, 7.0), Retention(300.0, 30.0))
"""Tiers that overlap: recent data is held at every resolution. Source: 'Cost Optimization Strategies'."""


def monitoring_points(
    *, variants: ArrayLike, metrics: ArrayLike, samples_per_minute: ArrayLike, days: ArrayLike = 30.0
) -> Values:
    """Data points that `variants` deployments with `metrics` each send in `days` days (all >= 0).

    Source: 'Monitoring Cost Model'.

    >>> monitoring_points(variants=3, metrics=50, samples_per_minute=4, days=30)
    25920000.0
    """
    series = _NON_NEGATIVE.check("variants", variants) * _NON_NEGATIVE.check("metrics", metrics)
    per_day = _NON_NEGATIVE.check("samples_per_minute", samples_per_minute) * MINUTES_PER_DAY
    return _plain(series * per_day * _NON_NEGATIVE.check("days", days))


def ingest_cost(points: ArrayLike, *, usd_per_million: ArrayLike) -> Values:
    """Cost, in USD, of taking in `points` data points (both arguments >= 0).

    >>> round(ingest_cost(25_920_000, usd_per_million=0.30), 3)
    7.776
    """
    price = _NON_NEGATIVE.check("usd_per_million", usd_per_million)
    return _plain(_NON_NEGATIVE.check("points", points) / 1e6 * price)


def storage_cost(points: ArrayLike, *, bytes_per_point: ArrayLike, usd_per_gb_month: ArrayLike) -> Values:
    """Cost, in USD per month, of keeping `points` data points (all arguments >= 0); a GB is 1e9 bytes.

    >>> round(storage_cost(25_920_000, bytes_per_point=8, usd_per_gb_month=1.0), 5)
    0.20736
    """
    size = _NON_NEGATIVE.check("points", points) * _NON_NEGATIVE.check("bytes_per_point", bytes_per_point)
    return _plain(size / 1e9 * _NON_NEGATIVE.check("usd_per_gb_month", usd_per_gb_month))


def query_cost(
    *,
    dashboards: ArrayLike,
    users: ArrayLike,
    queries_per_hour: ArrayLike,
    hours: ArrayLike,
    days: ArrayLike,
    usd_per_query: ArrayLike,
) -> Values:
    """Cost, in USD per month, of dashboards that refresh while users have them open.

    queries_per_hour: refreshes per dashboard and user; hours: a day; days: a month (all >= 0).

    >>> query_cost(dashboards=2, users=3, queries_per_hour=12, hours=8, days=22, usd_per_query=0.02)
    253.44
    """
    viewers = _NON_NEGATIVE.check("dashboards", dashboards) * _NON_NEGATIVE.check("users", users)
    open_hours = _NON_NEGATIVE.check("hours", hours) * _NON_NEGATIVE.check("days", days)
    queries = viewers * _NON_NEGATIVE.check("queries_per_hour", queries_per_hour) * open_hours
    return _plain(queries * _NON_NEGATIVE.check("usd_per_query", usd_per_query))


def observability_volume(
    *, requests_per_second: ArrayLike, bytes_per_request: ArrayLike, period_s: ArrayLike = 1.0
) -> Values:
    """Telemetry, in bytes per second, when one in every `period_s` seconds is recorded.

    requests_per_second, bytes_per_request: >= 0; period_s: > 0. Source: 'The Economics of Observability'.

    >>> observability_volume(requests_per_second=1e6, bytes_per_request=1000) / 1e9
    1.0
    """
    requests = _NON_NEGATIVE.check("requests_per_second", requests_per_second)
    volume = requests * _NON_NEGATIVE.check("bytes_per_request", bytes_per_request)
    return _plain(volume / _POSITIVE.check("period_s", period_s))


def tiered_retention_saving(
    tiers: Sequence[Retention] = TIERED_RETENTION, *, flat: Retention = FLAT_RETENTION
) -> float:
    """Fraction of stored samples that `tiers` save over keeping everything as `flat`.

    Each period: > 0 seconds; each length: >= 0 days, that of `flat` > 0. Negative: the tiers hold more.
    Source: 'Cost Optimization Strategies'.

    >>> round(tiered_retention_saving(), 4)
    0.8583
    """

    def samples(tier: Retention) -> float:
        period = _POSITIVE.check("period_s", tier.period_s, "seconds")
        return float(_NON_NEGATIVE.check("days", tier.days) * SECONDS_PER_DAY / period)

    _POSITIVE.check("flat.days", flat.days)
    return 1.0 - sum(samples(tier) for tier in tiers) / samples(flat)


# ---------------------------------------------------------------- returns


def monitoring_roi(
    *, incidents_prevented: ArrayLike, cost_per_incident: ArrayLike, annual_cost: ArrayLike
) -> Values:
    """Cost of the incidents prevented in a year over the annual cost of monitoring.

    incidents_prevented, cost_per_incident (USD): >= 0; annual_cost (USD): > 0.
    Source: 'Cost-Benefit Framework'.

    >>> monitoring_roi(incidents_prevented=5, cost_per_incident=50_000, annual_cost=50_000)
    5.0
    """
    prevented = _NON_NEGATIVE.check("incidents_prevented", incidents_prevented)
    saved = prevented * _NON_NEGATIVE.check("cost_per_incident", cost_per_incident)
    return _plain(saved / _POSITIVE.check("annual_cost", annual_cost))


def mlops_roi(
    *,
    incidents_avoided: ArrayLike,
    cost_per_incident: ArrayLike,
    hours_saved_per_month: ArrayLike,
    hourly_cost: ArrayLike,
    annual_investment: ArrayLike,
) -> Values:
    """Incidents avoided and working time saved in a year over the annual investment.

    incidents_avoided (a year), cost_per_incident (USD), hours_saved_per_month, hourly_cost (USD): >= 0;
    annual_investment (USD): > 0. Source: 'Single-Model ROI Calculation'.

    >>> incidents = {"incidents_avoided": 4, "cost_per_incident": 25_000}
    >>> hours = {"hours_saved_per_month": 20, "hourly_cost": 150}
    >>> round(mlops_roi(annual_investment=30_000, **incidents, **hours), 4)
    4.5333
    """
    avoided = _NON_NEGATIVE.check("incidents_avoided", incidents_avoided)
    hours = _NON_NEGATIVE.check("hours_saved_per_month", hours_saved_per_month) * MONTHS_PER_YEAR
    saved = avoided * _NON_NEGATIVE.check("cost_per_incident", cost_per_incident)
    saved = saved + hours * _NON_NEGATIVE.check("hourly_cost", hourly_cost)
    return _plain(saved / _POSITIVE.check("annual_investment", annual_investment))
