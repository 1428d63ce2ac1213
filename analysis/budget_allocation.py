"""Optimal computing budget allocation: how a fixed number of replications is best divided among systems.

Systems close to the best and noisy ones get more. The formula knows no correlation between systems: with common
random numbers it is still a good allocation, and the probability it reports is too low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def ocba_shares(means: ArrayLike, sds: ArrayLike, *, minimise: bool = True) -> Array:
    """Share of the budget of each system that maximises the asymptotic probability of correct selection.

    means: (systems,) two or more, finite; sds: (systems,) standard deviations of one replication, >= 0; the best
    system is the one with the least mean, the greatest when not minimise. Returns (systems,), >= 0, sum 1. With
    b the best: N_i / N_j = ((sd_i / (m_i - m_b)) / (sd_j / (m_j - m_b)))^2, N_b = sd_b sqrt(sum (N_i / sd_i)^2). A
    system whose mean equals the best takes all that others would get, which is the limit of the formula. Equal
    shares where nothing varies. Raises ValueError for other values.
    Source: Chen, Lin, Yucesan and Chick 2000, 'Simulation Budget Allocation for Further Enhancing the Efficiency
    of Ordinal Optimization', theorem 1.

    >>> ocba_shares([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]).round(3)
    array([0.452, 0.438, 0.11 ])
    """
    m, s = _moments(means, sds)
    best = int(np.argmin(m if minimise else -m))
    others = np.arange(len(m)) != best
    gap = np.abs(m - m[best])[others]
    weight = np.zeros(len(m))
    # Only ratios count: in units of the smallest gap nothing overflows.
    relative = (gap == 0.0).astype(np.float64) if (gap == 0.0).any() else gap.min() / gap
    scale = s.max() if s.max() > 0.0 else 1.0
    weight[others] = (s[others] / scale * relative) ** 2
    over = s[others] > 0.0
    weight[best] = s[best] * np.sqrt(np.sum((weight[others][over] / s[others][over]) ** 2))
    if weight.sum() == 0.0:
        # One or none varies: all the noise that is left is that of the best.
        weight[best if s[best] > 0.0 else slice(None)] = 1.0
    return np.asarray(weight / weight.sum())


def ocba(
    means: ArrayLike, sds: ArrayLike, budget: int, *, done: ArrayLike | None = None, minimise: bool = True
) -> Counts:
    """Replications of each system, `budget` in all, by `ocba_shares`.

    means, sds: as there. budget: total number of replications, those done included. done: (systems,) already run:
    nobody gets fewer, and what a system has too much is taken from the others in proportion. Returns (systems,)
    whole numbers with sum `budget`. Raises ValueError when more is done than the budget allows.

    >>> ocba([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 100)
    array([45, 44, 11])
    >>> ocba([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 100, done=[20, 20, 20])
    array([41, 39, 20])
    """
    shares = ocba_shares(means, sds, minimise=minimise)
    least = np.zeros(len(shares), dtype=np.int64) if done is None else np.asarray(done, dtype=np.int64)
    if least.shape != shares.shape or (least < 0).any():
        raise ValueError(f"done: got {done!r}, expected {len(shares)} counts >= 0")
    if budget < least.sum():
        raise ValueError(f"budget: got {budget}, expected at least the {least.sum()} replications done")
    held = np.zeros(len(shares), dtype=bool)
    wanted = shares * budget
    while (over := ~held & (wanted < least)).any():
        held |= over
        free = budget - least[held].sum()
        rest = np.where(held, 0.0, shares)
        wanted = np.where(held, least, free * rest / rest.sum() if rest.sum() > 0.0 else 0.0)
    return _rounded(wanted, budget)


def probability_of_correct_selection(
    means: ArrayLike, sds: ArrayLike, replications: ArrayLike, *, minimise: bool = True
) -> float:
    """Lower bound on the probability that the system with the best sample mean is the best, in [0, 1].

    Bayesian with flat priors and Bonferroni over the rivals (APCS-B), for independent normal means. means, sds:
    as in `ocba_shares`; replications: (systems,) >= 1. Source: Chen et al. 2000, equation 4.

    >>> round(probability_of_correct_selection([1.0, 2.0], [1.0, 1.0], [8, 8]), 4)
    0.9772
    """
    m, s = _moments(means, sds)
    n = np.asarray(replications, dtype=np.float64)
    if n.shape != m.shape or not (n >= 1.0).all():
        raise ValueError(f"replications: got {replications!r}, expected {len(m)} counts >= 1")
    best = int(np.argmin(m if minimise else -m))
    others = np.arange(len(m)) != best
    gap, error = np.abs(m - m[best])[others], np.sqrt(s**2 / n + s[best] ** 2 / n[best])[others]
    wrong = np.where(gap > 0.0, 0.0, 0.5)
    noisy = error > 0.0
    wrong[noisy] = ndtr(-gap[noisy] / error[noisy])
    return float(max(0.0, 1.0 - wrong.sum()))


def _moments(means: ArrayLike, sds: ArrayLike) -> tuple[Array, Array]:
    m, s = np.asarray(means, dtype=np.float64), np.asarray(sds, dtype=np.float64)
    if m.ndim != 1 or len(m) < 2 or not np.isfinite(m).all():
        raise ValueError(f"means: got {means!r}, expected two or more finite numbers")
    if s.shape != m.shape or not ((s >= 0.0) & np.isfinite(s)).all():
        raise ValueError(f"sds: got {sds!r}, expected {len(m)} finite numbers >= 0")
    return m, s


def _rounded(wanted: Array, total: int) -> Counts:
    """Whole numbers with sum `total`: the largest remainders are rounded up."""
    whole = np.floor(wanted + 1e-9).astype(np.int64)
    left = int(total - whole.sum())
    whole[np.argsort(whole - wanted, kind="stable")[:left]] += 1
    return whole
