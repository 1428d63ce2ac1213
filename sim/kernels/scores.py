"""How far current data is from its reference: PSI, KL, JS on binned data; KS, Wasserstein on samples.

All logarithms are natural, so divergences are in nats.

Zero bins have one rule. Proportions that come from counts get half a count per bin, (c + 1/2) / (n + K/2)
(`proportions`, or `pseudo_count=0.5` in the kernels). Proportions below `floor` (1e-6 unless the caller says
otherwise, always in the kernels) then count as `floor`, on both sides and without scaling the others down.
`floor=0` gives the textbook definitions: 0 ln 0 is 0, and a bin empty on one side only can give infinity.

The kernels `<score>_of_counts` score many windows and features at once; they agree with the function of the
same name applied to `proportions(counts, pseudo_count)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import kl_div, ndtr, rel_entr

FLOOR = 1e-6
_LOG_FLOOR = math.log(FLOOR)


# --- binned data ---


def proportions(counts: ArrayLike, pseudo_count: float = 0.5) -> NDArray[np.float64]:
    """Proportions of the bins of the last axis, each count raised by `pseudo_count` (>= 0) first.

    counts: (..., bins), >= 0, finite; the bins of one histogram must not all be zero
    Raises ValueError outside these ranges.

    >>> proportions([0, 3, 6]).round(3)
    array([0.048, 0.333, 0.619])
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError("counts must have at least one bin")
    if not (np.isfinite(values).all() and (values >= 0).all() and pseudo_count >= 0):
        raise ValueError("counts and pseudo_count must be finite and >= 0")
    if not values.any(axis=-1).all():
        raise ValueError("a histogram without any count has no proportions")
    raised = values + pseudo_count
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _floored(
    expected: ArrayLike, actual: ArrayLike, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    shapes = pair[0].shape, pair[1].shape
    if pair[0].ndim != 1 or shapes[0] != shapes[1] or pair[0].size == 0:
        raise ValueError(f"expected and actual must be vectors of the same bins, got shapes {shapes}")
    for name, values in zip(("expected", "actual"), pair, strict=True):
        if not (values >= 0).all() or abs(values.sum() - 1) > 1e-6:
            raise ValueError(f"{name} must be proportions >= 0 with sum 1; counts go through proportions()")
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be in [0, 1), got {floor}")
    return np.maximum(pair[0], floor), np.maximum(pair[1], floor)


def psi(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR) -> float:
    """Population stability index, sum of (actual - expected) ln(actual / expected): nats, >= 0, symmetric.

    expected, actual: (bins,) proportions, each with sum 1 to within 1e-6
    floor: smaller proportions count as this (module docstring), in [0, 1)
    Raises ValueError for other input.
    Source: chapter, 'Quantifying Drift', equation of the PSI; the age example is the doctest.

    >>> training = [0.15, 0.25, 0.20, 0.18, 0.12, 0.10]
    >>> serving = [0.12, 0.22, 0.18, 0.20, 0.15, 0.13]
    >>> round(psi(training, serving), 6)
    0.029309
    """
    e, a = _floored(expected, actual, floor)
    return float((rel_entr(a, e) + rel_entr(e, a)).sum())


def kl(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR) -> float:
    """Kullback-Leibler divergence of actual from expected, sum of actual ln(actual / expected): nats, >= 0.

    Computed as the sum of a ln(a / e) - a + e, which is the same for proportions and cannot turn negative
    when flooring moves a sum off 1. Arguments and errors as for `psi`; not symmetric.
    Source: chapter, 'Quantifying Drift', equation of the KL divergence with P actual and Q expected.

    >>> round(kl([0.5, 0.5], [0.75, 0.25]), 6)
    0.130812
    """
    e, a = _floored(expected, actual, floor)
    return float(kl_div(a, e).sum())


def js(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR) -> float:
    """Jensen-Shannon divergence (not its root, the distance): nats, in [0, ln 2] up to flooring, symmetric.

    The mean of the KL divergences of both from their mean. Arguments and errors as for `psi`.

    >>> round(js([1.0, 0.0], [0.0, 1.0], floor=0), 6)
    0.693147
    """
    e, a = _floored(expected, actual, floor)
    middle = 0.5 * (a + e)
    return max(0.0, float(0.5 * (rel_entr(a, middle) + rel_entr(e, middle)).sum()))


# --- samples ---


def _merged(reference: ArrayLike, current: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All values in order, and the difference of the two distribution functions at (and right of) each."""
    first = np.sort(np.asarray(reference, dtype=np.float64), axis=None)
    second = np.sort(np.asarray(current, dtype=np.float64), axis=None)
    if first.size == 0 or second.size == 0:
        raise ValueError("both samples need at least one value")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("samples must be finite")
    values = np.concatenate((first, second))
    values.sort(kind="stable")
    # Counting up to and including ties puts every copy of a tied value at the height after the last of them.
    below_first = np.searchsorted(first, values, side="right") / first.size
    below_second = np.searchsorted(second, values, side="right") / second.size
    return values, below_second - below_first


def ks(reference: ArrayLike, current: ArrayLike) -> float:
    """Two-sample Kolmogorov-Smirnov statistic: largest gap of the two distribution functions, in [0, 1].

    reference, current: samples of any shape, not empty, finite; ties are allowed
    Raises ValueError for other input.

    >>> ks([1, 2, 2, 3], [2, 2, 3, 4])
    0.25
    """
    _, gap = _merged(reference, current)
    return float(np.abs(gap).max())


def wasserstein(reference: ArrayLike, current: ArrayLike) -> float:
    """Wasserstein distance W1: area between the two distribution functions, in the unit of the samples, >= 0.

    Arguments and errors as for `ks`.

    >>> wasserstein([0, 1, 3], [5, 6, 8])
    5.0
    """
    values, gap = _merged(reference, current)
    return float((np.abs(gap[:-1]) * np.diff(values)).sum())


SCORES: dict[str, Callable[..., float]] = {
    "psi": psi,
    "kl": kl,
    "js": js,
    "ks": ks,
    "wasserstein": wasserstein,
}


# --- population ---


def psi_population(shift: ArrayLike, edges: ArrayLike, floor: float = FLOOR) -> NDArray[np.float64]:
    """PSI of N(shift, 1) against N(0, 1) over given bins, without sampling noise.

    Without floor it tends to shift**2, the symmetric KL divergence of the two, as bins become many and fine.

    shift: in SDs, any shape that broadcasts with edges.shape[:-1]
    edges: (..., bins-1) inner edges, ascending, in SDs of the reference
    floor: smaller proportions count as this, as in `psi`
    Returns an array of the broadcast shape.

    >>> psi_population(0.5, [-0.674, 0.0, 0.674]).round(4)
    np.float64(0.2114)
    """
    inner = np.asarray(edges, dtype=np.float64)
    shifted = inner - np.asarray(shift, dtype=np.float64)[..., np.newaxis]
    e, a = (np.maximum(_normal_bins(z), floor) for z in (inner, shifted))
    return np.asarray((rel_entr(a, e) + rel_entr(e, a)).sum(axis=-1))[()]


def _normal_bins(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each bin of a standard normal, exact in both tails (the right one is mirrored)."""
    ends = np.full((*edges.shape[:-1], 1), np.inf)
    low, high = np.concatenate((-ends, edges), axis=-1), np.concatenate((edges, ends), axis=-1)
    mirrored = low > 0
    return np.asarray(
        ndtr(np.where(mirrored, -low, high)) - ndtr(np.where(mirrored, -high, low)), dtype=np.float64
    )


# --- kernels for monitors ---


@njit(cache=True)
def trailing_sum(
    cumulative: NDArray[np.float64],
    start: int,
    stop: int,
    width: int,
    first: int,
    out: NDArray[np.float64],
) -> None:
    """Pool the last `width` windows: out[i] sums windows max(first, i+1-width)..i, for i in start..stop-1.

    cumulative: (windows+1, F, K), counts of all windows before each, so cumulative[0] = 0 (whole counts stay
        exact up to 2**53)
    first: earliest window that may be used, such as the first one of the deployed version
    out: (windows, F, K); other rows than start..stop-1 are left alone
    """
    for i in range(start, stop):
        begin = max(first, i + 1 - width)
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                out[i, j, k] = cumulative[i + 1, j, k] - cumulative[begin, j, k]


@njit(cache=True)
def _count_logs(counts: NDArray[np.float64], pseudo_count: float) -> NDArray[np.float64]:
    """Table of log(c + pseudo_count) for whole c: most counts of a block are whole and repeat.

    Never longer than the block, so that building it costs no more than it can save.
    """
    largest = 0.0
    for count in counts.flat:
        if count > largest:
            largest = count
    logs = np.empty(np.int64(min(largest + 1.0, float(counts.size))))
    for c in range(logs.shape[0]):
        logs[c] = math.log(max(c + pseudo_count, FLOOR))
    return logs


@njit(cache=True)
def _log_of_count(count: float, pseudo_count: float, logs: NDArray[np.float64]) -> float:
    if count < logs.shape[0]:
        i = np.int64(count)
        if i == count:
            return float(logs[np.uint64(i)])  # unsigned: no test for an index from the end
    return math.log(max(count + pseudo_count, FLOOR))


@njit(cache=True)
def _share(
    count: float, pseudo_count: float, scale: float, log_total: float, logs: NDArray[np.float64]
) -> tuple[float, float]:
    """Proportion of a bin and its logarithm, both floored; scale is 1 / total."""
    share = (count + pseudo_count) * scale
    if share < FLOOR:
        return FLOOR, _LOG_FLOOR
    return share, _log_of_count(count, pseudo_count, logs) - log_total


@njit(cache=True)
def _sum(values: NDArray[np.float64]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@njit(cache=True)
def psi_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """PSI of each window and feature against its reference, written to `out` (windows, F), in nats.

    counts: (windows, F, K), >= 0, whole or not; a window without rows (or with NaN) gives NaN
    expected: (F, K) proportions of the reference
    pseudo_count: added to each count; 0.5 for sampled counts, 0 for proportions and counts without noise
    """
    logs = _count_logs(counts, pseudo_count)
    reference = np.maximum(expected, FLOOR)
    log_reference = np.log(reference)
    windows, features, bins = counts.shape
    total, scale, log_total = 1.0, 1.0, 0.0
    for i in range(windows):
        for j in range(features):
            rows = _sum(counts[i, j])
            if not rows > 0.0:
                out[i, j] = np.nan
                continue
            if rows + pseudo_count * bins != total:
                total = rows + pseudo_count * bins
                scale, log_total = 1.0 / total, math.log(total)
            score = 0.0
            for k in range(bins):
                share, log_share = _share(counts[i, j, k], pseudo_count, scale, log_total, logs)
                score += (share - reference[j, k]) * (log_share - log_reference[j, k])
            out[i, j] = score


@njit(cache=True)
def kl_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """KL divergence of each window and feature from its reference, in nats; arguments of `psi_of_counts`."""
    logs = _count_logs(counts, pseudo_count)
    reference = np.maximum(expected, FLOOR)
    log_reference = np.log(reference)
    windows, features, bins = counts.shape
    total, scale, log_total = 1.0, 1.0, 0.0
    for i in range(windows):
        for j in range(features):
            rows = _sum(counts[i, j])
            if not rows > 0.0:
                out[i, j] = np.nan
                continue
            if rows + pseudo_count * bins != total:
                total = rows + pseudo_count * bins
                scale, log_total = 1.0 / total, math.log(total)
            score = 0.0
            for k in range(bins):
                share, log_share = _share(counts[i, j, k], pseudo_count, scale, log_total, logs)
                score += share * (log_share - log_reference[j, k]) - share + reference[j, k]
            out[i, j] = max(score, 0.0)


@njit(cache=True)
def js_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """JS divergence of each window and feature from its reference, in nats; arguments of `psi_of_counts`."""
    reference = np.maximum(expected, FLOOR)
    windows, features, bins = counts.shape
    for i in range(windows):
        for j in range(features):
            rows = _sum(counts[i, j])
            if not rows > 0.0:
                out[i, j] = np.nan
                continue
            total = rows + pseudo_count * bins
            score = 0.0
            for k in range(bins):
                share = max((counts[i, j, k] + pseudo_count) / total, FLOOR)
                middle = 0.5 * (share + reference[j, k])
                score += share * math.log(share / middle)
                score += reference[j, k] * math.log(reference[j, k] / middle)
            out[i, j] = max(0.5 * score, 0.0)


@njit(cache=True)
def ks_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """Binned KS of each window and feature: largest gap of the distribution functions at the bin edges.

    In [0, 1], never above the KS statistic of the unbinned samples when `pseudo_count` is 0. Nothing is
    floored (there is no logarithm). Arguments of `psi_of_counts`.
    """
    windows, features, bins = counts.shape
    for i in range(windows):
        for j in range(features):
            rows = _sum(counts[i, j])
            if not rows > 0.0:
                out[i, j] = np.nan
                continue
            total = rows + pseudo_count * bins
            gap, largest = 0.0, 0.0
            for k in range(bins - 1):
                gap += (counts[i, j, k] + pseudo_count) / total - expected[j, k]
                largest = max(largest, abs(gap))
            out[i, j] = largest
