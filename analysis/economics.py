"""Closed forms of operating a model: decay, staleness and retraining here, and by name all the others.

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
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from analysis.experiment_economics import (
    ab_detectable_difference,
    ab_sample_size,
    business_cost_threshold,
    decision_cost,
    detection_time,
    overall_accuracy,
    samples_to_tell_apart,
)
from analysis.monitoring_economics import (
    FLAT_RETENTION,
    TIERED_RETENTION,
    Retention,
    automation_break_even,
    ingest_cost,
    mlops_roi,
    monitoring_points,
    monitoring_roi,
    observability_volume,
    query_cost,
    silent_failure_loss,
    skew_cost,
    storage_cost,
    tiered_retention_saving,
)
from analysis.ranges import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_FRACTION,
    POSITIVE_OR_INFINITE,
    Values,
    plain,
)
from analysis.serving_economics import (
    SHADOW_SERVING_OVERHEAD,
    amdahl_speedup,
    cost_per_thousand,
    latency_total,
)
from scenarios.units import MINUTES_PER_DAY, SECONDS_PER_DAY

__all__ = [
    "FLAT_RETENTION",
    "FRAUD_DETECTION",
    "MINUTES_PER_DAY",
    "SECONDS_PER_DAY",
    "SHADOW_SERVING_OVERHEAD",
    "TIERED_RETENTION",
    "Retention",
    "ab_detectable_difference",
    "ab_sample_size",
    "accuracy_at",
    "amdahl_speedup",
    "automation_break_even",
    "business_cost_threshold",
    "cost_per_thousand",
    "days_to_threshold",
    "decay_between",
    "decision_cost",
    "detection_time",
    "first_day_below",
    "half_life",
    "ingest_cost",
    "latency_total",
    "linear_staleness_cost_rate",
    "minimal_cost_rate",
    "mlops_roi",
    "monitoring_points",
    "monitoring_roi",
    "observability_volume",
    "optimal_interval",
    "optimal_interval_sqrt",
    "overall_accuracy",
    "query_cost",
    "retraining_cost_rate",
    "samples_to_tell_apart",
    "silent_failure_loss",
    "skew_cost",
    "staleness_cost",
    "staleness_cost_rate",
    "storage_cost",
    "tiered_retention_saving",
    "total_cost_rate",
]

FRAUD_DETECTION: Mapping[str, float] = MappingProxyType(
    {"queries_per_day": 1e6, "value": 0.5, "accuracy": 0.95, "decay": 0.02}
)
"""The source's fraud detection model, as keyword arguments of the retraining functions below."""

# ---------------------------------------------------------------- decay of accuracy


def accuracy_at(age: ArrayLike, *, accuracy: ArrayLike, decay: ArrayLike) -> Values:
    """Accuracy `age` days after training, `accuracy * exp(-decay * age)`.

    age: days, >= 0; accuracy: at age 0, in [0, 1]; decay: per day, >= 0.
    Source: 'Quantitative Retraining Economics', accuracy decay.

    >>> round(accuracy_at(30.0, accuracy=0.95, decay=0.02), 4)
    0.5214
    """
    age = NON_NEGATIVE.check("age", age, "days")
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    return plain(FRACTION.check("accuracy", accuracy) * np.exp(-decay * age))


def decay_between(accuracy: ArrayLike, later_accuracy: ArrayLike, elapsed: ArrayLike) -> Values:
    """Decay per day of the exponential through two readings of accuracy, `elapsed` days apart.

    accuracy, later_accuracy: in (0, 1], the later one not above the earlier one; elapsed: days, > 0.
    Source: our own; the exponential is that of 'Quantitative Retraining Economics'.

    >>> round(decay_between(0.94, 0.88, 28), 6)
    0.002356
    """
    first, later = np.broadcast_arrays(
        POSITIVE_FRACTION.check("accuracy", accuracy),
        POSITIVE_FRACTION.check("later_accuracy", later_accuracy),
    )
    rises = later > first
    if rises.any():
        raise ValueError(
            f"later_accuracy: got {later[rises][0]:g}, expected at most accuracy = {first[rises][0]:g}"
        )
    return plain(np.log(first / later) / POSITIVE.check("elapsed", elapsed, "days"))


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
    Source: 'Quantitative Retraining Economics', figure 'The Rotting Asset Curve'.

    >>> round(days_to_threshold(0.82, accuracy=0.90, decay=0.0003), 2)
    310.3
    """
    start = POSITIVE_FRACTION.check("accuracy", accuracy)
    distance = np.maximum(np.log(start / POSITIVE_FRACTION.check("threshold", threshold)), 0.0)
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return plain(np.where(distance > 0, distance / decay, 0.0))


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
    return plain(np.where(below_at_once, 0.0, np.where(never, np.inf, np.floor(crossing) + 1.0)))


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
    queries = NON_NEGATIVE.check("queries_per_day", queries_per_day)
    per_query = NON_NEGATIVE.check("value", value, "USD per query and unit of accuracy")
    return queries * per_query * FRACTION.check("accuracy", accuracy)


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
    interval = POSITIVE_OR_INFINITE.check("interval", interval, "days")
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    with np.errstate(invalid="ignore", over="ignore"):
        decayed = np.where(decay > 0, decay * interval, 0.0)
    return plain(_value_at_stake(queries_per_day, value, accuracy) * _mean_relative_loss(decayed))


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
    days = POSITIVE.check("interval", interval, "days")
    rate = staleness_cost_rate(
        days, queries_per_day=queries_per_day, value=value, accuracy=accuracy, decay=decay
    )
    return plain(days * rate)


def linear_staleness_cost_rate(
    interval: ArrayLike, *, queries_per_day: ArrayLike, value: ArrayLike, drop_per_day: ArrayLike
) -> Values:
    """Mean loss per day, in USD, when accuracy falls on a straight line: `Q V drop T / 2`.

    interval: days, finite, > 0; queries_per_day, value: >= 0; drop_per_day: accuracy lost per day, >= 0.
    With `drop_per_day = accuracy * decay`, the tangent at age 0, it exceeds the exponential form for every
    interval and has its optimum at `optimal_interval_sqrt`. Source: 'Quantitative Retraining Economics'.

    >>> linear_staleness_cost_rate(28.0, queries_per_day=1e6, value=0.5, drop_per_day=0.002)
    14000.0
    """
    days = POSITIVE.check("interval", interval, "days")
    drop = NON_NEGATIVE.check("drop_per_day", drop_per_day, "accuracy per day")
    return plain(_value_at_stake(queries_per_day, value, 1.0) * drop * days / 2.0)


def retraining_cost_rate(interval: ArrayLike, *, retrain_cost: ArrayLike) -> Values:
    """Cost of the retrainings themselves, in USD per day.

    interval: days, > 0, or infinity; retrain_cost: USD per retraining, >= 0, that is compute + validation +
    deployment + risk. Source: 'Quantitative Retraining Economics', retraining cost function.

    >>> retraining_cost_rate(7.0, retrain_cost=5000.0)
    714.2857142857143
    """
    interval = POSITIVE_OR_INFINITE.check("interval", interval, "days")
    return plain(NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD") / interval)


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
    cost = NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD")
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    loss_growth = _value_at_stake(queries_per_day, value, accuracy) * decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return plain(np.where(loss_growth > 0, np.sqrt(2.0 * cost / loss_growth), np.inf))


def _optimal_decay(
    retrain_cost: ArrayLike, at_stake: NDArray[np.float64], decay: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`decay * T*`, the optimum on the clock of the decay; infinity where retraining never pays.

    The condition for the minimum is `1 - exp(-x) (1 + x) = C decay / (Q V A0)`. Its left side is the
    regularised incomplete gamma function P(2, x), so the inverse of that is the root, without a bracket.
    """
    cost = NON_NEGATIVE.check("retrain_cost", retrain_cost, "USD")
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
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    x = _optimal_decay(retrain_cost, _value_at_stake(queries_per_day, value, accuracy), decay)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return plain(np.where(np.isfinite(x), x / decay, np.inf))


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
    Source: our own, from the source's 'Staleness Cost Function'.

    >>> round(minimal_cost_rate(retrain_cost=5000.0, **FRAUD_DETECTION), 2)
    9713.4
    """
    decay = NON_NEGATIVE.check("decay", decay, "per day")
    at_stake = _value_at_stake(queries_per_day, value, accuracy)
    x = np.where(decay > 0, _optimal_decay(retrain_cost, at_stake, decay), 0.0)
    return plain(-at_stake * np.expm1(-x))
