"""Counts of a window in the bins of a reference, which add up over shards, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from sim.kernels.count_scores import COUNT_SCORES

PSEUDO_COUNT = 0.5
DIVERGENCES = tuple(name for name in COUNT_SCORES if name != "ks")
TESTS = ("chi_square", "chi_square_p_value")


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of all features in the bins of one `Reference`: of one window, or of shards added up.

    Counts are whole numbers, so h1 + h2 of two shards equals the histogram of both to the last bit, in any order.
    """

    counts: NDArray[np.int64]
    """(all bins,) of all features one after another; `Reference.bins_of` names those of a feature."""
    reference: str
    """Fingerprint of the bins; only histograms of the same bins add up."""

    def __add__(self, other: Histogram) -> Histogram:
        if not isinstance(other, Histogram):
            return NotImplemented
        if other.reference != self.reference:
            raise ValueError(
                "histograms of different references cannot be added: their bins are not the same"
            )
        return Histogram(self.counts + other.counts, self.reference)

    def __radd__(self, other: object) -> Histogram:
        # sum() of many shards starts from 0.
        return self if other == 0 else NotImplemented


def score_histograms(
    reference: NDArray[np.int64], current: NDArray[np.int64], sizes: NDArray[np.int64], scores: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Scores of each feature from its counts on both sides.

    reference, current: (all bins,) counts, those of one feature after those of another
    sizes: (features,) bins of each
    scores: of DIVERGENCES (half a count a bin on both sides) and TESTS (as they are)
    Bins empty on both sides are left out. A feature without any count on one side scores NaN.
    """
    kept = (reference + current) > 0
    ends = np.cumsum(sizes)
    bins = np.add.reduceat(kept, ends - sizes, dtype=np.int64)
    places, first = np.flatnonzero(kept), np.cumsum(bins) - bins
    out = {name: np.empty(len(sizes)) for name in scores}
    for width in np.unique(bins):
        # Features with equally many bins left are one block for the kernels.
        features = np.flatnonzero(bins == width)
        at = places[first[features, np.newaxis] + np.arange(width)]
        pair = reference[at].astype(np.float64), current[at].astype(np.float64)
        for name, values in _score_block(*pair, scores).items():
            out[name][features] = values
    return out


def _score_block(
    reference: NDArray[np.float64], current: NDArray[np.float64], scores: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Scores of features (features, bins) without empty bins."""
    rows = reference.sum(axis=1, keepdims=True)
    expected = (reference + PSEUDO_COUNT) / (rows + PSEUDO_COUNT * reference.shape[1])
    out = {}
    for name in scores:
        if name in TESTS:
            out[name] = _chi_square(reference, current, name)
            continue
        values = np.empty((1, len(reference)))
        COUNT_SCORES[name](current[np.newaxis], expected, PSEUDO_COUNT, values)
        out[name] = np.where(rows[:, 0] > 0, values[0], np.nan)
    return out


def _chi_square(
    reference: NDArray[np.float64], current: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    """Pearson's statistic of homogeneity, or its p-value, of each feature; one bin gives 0 and 1."""
    n, m = reference.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = (reference * m - current * n) ** 2 / (n * m * (reference + current))
    statistic = gaps.sum(axis=1)
    if name == "chi_square":
        return np.asarray(statistic)
    freedom = reference.shape[1] - 1
    return np.asarray(chdtrc(freedom, statistic)) if freedom else np.where(np.isnan(statistic), np.nan, 1.0)
