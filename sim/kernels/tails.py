"""Kernels of inference on many windows: importance weights, tail probabilities from tables, Simes' p-value."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def dirichlet_multinomial_logs(
    counts: NDArray[np.float64],
    strength: NDArray[np.float64],
    centre: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Log probability of each histogram under each Dirichlet-multinomial law, written to `out` (draws, laws).

    The factor n! / prod(c!), the same for all laws, is left out.

    counts: (draws, K) whole counts, all rows with the same sum n
    strength: (laws,), sum of the Dirichlet parameters, > 0; infinity for the multinomial law
    centre: (laws, K), > 0, sum 1: the Dirichlet parameters are strength * centre
    """
    draws, bins = counts.shape
    rows = counts[0].sum()
    for law in range(strength.shape[0]):
        total = strength[law]
        if math.isinf(total):
            for i in range(draws):
                value = 0.0
                for k in range(bins):
                    value += counts[i, k] * math.log(centre[law, k])
                out[i, law] = value
            continue
        constant = math.lgamma(total) - math.lgamma(total + rows)
        for k in range(bins):
            constant -= math.lgamma(total * centre[law, k])
        for i in range(draws):
            out[i, law] = constant
        for k in range(bins):
            _add_log_gammas(counts[:, k], total * centre[law, k], out[:, law])


@njit(cache=True)
def _add_log_gammas(counts: NDArray[np.float64], parameter: float, out: NDArray[np.float64]) -> None:
    """Add ln Gamma(count + parameter) to each of `out`, from a table where that is less work."""
    largest = int(counts.max())
    if 2 * largest > counts.shape[0]:
        for i in range(counts.shape[0]):
            out[i] += math.lgamma(counts[i] + parameter)
        return
    table = np.empty(largest + 1)
    for count in range(largest + 1):
        table[count] = math.lgamma(count + parameter)
    for i in range(counts.shape[0]):
        out[i] += table[int(counts[i])]


@njit(cache=True)
def tail_probabilities(
    value: NDArray[np.float64],
    node: NDArray[np.int64],
    weight: NDArray[np.float64],
    knots: NDArray[np.float64],
    levels: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """P(T >= value) by tables of quantiles, written to `out` (N,).

    value: (N,), statistics T >= 0; NaN gives NaN
    node, weight: (N,), each value is looked up between the tables of rows node and node + 1, of which the
        second counts with `weight` in [0, 1]
    knots: (nodes, L), quantiles ascending along the last axis
    levels: (L,), their tail probabilities, descending

    Between two knots ln P is linear in T**2; past the last one it goes on with the slope of the last
    knots that differ, and never rises above the last level.
    """
    last = levels.shape[0] - 1
    for i in range(value.shape[0]):
        t = value[i]
        if np.isnan(t):
            out[i] = np.nan
            continue
        low, high, w = knots[node[i]], knots[node[i] + 1], weight[i]
        aim = t * (1.0 - 1e-9)  # a score equal to a knot up to rounding counts as equal
        if (1.0 - w) * low[last] + w * high[last] < aim:
            end = (1.0 - w) * low[last] + w * high[last]
            before = last - 1
            while before > 0 and (1.0 - w) * low[before] + w * high[before] > 0.97 * end:
                before -= 1
            begin = (1.0 - w) * low[before] + w * high[before]
            slope = math.log(levels[last] / levels[before]) / max(end * end - begin * begin, 1e-300)
            out[i] = levels[last] * math.exp(slope * (t * t - end * end))
            continue
        left, right = -1, last  # the first knot that is not below `aim` is in (left, right]
        while right - left > 1:
            middle = (left + right) // 2
            if (1.0 - w) * low[middle] + w * high[middle] < aim:
                left = middle
            else:
                right = middle
        if left < 0:
            out[i] = 1.0
            continue
        begin = (1.0 - w) * low[left] + w * high[left]
        end = (1.0 - w) * low[right] + w * high[right]
        share = (min(t, end) ** 2 - begin * begin) / max(end * end - begin * begin, 1e-300)
        out[i] = levels[left] * (levels[right] / levels[left]) ** share


@njit(cache=True)
def simes(p_values: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Simes' p-value of each window, min over j of F/j times its j-th smallest p-value, to `out` (windows,).

    It is at most q exactly when the Benjamini-Hochberg procedure at level q rejects at least one feature.

    p_values: (windows, F); NaN features are left out and F is the number of the others (NaN if there is none)
    Source: Simes, 'An improved Bonferroni procedure', Biometrika 73, 1986.
    """
    windows, features = p_values.shape
    row = np.empty(features)
    for i in range(windows):
        known = 0
        for j in range(features):
            p = p_values[i, j]
            if np.isnan(p):
                continue
            place = known
            while place > 0 and row[place - 1] > p:  # insertion: features are few
                row[place] = row[place - 1]
                place -= 1
            row[place] = p
            known += 1
        smallest = np.nan if known == 0 else 1.0
        for j in range(known):
            smallest = min(smallest, row[j] * known / (j + 1))
        out[i] = smallest
