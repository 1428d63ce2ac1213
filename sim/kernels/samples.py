"""How far two samples of numbers are apart: Kolmogorov-Smirnov and Wasserstein-1, on the samples themselves.

Both samples are sorted, the reference of many windows only once. Then the KS statistic is found by branch and bound,
and W1 is the mean distance of equal quantiles. float32 samples are sorted as they are and give the same scores.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from sim.kernels.ks_probability import ks_p_value

Sample = NDArray[np.float64] | NDArray[np.float32]


def sorted_sample(sample: ArrayLike) -> Sample:
    """A sorted copy of a sample of any shape, float32 if it was, else float64.

    Raises ValueError when it is empty or holds NaN or infinite values.
    """
    values = np.asarray(sample)
    values = np.array(values, dtype=values.dtype if values.dtype == np.float32 else np.float64).ravel()
    if values.size == 0:
        raise ValueError("both samples need at least one value")
    if not np.isfinite(values).all():
        raise ValueError("samples must be finite")
    values.sort()
    return values


class KsTest(NamedTuple):
    """Two-sample Kolmogorov-Smirnov test, two-sided."""

    statistic: float
    """Largest gap of the two distribution functions, in [0, 1]."""
    p_value: float
    """Probability of a gap at least as large when both samples have one continuous distribution."""


class KsWasserstein(NamedTuple):
    """Both scores that need sorted samples."""

    ks: float
    """KS statistic, in [0, 1]."""
    wasserstein: float
    """W1, in the unit of the samples."""


def ks(reference: ArrayLike, current: ArrayLike) -> float:
    """Two-sample Kolmogorov-Smirnov statistic: largest gap of the two distribution functions, in [0, 1].

    reference, current: samples of any shape, not empty, finite; ties are allowed
    Raises ValueError for other input.

    >>> ks([1, 2, 2, 3], [2, 2, 3, 4])
    0.25
    """
    return float(ks_of_sorted(sorted_sample(reference), sorted_sample(current)))


def ks_test(reference: ArrayLike, current: ArrayLike) -> KsTest:
    """Two-sample KS statistic and its two-sided p-value; arguments and errors of `ks`.

    The p-value is exact while no sample exceeds 10,000 values, then that of the limit law; with ties it is too
    large (conservative).

    >>> ks_test([1, 2, 3, 4], [5, 6, 7, 8])
    KsTest(statistic=1.0, p_value=0.02857142857142857)
    """
    first, second = sorted_sample(reference), sorted_sample(current)
    statistic = float(ks_of_sorted(first, second))
    return KsTest(statistic, ks_p_value(statistic, first.size, second.size))


def wasserstein(reference: ArrayLike, current: ArrayLike) -> float:
    """Wasserstein distance W1: area between the two distribution functions, in the unit of the samples, >= 0.

    Arguments and errors as for `ks`.
    Source: Vallender 1974, 'Calculation of the Wasserstein distance between probability distributions on the line'.

    >>> wasserstein([0, 1, 3], [5, 6, 8])
    5.0
    """
    return float(wasserstein_of_sorted(sorted_sample(reference), sorted_sample(current)))


def ks_and_wasserstein(reference: ArrayLike, current: ArrayLike) -> KsWasserstein:
    """KS statistic and W1 with one sort of each sample; arguments and errors of `ks`.

    >>> ks_and_wasserstein([0, 1, 3], [5, 6, 8])
    KsWasserstein(ks=1.0, wasserstein=5.0)
    """
    first, second = sorted_sample(reference), sorted_sample(current)
    return KsWasserstein(float(ks_of_sorted(first, second)), float(wasserstein_of_sorted(first, second)))


@njit(cache=True, nogil=True)
def _count_below(values: NDArray[Any], low: int, high: int, x: float) -> int:
    """How many of sorted `values` are < x, when it is known to be in low..high."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _count_up_to(values: NDArray[Any], low: int, high: int, x: float) -> int:
    """How many of sorted `values` are <= x, when it is known to be in low..high."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def ks_of_sorted(first: NDArray[Any], second: NDArray[Any]) -> float:
    """KS statistic of two sorted samples without NaN, not empty; infinite values are allowed.

    Branch and bound: between two points the distribution functions stay between their heights there, so a stretch
    that cannot beat the largest gap so far is left out; others are cut at their middle value. Exact: gaps are whole
    multiples of 1/(n m), and equal proportions give exactly 0.
    """
    n, m = first.shape[0], second.shape[0]
    stretches = np.empty((512, 4), np.int64)  # each cut halves the longer side, so few wait at a time
    stretches[0] = (0, n, 0, m)
    waiting, best = 1, 0
    while waiting:
        waiting -= 1
        i, i_end, j, j_end = stretches[waiting]
        if max(i_end * m - j * n, j_end * n - i * m) <= best:
            continue
        x = first[(i + i_end) >> 1] if i_end - i >= j_end - j else second[(j + j_end) >> 1]
        i_below, j_below = _count_below(first, i, i_end, x), _count_below(second, j, j_end, x)
        i_up_to, j_up_to = _count_up_to(first, i_below, i_end, x), _count_up_to(second, j_below, j_end, x)
        best = max(best, abs(i_below * m - j_below * n), abs(i_up_to * m - j_up_to * n))
        if i_below + j_below > i + j:
            stretches[waiting] = (i, i_below, j, j_below)
            waiting += 1
        if i_up_to + j_up_to < i_end + j_end:
            stretches[waiting] = (i_up_to, i_end, j_up_to, j_end)
            waiting += 1
    return float(best / (n * m))


@njit(cache=True, nogil=True)
def _mean_distance(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Mean of |first - second|, in four sums side by side: quicker, and always in the same order."""
    n = first.shape[0]
    s0 = s1 = s2 = s3 = 0.0
    for i in range(0, n - 3, 4):
        s0 += abs(np.float64(first[i]) - second[i])
        s1 += abs(np.float64(first[i + 1]) - second[i + 1])
        s2 += abs(np.float64(first[i + 2]) - second[i + 2])
        s3 += abs(np.float64(first[i + 3]) - second[i + 3])
    for i in range(n - n % 4, n):
        s0 += abs(np.float64(first[i]) - second[i])
    return float(((s0 + s1) + (s2 + s3)) / n)


@njit(cache=True, nogil=True)
def wasserstein_of_sorted(first: NDArray[Any], second: NDArray[Any]) -> float:
    """W1 of two sorted finite samples, not empty: the mean over u in [0, 1] of the distance of their u-quantiles."""
    n, m = first.shape[0], second.shape[0]
    if n == m:
        return _mean_distance(first, second)
    total, i, j, done = 0.0, 0, 0, 0  # in steps of 1/(n m)
    while done < n * m:
        i_end, j_end = (i + 1) * m, (j + 1) * n
        upto = min(i_end, j_end)
        total += (upto - done) * abs(np.float64(first[i]) - second[j])
        i += upto == i_end
        j += upto == j_end
        done = upto
    return float(total / (float(n) * m))
