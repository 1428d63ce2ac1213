"""Means of one long run: where the warm-up ends (MSER-5), and an interval by batch means.

For a series in time, such as the cost of each day. Replications need neither: they are independent, and what happens
from day 0 on is part of the question there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from analysis.intervals import LEVEL, Interval, check_level, finite_sample, mean_interval, standard_deviation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WarmUp:
    """Where the transient at the start of a series ends."""

    truncation: int
    """Number of leading values to leave out."""
    decided: bool
    """False when the minimum lies at the end of what was searched: the series is too short to say."""
    statistic: Array
    """(batches,) MSER by number of batches left out; infinite where none may be."""
    batch: int

    def table(self) -> pd.DataFrame:
        """The statistic by number of values left out."""
        left_out = self.batch * np.arange(len(self.statistic))
        return pd.DataFrame({"truncation": left_out, "mser": self.statistic})


def mser(values: ArrayLike, batch: int = 5) -> WarmUp:
    """Warm-up by MSER-5: the truncation with the least standard error of the mean of what is left.

    values: (n,) in the order of time, finite, at least 10 batches; batch: values averaged into one, 5 by custom. With
    Z_j the means of b batches the truncation is batch * argmin over d of sum_{j>d} (Z_j - mean_{j>d})^2 / (b - d)^2,
    for d up to b / 2. What does not fill a batch at the end is left out of the statistic. Raises ValueError
    outside these ranges.
    Source: White, Cobb and Spratt 2000, 'A Comparison of Five Steady-State Truncation Heuristics for Simulation';
    Hoad, Robinson and Davies 2010 for the rule that a minimum at the end decides nothing.

    >>> mser([9.0] * 20 + [1.0, 2.0] * 100).truncation
    20
    """
    if batch < 1:
        raise ValueError(f"batch: got {batch}, expected at least 1")
    x = finite_sample(values, 10 * batch)
    count = len(x) // batch
    z = x[: count * batch].reshape(count, batch).mean(axis=1)
    z = z - z[-1]  # sums of squares lose fewer digits near 0
    left = np.arange(count, 0, -1)
    total, squares = np.cumsum(z[::-1])[::-1], np.cumsum(z[::-1] ** 2)[::-1]
    statistic = np.maximum(squares - total**2 / left, 0.0) / left**2
    last = count // 2
    statistic[last + 1 :] = np.inf
    best = int(np.argmin(statistic))
    return WarmUp(best * batch, best < last, statistic, batch)


@dataclass(frozen=True)
class BatchMeans:
    """Mean of one long run, with the batches that its interval comes from."""

    interval: Interval
    means: Array
    """(batches,)"""
    batch_size: int
    lag1: float
    """Correlation of neighbouring batches; NaN where nothing varies."""
    p_independent: float
    """p value of von Neumann's test that the batches are independent, against a positive correlation."""

    @property
    def independent(self) -> bool:
        """Whether the batches look independent (p >= 0.1); otherwise the interval is too narrow: run for longer."""
        return not self.p_independent < 0.1

    def table(self) -> pd.DataFrame:
        """One row a batch: the first of its values by number, and its mean."""
        first = self.batch_size * np.arange(len(self.means))
        return pd.DataFrame({"first": first, "mean": self.means})


def batch_means(values: ArrayLike, batches: int = 20, level: float = LEVEL) -> BatchMeans:
    """Mean of a correlated series in steady state, with an interval from the means of long batches.

    values: (n,) in the order of time, finite, n >= 2 * batches, without the warm-up (`mser`); batches: >= 3, of equal
    length, 10 to 30 by custom; what does not fill one at the start is left out. The interval holds when batches are
    much longer than the correlation: that is what `independent` looks at. Raises ValueError outside these ranges.
    Source: Schmeiser 1982, 'Batch Size Effects in the Analysis of Simulation Output'; von Neumann's ratio as in
    Fishman 1978, 'Grouping Observations in Digital Simulation'.

    >>> found = batch_means(np.random.default_rng(0).normal(size=1000))
    >>> found.batch_size, found.independent
    (50, True)
    """
    if batches < 3:
        raise ValueError(f"batches: got {batches}, expected at least 3")
    check_level(level)
    x = finite_sample(values, 2 * batches)
    size = len(x) // batches
    means = x[len(x) - size * batches :].reshape(batches, size).mean(axis=1)
    lag1, p_value = _neighbours(means)
    return BatchMeans(mean_interval(means, level), means, size, lag1, p_value)


def _neighbours(means: Array) -> tuple[float, float]:
    """Lag-1 correlation by von Neumann's ratio, and the p value against a positive one (normal approximation)."""
    if standard_deviation(means) == 0.0:
        return float("nan"), float("nan")
    gap = means - means.mean()
    squares = float(gap @ gap)
    # The two ends, which have one neighbour only, are corrected for: expectation 0 when independent.
    lag1 = 1.0 - 0.5 * float(np.sum(np.diff(gap) ** 2)) / squares
    error = np.sqrt((len(means) - 2.0) / (len(means) ** 2 - 1.0))
    return lag1, float(ndtr(-lag1 / error))
