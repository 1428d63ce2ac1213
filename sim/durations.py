"""Sampling of the durations that `scenarios.distributions` describes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scenarios import distributions as law

AnyDuration = law.Fixed | law.Exponential | law.Lognormal | law.Weibull | law.Uniform | law.Empirical
_Z95 = float(ndtri(0.95))


def quantile(duration: AnyDuration, probability: ArrayLike) -> NDArray[np.float64]:
    """Duration in days that a share `probability` (in [0, 1), any shape) of all durations does not exceed.

    >>> from scenarios.distributions import Lognormal
    >>> law = Lognormal(kind="lognormal", median="6h", p95="2d")
    >>> quantile(law, [0.5, 0.95]).round(6).tolist()
    [0.25, 2.0]
    """
    p = np.asarray(probability, dtype=np.float64)
    match duration:
        case law.Fixed(value=value):
            return np.full_like(p, value)
        case law.Exponential(mean=mean):
            return -mean * np.log1p(-p)
        case law.Lognormal(median=median, p95=p95):
            return np.asarray(median * np.exp(ndtri(p) * math.log(p95 / median) / _Z95))
        case law.Weibull(scale=scale, shape=shape):
            return scale * (-np.log1p(-p)) ** (1.0 / shape)
        case law.Uniform(low=low, high=high):
            return low + p * (high - low)
        case law.Empirical(values=values):
            ordered = np.sort(np.asarray(values, dtype=np.float64))
            return ordered[np.minimum((p * len(ordered)).astype(np.int64), len(ordered) - 1)]
    raise TypeError(f"not a duration: {duration!r}")


def draw(duration: AnyDuration, uniform: Callable[[], float]) -> float:
    """One duration in days, by inversion of one uniform number; a fixed one needs none."""
    if isinstance(duration, law.Fixed):
        return duration.value
    return float(quantile(duration, uniform()))


def draws(duration: AnyDuration, number: int, luck: np.random.Generator) -> NDArray[np.float64]:
    """Many durations in days, (number,); lognormal ones from normal numbers, three times as fast as by inversion."""
    if isinstance(duration, law.Fixed):
        return np.full(number, duration.value)
    if isinstance(duration, law.Lognormal):
        sigma = math.log(duration.p95 / duration.median) / _Z95
        found: NDArray[np.float64] = luck.standard_normal(number)
        found *= sigma
        np.exp(found, out=found)
        found *= duration.median
        return found
    return quantile(duration, luck.random(number))


def mean(duration: AnyDuration) -> float:
    """Mean duration in days."""
    match duration:
        case law.Fixed(value=value):
            return value
        case law.Exponential(mean=average):
            return average
        case law.Lognormal(median=median, p95=p95):
            return median * math.exp(0.5 * (math.log(p95 / median) / _Z95) ** 2)
        case law.Weibull(scale=scale, shape=shape):
            return scale * math.gamma(1.0 + 1.0 / shape)
        case law.Uniform(low=low, high=high):
            return 0.5 * (low + high)
        case law.Empirical(values=values):
            return math.fsum(values) / len(values)
    raise TypeError(f"not a duration: {duration!r}")
