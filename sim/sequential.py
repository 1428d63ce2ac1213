"""Limits of a test with several looks: how far a statistic must go at each look so that all looks together err rarely.

At look k of K equally large parts of the data the standardised statistic is S_k / sqrt(k), where S is a sum of k
standard normal parts. The chance that it stays within all limits is found by recursive numerical integration.
Source: Armitage, McPherson and Rowe, J. R. Stat. Soc. A 132, 1969; Pocock, Biometrika 64, 1977; O'Brien and Fleming,
Biometrics 35, 1979.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Correction = Literal["none", "pocock", "obrien_fleming"]
_POINTS = 120
"""Points of the integration (Gauss and Legendre); the densities are smooth, so that this is exact to 1e-10."""


def chance_beyond(limits: tuple[float, ...]) -> float:
    """Chance that a statistic without any effect goes beyond +-limits[k] at one look at least.

    limits: one a look, each > 0, for the standardised statistic at equally large parts of the data.

    >>> [round(chance_beyond((1.959964,) * looks), 3) for looks in (1, 2, 5)]
    [0.05, 0.083, 0.142]
    """
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    reach = limits[0]
    points = reach * nodes
    density = np.exp(-0.5 * points**2) / math.sqrt(2.0 * math.pi)
    for look, limit in enumerate(limits[1:], start=2):
        mass = reach * weights * density
        reach = limit * math.sqrt(look)
        following = reach * nodes
        density = _normal(following[:, None] - points[None, :]) @ mass
        points = following
    if len(limits) == 1:
        return float(2.0 * ndtr(-limits[0]))
    return float(1.0 - reach * (weights @ density))


def _normal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


@lru_cache(maxsize=64)
def limits_of(correction: Correction, looks: int, alpha: float) -> tuple[float, ...]:
    """Limits of the standardised statistic at each of `looks` >= 1 looks, two-sided.

    none: each look is a test at `alpha` by itself, so that several looks err more often. pocock: the same limit at
    each look; obrien_fleming: limits that fall as 1 / sqrt(part of the data), so that the last one is nearly that of
    one look. alpha: in (0, 1), chance of a false finding over all looks together.

    >>> [round(limit, 3) for limit in limits_of("pocock", 5, 0.05)][:2]
    [2.413, 2.413]
    >>> [round(limit, 2) for limit in limits_of("obrien_fleming", 5, 0.05)]
    [4.56, 3.23, 2.63, 2.28, 2.04]
    """
    from scipy.optimize import brentq

    alone = float(-ndtri(alpha / 2.0))
    if correction == "none" or looks == 1:
        return (alone,) * looks
    fall = 0.5 if correction == "obrien_fleming" else 0.0
    shape = [(looks / look) ** fall for look in range(1, looks + 1)]

    def excess(scale: float) -> float:
        return chance_beyond(tuple(scale * part for part in shape)) - alpha

    # Testing each look at alpha / looks is always strict enough (Bonferroni).
    scale = brentq(excess, alone, float(-ndtri(alpha / (2.0 * looks))), xtol=1e-12)
    return tuple(scale * part for part in shape)
