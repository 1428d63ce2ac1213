"""How far two sets of proportions over the same bins are apart: PSI, KL, JS, Hellinger, TV, chi-square.

The rule for empty bins stands in the docstring of `sim.kernels.scores`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, kl_div, ndtr, rel_entr

# From the file of the kernels, whose cached code would not notice a change elsewhere.
from sim.kernels.count_scores import FLOOR


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


def _checked(expected: ArrayLike, actual: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    shapes = pair[0].shape, pair[1].shape
    if pair[0].ndim != 1 or shapes[0] != shapes[1] or pair[0].size == 0:
        raise ValueError(f"expected and actual must be vectors of the same bins, got shapes {shapes}")
    for name, values in zip(("expected", "actual"), pair, strict=True):
        if not (values >= 0).all() or abs(values.sum() - 1) > 1e-6:
            raise ValueError(f"{name} must be proportions >= 0 with sum 1; counts go through proportions()")
    return pair


def _floored(
    expected: ArrayLike, actual: ArrayLike, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    e, a = _checked(expected, actual)
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be in [0, 1), got {floor}")
    return np.maximum(e, floor), np.maximum(a, floor)


def psi(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR) -> float:
    """Population stability index, sum of (actual - expected) ln(actual / expected): nats, >= 0, symmetric.

    expected, actual: (bins,) proportions, each with sum 1 to within 1e-6
    floor: smaller proportions count as this, in [0, 1)
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


def js(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR, *, base: float = math.e) -> float:
    """Jensen-Shannon divergence (not its root, the distance), in [0, ln 2 / ln base] up to flooring, symmetric.

    The mean of the KL divergences of both from their mean. Arguments and errors as for `psi`, and
    base: of the logarithm, > 1: e (the default) gives nats, 2 gives bits and a largest value of 1
    Source: Lin 1991, 'Divergence measures based on the Shannon entropy'.

    >>> round(js([1.0, 0.0], [0.0, 1.0], floor=0), 6), js([1.0, 0.0], [0.0, 1.0], floor=0, base=2)
    (0.693147, 1.0)
    """
    if not 1 < base < math.inf:
        raise ValueError(f"base of the logarithm must be above 1, got {base}")
    e, a = _floored(expected, actual, floor)
    middle = 0.5 * (a + e)
    nats = max(0.0, float(0.5 * (rel_entr(a, middle) + rel_entr(e, middle)).sum()))
    return nats / math.log(base)


def js_distance(
    expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR, *, base: float = math.e
) -> float:
    """Jensen-Shannon distance: the root of the divergence `js`, a metric; arguments and errors of `js`.

    Source: Endres and Schindelin 2003, 'A new metric for probability distributions'.

    >>> js_distance([1.0, 0.0], [0.0, 1.0], floor=0, base=2)
    1.0
    """
    return math.sqrt(js(expected, actual, floor, base=base))


def hellinger(expected: ArrayLike, actual: ArrayLike) -> float:
    """Hellinger distance, the root of half the sum of (sqrt(actual) - sqrt(expected))^2: in [0, 1], symmetric.

    expected, actual: (bins,) proportions, each with sum 1 to within 1e-6; empty bins need no floor
    Raises ValueError for other input.

    >>> round(hellinger([0.36, 0.64], [0.64, 0.36]), 6)
    0.2
    """
    e, a = _checked(expected, actual)
    return math.sqrt(0.5 * float(((np.sqrt(a) - np.sqrt(e)) ** 2).sum()))


def total_variation(expected: ArrayLike, actual: ArrayLike) -> float:
    """Total variation distance, half the sum of |actual - expected|: in [0, 1], symmetric.

    The largest difference of the probabilities of any set of bins. Arguments and errors of `hellinger`.

    >>> round(total_variation([0.5, 0.5, 0.0], [0.3, 0.5, 0.2]), 6)
    0.2
    """
    e, a = _checked(expected, actual)
    return 0.5 * float(np.abs(a - e).sum())


def chi_square_divergence(expected: ArrayLike, actual: ArrayLike, floor: float = FLOOR) -> float:
    """Pearson's chi-square divergence of actual from expected, sum of (actual - expected)^2 / expected: >= 0.

    Has no unit and does not grow with the number of rows, unlike the statistic of `chi_square`. Arguments and
    errors as for `psi`; not symmetric.

    >>> round(chi_square_divergence([0.5, 0.5], [0.75, 0.25]), 6)
    0.25
    """
    e, a = _floored(expected, actual, floor)
    # A bin empty on both sides adds nothing, and one empty only in the reference adds infinity (floor 0).
    different = a != e
    with np.errstate(divide="ignore"):
        return float(((a[different] - e[different]) ** 2 / e[different]).sum())


class ChiSquare(NamedTuple):
    """Pearson's test of homogeneity."""

    statistic: float
    """>= 0."""
    p_value: float
    """Probability of a statistic at least as large when both samples have one distribution."""


def chi_square(reference_counts: ArrayLike, current_counts: ArrayLike) -> ChiSquare:
    """Pearson's chi-square test that two histograms of counts come from one distribution.

    reference_counts, current_counts: (bins,), >= 0, finite, each with at least one count
    Bins empty in both are left out; the degrees of freedom are the bins left minus 1, and a single bin gives
    statistic 0 and p-value 1. No continuity correction. The p-value is of the limit of many counts a bin.
    Raises ValueError for other input.
    Source: Pearson 1900; Agresti, 'Categorical Data Analysis', test of homogeneity.

    >>> statistic, p_value = chi_square([30, 40, 30, 0], [20, 50, 30, 0])
    >>> round(statistic, 6), round(p_value, 6)
    (3.111111, 0.211072)
    """
    table = [np.asarray(counts, dtype=np.float64) for counts in (reference_counts, current_counts)]
    if table[0].ndim != 1 or table[0].shape != table[1].shape:
        shapes = table[0].shape, table[1].shape
        raise ValueError(f"the counts must be vectors of the same bins, got shapes {shapes}")
    both = np.stack(table)
    if not (np.isfinite(both).all() and (both >= 0).all()):
        raise ValueError("counts must be finite and >= 0")
    if not both.any(axis=1).all():
        raise ValueError("each histogram needs at least one count")
    both = both[:, both.any(axis=0)]
    if both.shape[1] == 1:
        return ChiSquare(0.0, 1.0)
    expected = np.outer(both.sum(axis=1), both.sum(axis=0)) / both.sum()
    statistic = float(((both - expected) ** 2 / expected).sum())
    return ChiSquare(statistic, float(chdtrc(both.shape[1] - 1, statistic)))


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
