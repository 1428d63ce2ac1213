"""Tests and sizes of online experiments: two shares, pairs of answers, preferences, and the decision matrix.

Functions of counts only. Champion is arm 0, candidate arm 1; a count of successes k of n requests, good is more.
Source: chapter, 'A/B Testing for Model Validation'; Farrington and Manning, Statistics in Medicine 9, 1990 (margin).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc, gammaln, ndtri, xlog1py, xlogy

Array = NDArray[np.float64]
Primary = Literal["improvement", "no change", "degradation"]
Verdict = Literal["ship", "investigate", "keep", "do not ship"]
_SLACK = 1e-9


class Arms(NamedTuple):
    """Requests of both arms, and those that went well."""

    n0: int
    k0: int
    n1: int
    k1: int

    def __str__(self) -> str:
        return f"{_share(self.k1, self.n1)} against {_share(self.k0, self.n0)}"

    @property
    def both(self) -> bool:
        """Whether there is something to compare."""
        return min(self.n0, self.n1) > 0

    def plus(self, other: Arms) -> Arms:
        """Both together."""
        return Arms(*(one + another for one, another in zip(self, other, strict=True)))


def _share(good: int, number: int) -> str:
    return f"{good / number:.2%} of {number:,}" if number else "nothing"


def score_statistic(
    k0: ArrayLike, n0: ArrayLike, k1: ArrayLike, n1: ArrayLike, margin: float = 0.0, continuity: bool = False
) -> Array:
    """Score statistic of the candidate's lead over `margin` below the champion; low is bad, any shape.

    (k1 / n1 - k0 / n0 + margin) / its standard error where the lead is exactly -margin. Without a margin that is the
    test with the pooled share. n0, n1: >= 1; margin: in [0, 1). 0 where both arms are all good or all bad. continuity:
    half a request of each arm in the candidate's favour (Yates), so that few requests do not say too much.

    >>> round(float(score_statistic(950, 1000, 920, 1000)), 3)
    -2.721
    """
    good0, all0, good1, all1 = (np.asarray(count, dtype=np.float64) for count in (k0, n0, k1, n1))
    share0, share1 = good0 / all0, good1 / all1
    if margin == 0.0:
        null0 = null1 = (good0 + good1) / (all0 + all1)
    else:
        null0, null1 = _nearest_with_margin(share0, share1, all0 / all1, margin)
    variance = null0 * (1.0 - null0) / all0 + null1 * (1.0 - null1) / all1
    lead = share1 - share0 + margin + (0.5 / all0 + 0.5 / all1 if continuity else 0.0)
    return np.asarray(np.divide(lead, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0.0))


def _nearest_with_margin(share0: Array, share1: Array, ratio: Array, margin: float) -> tuple[Array, Array]:
    """Most likely true shares (of champion, of candidate) with the candidate's exactly `margin` lower."""
    a = 1.0 + ratio
    b = -(1.0 + ratio + share1 + ratio * share0 - margin * (ratio + 2.0))
    c = margin**2 - margin * (2.0 * share1 + ratio + 1.0) + share1 + ratio * share0
    d = share1 * margin * (1.0 - margin)
    v = b**3 / (27.0 * a**3) - b * c / (6.0 * a**2) + d / (2.0 * a)
    u = np.copysign(np.sqrt(np.maximum(b**2 / (9.0 * a**2) - c / (3.0 * a), 0.0)), v)
    cubed = u**3
    cosine = np.divide(v, cubed, out=np.ones_like(v), where=cubed != 0.0)
    angle = (math.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3.0
    null1 = np.clip(2.0 * u * np.cos(angle) - b / (3.0 * a), 0.0, 1.0 - margin)
    return null1 + margin, null1


def is_worse(arms: Arms, alpha: float, margin: float = 0.0) -> bool:
    """Whether the candidate is significantly worse than `margin` below the champion; never without evidence.

    One-sided at `alpha` in (0, 1), by the score statistic with its continuity correction.

    >>> is_worse(Arms(900, 855, 3, 2), 0.05), is_worse(Arms(900, 855, 300, 270), 0.05)
    (False, True)
    """
    if not arms.both:
        return False
    return bool(_lead(arms.k0, arms.n0, arms.k1, arms.n1, margin) <= ndtri(alpha))


def _lead(k0: ArrayLike, n0: int, k1: ArrayLike, n1: int, margin: float) -> Array:
    return score_statistic(k0, n0, k1, n1, margin, continuity=True)


def canary_power(p0: float, p1: float, n0: int, n1: int, alpha: float = 0.05, margin: float = 0.0) -> float:
    """Chance that `is_worse` stops a candidate: the power of a step of a canary, exactly.

    p0, p1: true shares of champion and candidate, in [0, 1]; n0, n1: requests that are judged, >= 0. With p1 = p0
    it is the chance of a false stop, with a worse candidate 1 - power is that of a miss. Summed over the binomial
    laws of both arms. Raises ValueError outside these ranges.

    >>> round(canary_power(0.95, 0.93, 100_000, 100), 2), round(canary_power(0.95, 0.93, 100_000, 1000), 2)
    (0.18, 0.84)
    """
    for name, share in (("p0", p0), ("p1", p1)):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name}: got {share}, expected a share from 0 to 1")
    if min(n0, n1) < 0 or not 0.0 < alpha < 1.0 or not 0.0 <= margin < 1.0:
        raise ValueError("expected n0 and n1 of at least 0, alpha in (0, 1) and margin in [0, 1)")
    if min(n0, n1) == 0:
        return 0.0
    middle, reach = n1 * p1, 9.0 * math.sqrt(n1 * p1 * (1.0 - p1)) + 60.0
    good = np.arange(max(math.floor(middle - reach), 0), min(math.ceil(middle + reach), n1) + 1)
    # The candidate looks the worse the better the champion did: find the first count at which it is stopped.
    low, high = np.full(len(good), -1), np.full(len(good), n0 + 1)
    while (high - low > 1).any():
        half = (low + high) // 2
        stops = _lead(np.clip(half, 0, n0), n0, good, n1, margin) <= ndtri(alpha)
        low, high = np.where(stops, low, half), np.where(stops, half, high)
    beyond = np.where(high > n0, 0.0, np.where(high <= 0, 1.0, bdtrc(np.clip(high - 1, 0, n0), n0, p0)))
    return float(_binomial_mass(good, n1, p1) @ beyond)


def _binomial_mass(count: NDArray[np.int64], n: int, p: float) -> Array:
    ways = gammaln(n + 1.0) - gammaln(count + 1.0) - gammaln(n - count + 1.0)
    return np.asarray(np.exp(ways + xlogy(count, p) + xlog1py(n - count, -p)))


def pairs_are_worse(lost: int, won: int, alpha: float) -> bool:
    """McNemar's exact one-sided test of pairs of answers: whether the candidate is significantly worse.

    lost: pairs in which only the champion was right; won: only the candidate; alpha: in (0, 1). Source: McNemar,
    Psychometrika 12, 1947.

    >>> pairs_are_worse(12, 3, 0.05), pairs_are_worse(9, 6, 0.05), pairs_are_worse(0, 0, 0.05)
    (True, False, False)
    """
    return bool(bdtr(won, lost + won, 0.5) <= alpha) if lost + won else False


def sample_size(variance: float, effect: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Requests per variant of an A/B test, `2 (z_alpha/2 + z_beta)^2 variance / effect^2`, rounded up.

    variance: of one outcome, p (1 - p) for a share; effect: smallest absolute difference worth finding, > 0.
    Source: chapter, 'A/B Testing for Model Validation', the sample size equation.

    >>> sample_size(0.05 * 0.95, 0.02)
    1865
    """
    return max(math.ceil(2.0 * _both_errors(alpha, power) ** 2 * variance / effect**2 - _SLACK), 1)


def preferences_needed(lead: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Requests that show both answers, until a preference of 0.5 + lead is told from 0.5, rounded up.

    lead: in (0, 0.5]; alpha: two-sided. Normal approximation. `((z_alpha/2 / 2 + z_beta sqrt(p (1 - p))) / lead)^2`.

    >>> preferences_needed(0.05)
    783
    """
    lead = min(lead, 0.5)
    spread = 0.5 * -float(ndtri(alpha / 2.0)) + float(ndtri(power)) * math.sqrt(0.25 - lead**2)
    return max(math.ceil((max(spread, 0.0) / lead) ** 2 - _SLACK), 1)


def preference(won: int, number: int, alpha: float) -> Primary:
    """Two-sided binomial test of how often users preferred the candidate.

    >>> preference(560, 1000, 0.05), preference(510, 1000, 0.05), preference(440, 1000, 0.05)
    ('improvement', 'no change', 'degradation')
    """
    if number == 0:
        return "no change"
    if bdtr(won, number, 0.5) <= alpha / 2.0:
        return "degradation"
    return "improvement" if bdtr(number - won, number, 0.5) <= alpha / 2.0 else "no change"


def _both_errors(alpha: float, power: float) -> float:
    return max(float(ndtri(power) - ndtri(alpha / 2.0)), 0.0)


def decide(primary: Primary, guardrails: Sequence[bool]) -> Verdict:
    """What to do with a candidate: the decision matrix of the source.

    primary: what the primary metric did, beyond chance; guardrails: whether each one passed. The source has no row for
    no change and a guardrail that fails: a candidate that adds nothing and harms is not shipped,
    so the current version is kept.

    >>> decide("improvement", [True, True]), decide("improvement", [True, False])
    ('ship', 'investigate')
    >>> decide("no change", [True]), decide("degradation", [True])
    ('keep', 'do not ship')
    """
    if primary == "degradation":
        return "do not ship"
    if primary == "no change":
        return "keep"
    return "ship" if all(guardrails) else "investigate"
