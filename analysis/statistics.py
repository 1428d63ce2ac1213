"""What replications say: intervals for means and for paired differences.

Means of replications are compared with Student's t, which holds for the sums of many windows that costs are. All
policies meet the same worlds, so differences are paired (common random numbers).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and its confidence interval; the bounds are NaN with fewer than two values."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return 0.5 * (self.high - self.low)


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Mean of independent values with its t interval; NaN values are left out.

    values: any number of them; level: confidence in (0, 1). Raises ValueError for another level.

    >>> mean_interval([1.0, 2.0, 3.0]).low.round(4)
    np.float64(-0.4841)
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: got {level}, expected a number between 0 and 1")
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, np.nan, np.nan)
    half = stdtrit(len(x) - 1, 0.5 + 0.5 * level) * _spread(x) / np.sqrt(len(x))
    return Interval(mean, mean - half, mean + half)


def _spread(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Standard deviation; 0 for values that are equal but for rounding."""
    spread = float(x.std(ddof=1))
    return 0.0 if spread <= 1e-12 * float(np.abs(x).max()) else spread


def probability_negative(differences: ArrayLike) -> float:
    """Probability that the mean of the population of paired differences is below 0, by Student's t.

    A posterior under a flat prior. With no spread it is 0, 1, or 1/2 for a mean of exactly 0; NaN for fewer than two.

    >>> probability_negative([-1.0, -1.0])
    1.0
    """
    x = np.asarray(differences, dtype=np.float64)
    if len(x) < 2:
        return float("nan")
    error, mean = _spread(x) / np.sqrt(len(x)), float(x.mean())
    if error == 0.0:
        return 0.5 if mean == 0.0 else float(mean < 0.0)
    return float(stdtr(len(x) - 1, -mean / error))


def variance_reduction(a: ArrayLike, b: ArrayLike) -> float:
    """How much smaller the variance of a - b is for paired values than for independent runs.

    a, b: (replications,) of two policies in the same worlds. Infinite when the difference never varies,
    NaN for fewer than two worlds, and where nothing varies.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(x) < 2:
        return float("nan")
    paired, apart = _spread(x - y) ** 2, _spread(x) ** 2 + _spread(y) ** 2
    if paired > 0.0:
        return apart / paired
    return float("inf") if apart > 0.0 else float("nan")
