"""Scores of a monitor on binned rows, and what chance alone would make of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from scenarios.monitoring import Monitor
from sim.kernels import count_scores
from sim.null_distributions import SMALLEST_LEVEL, NullFamily, family_wise_probability, simes_p_values

Array = NDArray[np.float64]

PSEUDO_COUNT = 0.5
_UNSMOOTHED = ("ks", "wasserstein", "mmd")  # distribution functions and means have no bin that could be empty
_BANDWIDTH = 1.0  # of the kernel of MMD, in SDs of the reference: its median heuristic gives 0.95
_ALMOST_ONE = float(np.nextafter(1.0, 0.0))  # a p-value of 1 has no logarithm of its complement
_SMALLEST = 1e-300  # p-values below have no finite normal score
_LOWEST = -6.0  # of standardised scores: a score of exactly 0 is no infinite surprise
_KERNELS: dict[str, Callable[..., None]] = {
    "psi": count_scores.psi_of_counts,
    "kl": count_scores.kl_of_counts,
    "js": count_scores.js_of_counts,
    "js_distance": count_scores.js_distance_of_counts,
    "ks": count_scores.ks_of_counts,
    "wasserstein": count_scores.wasserstein_of_counts,
    "hellinger": count_scores.hellinger_of_counts,
    "chi_square": count_scores.chi_square_of_counts,
    "total_variation": count_scores.total_variation_of_counts,
    "mmd": count_scores.mmd_of_counts,
}


class DistributionScore:
    """The score of a monitor for each of its series, with p-values that know the number of rows."""

    def __init__(self, monitor: Monitor, series: int) -> None:
        self.name, self.bins, self.series = monitor.drift_score, monitor.bins, series
        noiseless = monitor.sampling == "none" or self.name in _UNSMOOTHED
        self.pseudo_count = 0.0 if noiseless else PSEUDO_COUNT
        self.reference_rows = monitor.reference_rows
        self.correction = monitor.correction or "family_wise"
        self.expected = np.full((series, self.bins), 1.0 / self.bins)
        self._geometry = [np.repeat(each[None], series, axis=0) for each in self._of_bins]

    def of_counts(self, counts: Array) -> Array:
        """Scores (looks, series) of counts (looks, series, bins); NaN without rows."""
        found = np.empty(counts.shape[:2])
        _KERNELS[self.name](counts, self.expected, self.pseudo_count, *self._geometry, found)
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
        """Score that the worst series of a look passes by chance with a given probability."""
        each = max(float(family_wise_probability(probability, self.series)), SMALLEST_LEVEL)
        return float(self._family.thresholds(each, rows))

    @cached_property
    def _family(self) -> NullFamily:
        geometry = {"wasserstein": "positions", "mmd": "gram"}
        where = {geometry[self.name]: self._of_bins[0]} if self.name in geometry else {}
        return NullFamily.of(
            self.name, self.bins, self.reference_rows, pseudo_count=self.pseudo_count, **where
        )

    @cached_property
    def _of_bins(self) -> list[Array]:
        """Where the bins of a standard normal reference are, for scores that ask how far mass has moved."""
        if self.name not in ("wasserstein", "mmd"):
            return []
        edges = np.asarray(ndtri(np.arange(1, self.bins) / self.bins))
        density = np.concatenate(([0.0], np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi), [0.0]))
        means = -np.diff(density) * self.bins
        if self.name == "wasserstein":
            return [means]
        return [np.exp(-0.5 * ((means[:, None] - means) / _BANDWIDTH) ** 2)]


def standardised(p_values: Array) -> Array:
    """Standard normal score with the same upper tail as each p-value; NaN stays."""
    return np.asarray(np.maximum(-ndtri(np.maximum(p_values, _SMALLEST)), _LOWEST))
