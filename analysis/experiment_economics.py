"""How much evidence a decision needs: sample sizes, time to detection, slices, and where to put a threshold.

Conventions as in `analysis.economics`, which has all of this under one name.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

from analysis.ranges import FRACTION, INSIDE, NON_NEGATIVE, POSITIVE, POSITIVE_FRACTION, Values, plain


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
    null, alternative = np.broadcast_arrays(INSIDE.check("p0", p0), INSIDE.check("p1", p1))
    equal = null == alternative
    if equal.any():
        raise ValueError(f"p1: got {alternative[equal][0]:g}, expected {INSIDE.words}, other than p0")
    z_alpha = -ndtri(INSIDE.check("alpha", alpha))
    z_beta = ndtri(INSIDE.check("power", power))
    spread = z_alpha * np.sqrt(null * (1 - null)) + z_beta * np.sqrt(alternative * (1 - alternative))
    return plain((np.maximum(spread, 0.0) / (null - alternative)) ** 2)


def _two_sided_normal_sum(alpha: ArrayLike, power: ArrayLike) -> NDArray[np.float64]:
    z: NDArray[np.float64] = ndtri(INSIDE.check("power", power)) - ndtri(INSIDE.check("alpha", alpha) / 2.0)
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
    p = INSIDE.check("baseline", baseline)
    z = _two_sided_normal_sum(alpha, power)
    return plain(2.0 * p * (1.0 - p) * (z / POSITIVE_FRACTION.check("delta", delta)) ** 2)


def ab_detectable_difference(
    *, baseline: ArrayLike, users_per_variant: ArrayLike, alpha: ArrayLike = 0.05, power: ArrayLike = 0.80
) -> Values:
    """Smallest difference (absolute, fraction) that an A/B test of this size detects; inverts `ab_sample_size`.

    users_per_variant: > 0; the others as in `ab_sample_size`. Source: 'A/B Testing for Model Validation'.

    >>> round(ab_detectable_difference(baseline=0.05, users_per_variant=25_000), 5)
    0.00546
    """
    p = INSIDE.check("baseline", baseline)
    users = POSITIVE.check("users_per_variant", users_per_variant)
    return plain(_two_sided_normal_sum(alpha, power) * np.sqrt(2.0 * p * (1.0 - p) / users))


def detection_time(samples: ArrayLike, *, labels_per_day: ArrayLike) -> Values:
    """Days until `samples` labelled requests have arrived.

    samples: >= 0; labels_per_day: > 0. Source: 'Drift Detection Delay'.

    >>> detection_time(1000, labels_per_day=100)
    10.0
    """
    return plain(NON_NEGATIVE.check("samples", samples) / POSITIVE.check("labels_per_day", labels_per_day))


def overall_accuracy(weights: ArrayLike, accuracy: ArrayLike) -> float:
    """Accuracy over all slices: the mean weighted by traffic, which can hide a bad slice.

    weights: shares of traffic, (slices,), sum 1; accuracy: (slices,), in [0, 1]. Source: 'Slice Analysis'.

    >>> round(overall_accuracy([0.45, 0.30, 0.20, 0.05], [0.94, 0.92, 0.88, 0.62]), 4)
    0.906
    """
    shares = np.atleast_1d(FRACTION.check("weights", weights))
    by_slice = np.atleast_1d(FRACTION.check("accuracy", accuracy))
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
    cut = FRACTION.check("threshold", threshold)
    slope = POSITIVE.check("steepness", steepness)
    blocked = expit(slope * (FRACTION.check("false_positive_centre", false_positive_centre) - cut))
    missed = expit(slope * (cut - FRACTION.check("false_negative_centre", false_negative_centre)))
    false_alarms = NON_NEGATIVE.check("false_positive_cost", false_positive_cost) * blocked
    return plain(false_alarms + NON_NEGATIVE.check("false_negative_cost", false_negative_cost) * missed)


def business_cost_threshold(
    *,
    false_positive_cost: float,
    false_negative_cost: float,
    steepness: float,
    false_positive_centre: float,
    false_negative_centre: float,
    grid: ArrayLike | None = None,
) -> float:
    """Threshold, a fraction, of lowest `decision_cost` on `grid` (the first of equals).

    grid: thresholds in [0, 1]; default the source's 200 points from 0.01 to 0.99. The other arguments as in
    `decision_cost`. Source: 'The Business Cost Curve'.

    >>> centres = {"false_positive_centre": 0.3, "false_negative_centre": 0.7}
    >>> t = business_cost_threshold(false_positive_cost=100, false_negative_cost=500, steepness=8, **centres)
    >>> round(t, 3)
    0.335
    """
    thresholds = np.atleast_1d(FRACTION.check("grid", np.linspace(0.01, 0.99, 200) if grid is None else grid))
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
