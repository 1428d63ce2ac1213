"""Scores of a monitor on binned rows, and what chance alone would make of them."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from scenarios.monitoring import Monitor
from sim.null_calibration import KERNELS
from sim.null_distributions import SMALLEST_LEVEL, NullFamily, family_wise_probability, simes_p_values

Array = NDArray[np.float64]

PSEUDO_COUNT = 0.5
_UNSMOOTHED = ("ks", "wasserstein", "mmd")  # distribution functions and means have no bin that could be empty
_PLACES = {"wasserstein": ("positions",), "mmd": ("gram",)}
_BANDWIDTH = 1.0  # of the kernel of MMD, in SDs of the reference: its median heuristic gives 0.95
_ALMOST_ONE = float(np.nextafter(1.0, 0.0))  # a p-value of 1 has no logarithm of its complement
_SMALLEST = 1e-300  # p-values below have no finite normal score
_LOWEST = -6.0  # of standardised scores: a score of exactly 0 is no infinite surprise


class DistributionScore:
    """The score of a monitor for each of its series, with p-values that know the number of rows."""

    def __init__(self, monitor: Monitor, series: int) -> None:
        self.name, self.bins, self.series = monitor.drift_score, monitor.bins, series
        self.pseudo_count = 0.0 if monitor.sampling == "none" else pseudo_count_of(self.name)
        self.reference_rows = monitor.reference_rows
        self.correction = monitor.correction or "family_wise"
        self.expected = np.full((series, self.bins), 1.0 / self.bins)
        geometry = bin_geometry(self.name, self.bins)
        self._geometry = [np.repeat(each[None], series, axis=0) for each in geometry]

    def of_counts(self, counts: Array) -> Array:
        """Scores (looks, series) of counts (looks, series, bins); NaN without rows."""
        found = np.empty(counts.shape[:2])
        KERNELS[self.name](counts, self.expected, self.pseudo_count, *self._geometry, found)
        return found

    def p_values(self, each: Array, rows: Array) -> Array:
        """Chance that some series scores as high as the worst of a look, (looks,); corrected for their number.

        each: (looks, series) scores; rows: (looks,) sample sizes
        """
        found = self._family.p_values(each, rows[:, None])
        if self.correction == "benjamini_hochberg":
            return simes_p_values(found)
        smallest = np.minimum(found.min(axis=1), _ALMOST_ONE)
        return np.asarray(-np.expm1(self.series * np.log1p(-smallest)))

    def threshold(self, probability: float, rows: float) -> float:
        """Score that the worst series of a look passes by chance with a given probability.

        NaN for Benjamini and Hochberg's correction, where it depends on the other series.
        """
        if self.correction == "benjamini_hochberg":
            return math.nan
        each = max(float(family_wise_probability(probability, self.series)), SMALLEST_LEVEL)
        return float(self._family.thresholds(each, rows))

    @cached_property
    def _family(self) -> NullFamily:
        return null_family(self.name, self.bins, self.reference_rows, self.pseudo_count)


def null_family(score: str, bins: int, reference_rows: float, pseudo_count: float) -> NullFamily:
    """Null distributions of a score as monitors compute it: equal-frequency bins of a normal feature."""
    where = dict(zip(_PLACES.get(score, ()), bin_geometry(score, bins), strict=True))
    return NullFamily.of(score, bins, reference_rows, pseudo_count=pseudo_count, **where)


def pseudo_count_of(score: str) -> float:
    """Pseudo-count that a monitor adds to each bin for a score."""
    return 0.0 if score in _UNSMOOTHED else PSEUDO_COUNT


def bin_geometry(score: str, bins: int) -> list[Array]:
    """Where the bins of a standard normal feature are, for scores that ask how far mass has moved; else nothing.

    Their means (bins,) for W1, and for MMD the kernel between those means (bins, bins).
    """
    if score not in _PLACES:
        return []
    edges = np.asarray(ndtri(np.arange(1, bins) / bins))
    density = np.concatenate(([0.0], np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi), [0.0]))
    means = -np.diff(density) * bins
    if score == "wasserstein":
        return [means]
    return [np.exp(-0.5 * ((means[:, None] - means) / _BANDWIDTH) ** 2)]


def normal_score(p_values: Array) -> Array:
    """Standard normal score with the same upper tail as each p-value; NaN stays."""
    return np.asarray(np.maximum(-ndtri(np.maximum(p_values, _SMALLEST)), _LOWEST))
