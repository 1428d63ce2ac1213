"""Control limits that follow a score's own past, with a season."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def adaptive_limits(
    scores: NDArray[np.float64], trailing: int, season: int, min_looks: int, deviations: float
) -> NDArray[np.float64]:
    """Upper control limit of each look from the `trailing` looks before it, (looks,); NaN where they are too few.

    scores: (looks,), equally spaced; NaN is no reading
    season: looks in a season (a day, a week); 0 or 1 for none. The mean of a look is that of the looks at the same
        time of the season, once there are two; the standard deviation is that of all looks around their own means.
    min_looks: readings needed
    deviations: standard deviations from the mean to the limit
    Source: Montgomery, 'Statistical Quality Control', control limits from preliminary samples.

    >>> adaptive_limits(np.array([1.0, 3.0, 1.0, 3.0, 9.0]), 4, 0, 4, 3.0).round(3)
    array([  nan,   nan,   nan,   nan, 5.464])
    """
    looks, phases = scores.shape[0], max(season, 1)
    limits = np.full(looks, np.nan)
    total, square, number = np.zeros(phases), np.zeros(phases), np.zeros(phases, dtype=np.int64)
    # Sums of squares are taken around the first reading, so that a large level costs no digits.
    origin = math.nan
    for i in range(looks):
        if i > trailing:
            _count(scores, i - trailing - 1, -1, origin, total, square, number)
        limits[i] = _limit(i % phases, origin, total, square, number, min_looks, deviations)
        if math.isnan(origin) and not math.isnan(scores[i]):
            origin = scores[i]
        _count(scores, i, 1, origin, total, square, number)
    return limits


@njit(cache=True)
def _count(
    scores: NDArray[np.float64],
    i: int,
    sign: int,
    origin: float,
    total: NDArray[np.float64],
    square: NDArray[np.float64],
    number: NDArray[np.int64],
) -> None:
    """Add a look to the sums of its time of the season, or take it out (`sign` -1)."""
    if math.isnan(scores[i]):
        return
    phase, gap = i % total.shape[0], scores[i] - origin
    total[phase] += sign * gap
    square[phase] += sign * gap * gap
    number[phase] += sign


@njit(cache=True)
def _limit(
    phase: int,
    origin: float,
    total: NDArray[np.float64],
    square: NDArray[np.float64],
    number: NDArray[np.int64],
    min_looks: int,
    deviations: float,
) -> float:
    readings, freedom = number.sum(), 0
    if readings < max(min_looks, 2):
        return np.nan
    if number[phase] < 2:  # not yet two looks at this time of the season: as if there were none
        mean = total.sum() / readings
        within, freedom = square.sum() - mean * total.sum(), readings - 1
    else:
        mean, within = total[phase] / number[phase], 0.0
        for k in range(total.shape[0]):
            if number[k] > 0:
                within += square[k] - total[k] * total[k] / number[k]
                freedom += number[k] - 1
    return float(origin + mean + deviations * math.sqrt(max(within, 0.0) / freedom))
