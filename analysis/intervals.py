"""Confidence intervals for means and for differences of means, by Student's t.

Costs of a replication are sums over many windows, so that t holds well from about 10 replications on; for costs that
stay skewed (an exponential takes 50) see `analysis.skewed_intervals`. Policies that met the same worlds are paired
(common random numbers).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]

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
    check_level(level)
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, np.nan, np.nan)
    half = stdtrit(len(x) - 1, 0.5 + 0.5 * level) * standard_deviation(x) / np.sqrt(len(x))
    return Interval(mean, mean - half, mean + half)


def paired_interval(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Interval:
    """Mean of a - b for values of the same worlds, with its t interval.

    a, b: (replications,), pair by pair; a pair with a NaN is left out. Raises ValueError for unequal lengths.

    >>> paired_interval([3.0, 5.0, 7.0], [1.0, 3.0, 5.0]) == (2.0, 2.0, 2.0)
    True
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"a and b: got shapes {x.shape} and {y.shape}, expected pairs of the same worlds")
    return mean_interval(x - y, level)


def independent_interval(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Interval:
    """Difference of the means of two independent samples, with Welch's interval; variances may differ.

    a, b: samples of any sizes, NaN left out. With fewer than two values in one of them the bounds are NaN.
    Source: Welch 1947; degrees of freedom by Satterthwaite.

    >>> independent_interval([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]).high.round(4)
    np.float64(3.267)
    """
    check_level(level)
    x, y = (v[~np.isnan(v)] for v in (np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)))
    if min(len(x), len(y)) == 0:
        return Interval(np.nan, np.nan, np.nan)
    difference = float(x.mean() - y.mean())
    if min(len(x), len(y)) == 1:
        return Interval(difference, np.nan, np.nan)
    error, degrees = welch(standard_deviation(x), len(x), standard_deviation(y), len(y))
    half = stdtrit(degrees, 0.5 + 0.5 * level) * error if error > 0.0 else 0.0
    return Interval(difference, difference - half, difference + half)


def welch(sd_a: float, size_a: int, sd_b: float, size_b: int) -> tuple[float, float]:
    """Standard error of a difference of two independent means, and Satterthwaite's degrees of freedom."""
    a, b = sd_a**2 / size_a, sd_b**2 / size_b
    if a + b == 0.0:
        return 0.0, float(size_a + size_b - 2)
    share = a / (a + b)
    degrees = 1.0 / (share**2 / (size_a - 1) + (1.0 - share) ** 2 / (size_b - 1))
    return float(np.sqrt(a + b)), float(degrees)


def probability_negative(differences: ArrayLike) -> float:
    """Probability that the mean of the population of paired differences is below 0, by Student's t.

    A posterior under a flat prior. With no spread it is 0, 1, or 1/2 for a mean of exactly 0; NaN for fewer than two.

    >>> probability_negative([-1.0, -1.0])
    1.0
    """
    x = np.asarray(differences, dtype=np.float64)
    if len(x) < 2:
        return float("nan")
    error, mean = standard_deviation(x) / np.sqrt(len(x)), float(x.mean())
    if error == 0.0:
        return 0.5 if mean == 0.0 else float(mean < 0.0)
    return float(stdtr(len(x) - 1, -mean / error))


def standard_deviation(x: Array) -> float:
    """Sample standard deviation of (values,), two or more; 0 for values that are equal but for rounding."""
    spread = float(x.std(ddof=1))
    return 0.0 if spread <= 1e-12 * float(np.abs(x).max()) else spread


def check_level(level: float, name: str = "level") -> None:
    """Raise ValueError for a level that is no confidence; name: of the argument that the user gave."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"{name}: got {level}, expected a number between 0 and 1, such as {LEVEL}")


def finite_sample(values: ArrayLike, least: int, name: str = "values") -> Array:
    """Values (n,) as an array. Raises ValueError for fewer than `least` of them, and for those that are not finite."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) < least or not np.isfinite(x).all():
        got = f"{len(x)} of them" if x.ndim == 1 and np.isfinite(x).all() else f"{values!r}"
        raise ValueError(f"{name}: got {got}, expected at least {least} finite numbers")
    return x
