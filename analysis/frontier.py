"""The efficient frontier of monitoring: what each amount of watching buys, and what the next dollar returns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from analysis.intervals import Interval, check_level, standard_deviation

Array = NDArray[np.float64]


def frontier_of(cost: ArrayLike, loss: ArrayLike) -> list[int]:
    """Places of the points that no other one beats: each costs more than the one before, and loses less.

    cost, loss: (plans,) finite. Of points that are equal the first is kept. Returns places, cheapest first.

    >>> frontier_of([0.0, 5.0, 3.0, 3.0, 9.0], [10.0, 2.0, 4.0, 4.0, 2.0])
    [0, 2, 1]
    """
    c, x = np.asarray(cost, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    found: list[int] = []
    for place in np.lexsort((np.arange(len(c)), x, c)).tolist():
        if not found or x[place] < x[found[-1]]:
            found.append(place)
    return found


def cheaper_rivals(cost: ArrayLike, loss: ArrayLike) -> NDArray[np.int64]:
    """For each point the one that loses least of those that cost no more, (plans,): itself on the frontier.

    >>> cheaper_rivals([0.0, 5.0, 3.0, 9.0], [10.0, 2.0, 4.0, 3.0])
    array([0, 1, 2, 1])
    """
    c, x = np.asarray(cost, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    rivals = np.empty(len(c), dtype=np.int64)
    best = -1
    for place in np.lexsort((np.arange(len(c)), x, c)).tolist():
        if best < 0 or x[place] < x[best]:
            best = place
        rivals[place] = best
    return rivals


def ratio_interval(gain: ArrayLike, price: ArrayLike, level: float = 0.95) -> Interval:
    """Mean gain over mean price of the same worlds, with its interval by Student's t on gain - ratio x price.

    gain, price: (replications,) in the same unit; the mean price must be more than 0, else all is NaN. Bounds are NaN
    with fewer than two values. Right for many replications, or a price that hardly varies. Source: Cochran 1977,
    'Sampling Techniques', section 6.4.

    >>> ratio_interval([2.0, 4.0, 6.0], [2.0, 2.0, 2.0]).mean
    2.0
    """
    check_level(level)
    y, x = np.asarray(gain, dtype=np.float64), np.asarray(price, dtype=np.float64)
    if y.shape != x.shape:
        raise ValueError(
            f"gain and price: got shapes {y.shape} and {x.shape}, expected pairs of the same worlds"
        )
    if len(x) == 0 or not float(x.mean()) > 0.0:
        return Interval(math.nan, math.nan, math.nan)
    ratio = float(y.mean() / x.mean())
    if len(x) == 1:
        return Interval(ratio, math.nan, math.nan)
    error = standard_deviation(y - ratio * x) / math.sqrt(len(x)) / float(x.mean())
    half = float(stdtrit(len(x) - 1, 0.5 + 0.5 * level)) * error
    return Interval(ratio, ratio - half, ratio + half)
