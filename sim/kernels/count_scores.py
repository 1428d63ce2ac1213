"""Scores of many windows and features at once, from their counts in bins: what a monitor computes.

Each kernel `<score>_of_counts` agrees with the function of the same name applied to
`proportions(counts, pseudo_count)` (`chi_square_of_counts` with `chi_square_divergence`, which needs no sizes of
samples), with the same floor. Logarithms are natural. A window without rows, or with NaN, scores NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

FLOOR = 1e-6
_LOG_FLOOR = math.log(FLOOR)


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


@njit(cache=True, inline="always")  # a call for each histogram would take longer than what it does
def _to_shares(
    counts: NDArray[np.float64], i: int, j: int, pseudo_count: float, shares: NDArray[np.float64]
) -> bool:
    """Proportions of the bins of window i, feature j to `shares` (K,), not floored; False without rows."""
    bins = shares.shape[0]
    rows = 0.0
    for k in range(bins):
        rows += counts[i, j, k]
    if not rows > 0.0:
        return False
    total = rows + pseudo_count * bins
    for k in range(bins):
        shares[k] = (counts[i, j, k] + pseudo_count) / total
    return True


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
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            score = 0.0
            for k in range(bins):
                share = max(shares[k], FLOOR)
                middle = 0.5 * (share + reference[j, k])
                score += share * math.log(share / middle)
                score += reference[j, k] * math.log(reference[j, k] / middle)
            out[i, j] = max(0.5 * score, 0.0)


@njit(cache=True)
def js_distance_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """JS distance, the root of the divergence in nats: in [0, 0.833]; arguments of `psi_of_counts`."""
    js_of_counts(counts, expected, pseudo_count, out)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = math.sqrt(out[i, j])


@njit(cache=True)
def hellinger_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """Hellinger distance of each window and feature: in [0, 1], nothing floored; arguments of `psi_of_counts`."""
    windows, features, bins = counts.shape
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            score = 0.0
            for k in range(bins):
                score += (math.sqrt(shares[k]) - math.sqrt(expected[j, k])) ** 2
            out[i, j] = math.sqrt(0.5 * score)


@njit(cache=True)
def total_variation_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """Total variation distance: in [0, 1], nothing floored; arguments of `psi_of_counts`."""
    windows, features, bins = counts.shape
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            score = 0.0
            for k in range(bins):
                score += abs(shares[k] - expected[j, k])
            out[i, j] = 0.5 * score


@njit(cache=True)
def chi_square_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    out: NDArray[np.float64],
) -> None:
    """Chi-square divergence, sum of (share - expected)^2 / expected; arguments and floor of `psi_of_counts`."""
    reference = np.maximum(expected, FLOOR)
    windows, features, bins = counts.shape
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            score = 0.0
            for k in range(bins):
                share = max(shares[k], FLOOR)
                score += (share - reference[j, k]) ** 2 / reference[j, k]
            out[i, j] = score


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
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            gap, largest = 0.0, 0.0
            for k in range(bins - 1):
                gap += shares[k] - expected[j, k]
                largest = max(largest, abs(gap))
            out[i, j] = largest


@njit(cache=True)
def wasserstein_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    positions: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """W1 of the two distributions that put the mass of each bin at one position, in the unit of the positions.

    positions: (F, K) ascending along K, such as the mean of the reference in each bin. Nothing is floored. Other
        arguments of `psi_of_counts`.
    """
    windows, features, bins = counts.shape
    shares = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            gap, score = 0.0, 0.0
            for k in range(bins - 1):
                gap += shares[k] - expected[j, k]
                score += abs(gap) * (positions[j, k + 1] - positions[j, k])
            out[i, j] = score


@njit(cache=True)
def mmd_of_counts(
    counts: NDArray[np.float64],
    expected: NDArray[np.float64],
    pseudo_count: float,
    gram: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Squared maximum mean discrepancy d' G d of d = share - expected, for the kernel with Gram matrix G: >= 0.

    The biased estimate (V-statistic) for bins as the only values there are.
    gram: (F, K, K), symmetric and positive semi-definite: the kernel between the positions of the bins. Nothing is
        floored. Other arguments of `psi_of_counts`.
    Source: Gretton et al. 2012, 'A kernel two-sample test', equation 5.
    """
    windows, features, bins = counts.shape
    shares, gap = np.empty(bins), np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if not _to_shares(counts, i, j, pseudo_count, shares):
                out[i, j] = np.nan
                continue
            score = 0.0
            for k in range(bins):
                gap[k] = shares[k] - expected[j, k]
                row = 0.5 * gram[j, k, k] * gap[k]
                for other in range(k):
                    row += gram[j, k, other] * gap[other]
                score += gap[k] * row
            out[i, j] = max(2.0 * score, 0.0)


COUNT_SCORES: dict[str, Callable[..., None]] = {
    "psi": psi_of_counts,
    "kl": kl_of_counts,
    "js": js_of_counts,
    "js_distance": js_distance_of_counts,
    "hellinger": hellinger_of_counts,
    "total_variation": total_variation_of_counts,
    "chi_square_divergence": chi_square_of_counts,
    "ks": ks_of_counts,
}
"""Kernels called as kernel(counts, expected, pseudo_count, out); "ks" is the KS statistic at the bin edges."""
