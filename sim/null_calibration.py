"""Law of a score of binned counts when nothing has drifted, at one number of rows, by importance sampling.

A score is brought to a statistic T: its root where it is quadratic, divided by n / (n + pseudo K) sqrt(1/n + 1/m).
The law of T hardly depends on n. Counts are Dirichlet-multinomial under the null; the proposals are too, wider than
the null or tilted towards what the score sees, so that all weights are known in closed form, and quantiles down to
tail probability 1e-8 take some thousand draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from sim.kernels import count_scores, sampling, tails

Array = NDArray[np.float64]


def as_array(values: ArrayLike) -> Array:
    """Numbers as float64."""
    return np.asarray(values, dtype=np.float64)


# T**2 is this multiple of the score over its scale squared, or T this multiple of the score over its scale:
# with it T**2 tends to chi-square for all but mmd, and for the first two distances.
SQUARES = {"psi": 1.0, "chi_square": 1.0, "kl": 2.0, "js": 8.0, "mmd": 1.0}
DISTANCES = {
    "js_distance": math.sqrt(8.0),
    "hellinger": math.sqrt(8.0),
    "total_variation": 1.0,
    "ks": 1.0,
    "wasserstein": 1.0,
}
SCORES: tuple[str, ...] = (*SQUARES, *DISTANCES)
"""Scores of binned counts that monitors compute; each has a null distribution here."""
KERNELS: dict[str, Callable[..., None]] = {
    name: getattr(count_scores, f"{name}_of_counts") for name in SCORES
}
"""Kernels by name, called as kernel(counts, expected, pseudo_count, *geometry, out)."""

SMALLEST_LEVEL = 1e-8
"""Below this tail probability p-values are extrapolated."""
LEVELS = np.concatenate(
    (
        [1.0, 0.999, 0.99, 0.97, 0.94],
        np.linspace(0.9, 0.15, 16),
        np.logspace(-1.0, math.log10(SMALLEST_LEVEL), 85),
    )
)
_SEED = 20_250_301
_DRAWS = 8192  # for up to 20 bins; fewer histograms for more bins, so that a table stays cheap
_LARGEST_STRENGTH = 1e9  # from here on differences of log-gamma lose their digits, and m counts as infinite


@dataclass(frozen=True)
class Histogram:
    """What a null distribution depends on, apart from the rows: score, bins, reference; hashable."""

    score: str
    expected: tuple[float, ...]
    """Proportions of the reference that the score compares with, (K,)."""
    strength: float
    """Sum of the parameters of the Dirichlet law of the true bin probabilities; infinite when they are known."""
    centre: tuple[float, ...]
    """Mean of the true bin probabilities, (K,)."""
    pseudo_count: float
    positions: tuple[float, ...] = ()
    """Of the bins, for `wasserstein`."""
    gram: tuple[tuple[float, ...], ...] = ()
    """Kernel between bins, for `mmd`."""


# --- scores of many histograms ---


def scores_of_counts(histogram: Histogram, counts: ArrayLike) -> Array:
    """The score of each row of `counts` (draws, K), by the kernel of the monitors; (draws,)."""
    geometry = [as_array(each)[None] for each in (histogram.positions, histogram.gram) if each]
    expected = np.array([histogram.expected])
    draws = as_array(counts)
    found = np.empty((len(draws), 1))
    KERNELS[histogram.score](draws[:, None], expected, histogram.pseudo_count, *geometry, found)
    return found[:, 0]


def scale_of(histogram: Histogram, rows: Array) -> Array:
    """Size of a standardised deviation of the proportions, by rows."""
    pseudo = histogram.pseudo_count * len(histogram.expected)
    return as_array(rows / (rows + pseudo) * np.sqrt(1.0 / rows + 1.0 / histogram.strength))


def standardised(score: str, value: Array, scale: Array) -> Array:
    """T of a score."""
    if score in SQUARES:
        return as_array(np.sqrt(SQUARES[score] * np.maximum(value, 0.0)) / scale)
    return as_array(DISTANCES[score] * value / scale)


def raw_score(score: str, statistic: Array, scale: Array) -> Array:
    """Score of a T: the inverse of `standardised`."""
    if score in SQUARES:
        return as_array((statistic * scale) ** 2 / SQUARES[score])
    return as_array(statistic * scale / DISTANCES[score])


# --- calibration at one number of rows ---


def _directions(histogram: Histogram) -> Array:
    """Functions of the bin to which the tail of the score is most sensitive, (directions, K), variance 1."""
    centre, score = np.array(histogram.centre), histogram.score
    bins = len(centre)
    if score == "ks":
        quarters = np.unique(np.clip(np.searchsorted(np.cumsum(centre), [0.3, 0.5, 0.7]), 0, bins - 2))
        raw = np.array([np.arange(bins) <= edge for edge in quarters], dtype=np.float64)
    elif score == "wasserstein":
        raw = np.array([histogram.positions])
    elif score == "mmd":
        root = np.sqrt(centre)
        centring = np.eye(bins) - np.outer(np.ones(bins), centre)
        seen = root[:, None] * (centring @ np.array(histogram.gram) @ centring.T) * root
        raw = np.linalg.eigh(seen)[1][:, -2:].T / root
    else:
        return np.empty((0, bins))
    raw = raw - (raw @ centre)[:, None]
    spread = np.sqrt((raw**2) @ centre)
    return as_array(raw[spread > 0] / spread[spread > 0, None])


def _proposals(histogram: Histogram, rows: int) -> tuple[Array, Array]:
    """Strengths (laws,) and centres (laws, K) of the Dirichlet-multinomial laws drawn from; the null is first."""
    centre = np.array(histogram.centre)
    strength = histogram.strength if histogram.strength <= _LARGEST_STRENGTH else math.inf
    variance = 1.0 / rows + 1.0 / strength
    freedom = len(centre) - 1
    widest = float(chdtri(freedom, 0.1 * SMALLEST_LEVEL)) / freedom
    directions = _directions(histogram)
    steps = 2 if len(directions) else 4
    strengths, centres = [strength], [centre]
    for inflation in widest ** (np.arange(1, steps) / (steps - 1)):
        strengths.append(1.0 / max(inflation * variance - 1.0 / rows, 1e-12))
        centres.append(centre)
    for direction in directions:
        for step in (-5.0, -3.2, 3.2, 5.0):
            tilted = centre * np.exp(np.clip(step * math.sqrt(variance) * direction, -30.0, 30.0))
            strengths.append(strength)
            centres.append(tilted / tilted.sum())
    return np.array(strengths), np.array(centres)


def _draw(strengths: Array, centres: Array, rows: int, each: int) -> Array:
    """Counts (laws * each, K): `each` histograms of every law."""
    generator = np.random.default_rng(_SEED)
    laws, bins = centres.shape
    shares = np.repeat(centres, each, axis=0)
    for law in np.flatnonzero(np.isfinite(strengths)):
        gammas = generator.standard_gamma(strengths[law] * centres[law], size=(each, bins))
        shares[law * each : (law + 1) * each] = gammas / gammas.sum(axis=1, keepdims=True)
    states = generator.integers(0, 2**64, size=laws * each, dtype=np.uint64)
    counts = np.empty(shares.shape)
    sampling.multinomial(states, rows, shares, counts)
    return counts


@lru_cache(maxsize=16_384)
def calibrate(histogram: Histogram, rows: int) -> tuple[Array, float]:
    """Quantiles of T at `LEVELS` for one number of rows, (L,), and the mean of the score over scale**power."""
    strengths, centres = _proposals(histogram, rows)
    bins = centres.shape[1]
    draws = int(np.clip(_DRAWS * 20 / bins, 2048, _DRAWS))
    counts = _draw(strengths, centres, rows, -(-draws // len(strengths)))
    logs = np.empty((len(counts), len(strengths)))
    tails.dirichlet_multinomial_logs(counts, strengths, centres, logs)
    # Each draw counts by the null over the mixture of all laws: at most the number of laws.
    weight = 1.0 / np.exp(logs - logs[:, :1]).mean(axis=1)
    drawn = replace(histogram, strength=float(strengths[0]))
    statistic = standardised(
        histogram.score, scores_of_counts(histogram, counts), scale_of(drawn, np.array(float(rows)))
    )
    power = 2 if histogram.score in SQUARES else 1
    return _quantiles(statistic, weight), float((weight * statistic**power).sum() / weight.sum())


def _quantiles(statistic: Array, weight: Array) -> Array:
    """T with P(T >= it) = level, for each level: from the top in the tail, from below in the bulk.

    Between two values that T takes, ln P is linear in T**2. So on a lattice P is right at every value, and a
    threshold between two values lets through no more than its level.
    """
    value, group = np.unique(np.round(statistic, 9), return_inverse=True)
    mass = np.bincount(group, weight) / len(statistic)
    at_least = np.cumsum(mass[::-1])[::-1]
    bulk = 1.0 - np.cumsum(mass) + mass
    tail = np.where(at_least < 0.5, at_least, np.maximum(bulk, 0.5))
    surprise = np.maximum.accumulate(-np.log(np.minimum(tail, 1.0)))
    return as_array(np.sqrt(np.interp(-np.log(LEVELS), surprise, value**2)))
