"""Two-sided p-value of the two-sample Kolmogorov-Smirnov statistic."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LARGEST_EXACT = 10_000


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Probability of a KS statistic of at least `statistic` from samples of n and m values of one continuous law.

    statistic: in [0, 1]; n, m: >= 1
    Exact while both sizes are at most 10,000; above that the exact one-sample law of n m / (n + m) values (rounded),
    which has the same limit. The same choices as `scipy.stats.ks_2samp(method="auto")`.
    Raises ValueError outside these ranges.
    Source: Hodges 1957, 'The significance probability of the Smirnov two-sample test'; Gnedenko and Korolyuk 1951.

    >>> round(ks_p_value(0.5, 6, 6), 6)
    0.474026
    """
    if not 0 <= statistic <= 1 or min(n, m) < 1:
        raise ValueError(f"need a statistic in [0, 1] and sizes >= 1, got {statistic}, {n} and {m}")
    if max(n, m) > LARGEST_EXACT:
        # Imported here: it takes seconds on a cold start, and few callers come this way.
        from scipy.stats import kstwo

        return float(np.clip(kstwo.sf(statistic, round(n * m / (n + m))), 0.0, 1.0))
    common = math.gcd(n, m)
    steps = round(statistic * (n // common) * m)  # the statistic is a whole multiple of 1 / lcm(n, m)
    if steps == 0:
        return 1.0
    if n == m:
        return min(1.0, float(_equal_sizes(n, steps)))
    return min(1.0, float(_any_sizes(n, m, steps * common)))


@njit(cache=True)
def _equal_sizes(n: int, steps: int) -> float:
    """Probability that a path of n ups and n downs ever is `steps` (>= 1) or more from its start: by reflection.

    Twice the alternating sum over k >= 1 of C(2n, n - k steps) / C(2n, n), summed from its smallest term, each factor
    in front multiplied in: no number overflows.
    """
    p = 0.0
    for k in range(n // steps, 0, -1):
        # C(2n, n - k steps) over C(2n, n - (k - 1) steps)
        ratio, above = 1.0, (k - 1) * steps
        for i in range(steps):
            ratio *= (n - above - i) / (n + above + i + 1)
        p = ratio * (1.0 - p)
    return 2.0 * p


@njit(cache=True)
def _any_sizes(n: int, m: int, gap: int) -> float:
    """Probability that a path from (0, 0) to (n, m) ever has |i m - j n| >= gap, all paths being equally likely.

    Row by row over i: the last step into (i, j) came along i with probability i / (i + j). A point on or past the
    boundary has been reached for certain, so only positive terms are added and small p-values keep their digits.
    """
    touched = np.empty(m + 1)
    for j in range(m + 1):
        touched[j] = 1.0 if j * n >= gap else 0.0
    for i in range(1, n + 1):
        low = max(0, -((gap - i * m - 1) // n))  # first j inside: i m - j n < gap
        high = min(m, (i * m + gap - 1) // n)  # last j inside: j n - i m < gap
        for j in range(min(low, m + 1)):
            touched[j] = 1.0
        for j in range(low, high + 1):
            before = touched[j - 1] if j else 0.0
            touched[j] = (i * touched[j] + j * before) / (i + j)
        for j in range(high + 1, m + 1):
            touched[j] = 1.0
    return float(touched[m])
