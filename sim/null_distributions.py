"""How large drift scores get when nothing has drifted: p-values and thresholds for any number of rows.

A current sample of n rows is binned by a reference of m rows. In equal-frequency bins, whose edges are order
statistics of the reference, the reference holds exactly 1/K in each bin, and its own noise sits in the true
probabilities of the bins, which are Dirichlet. So the counts are Dirichlet-multinomial when nothing has
drifted. (For given proportions e the same law with parameters m e is used, which is the usual predictive one.)

Each score is brought to a statistic whose law hardly depends on n (of `psi`, `kl`, `js`, `js_distance`, `hellinger`
and `chi_square` its square tends to chi-square with K - 1 degrees of freedom). Quantiles of it are calibrated at a
few n (`sim.null_calibration`) and interpolated in log n between them.

Accuracy, measured in 10 bins with 100,000 reference rows and with a known reference, 3,000,000 draws each: scores
pass the threshold for probability 1e-2, 1e-3 and 1e-4 between 0.80 and 1.20 times as often as they should, from 35
to 1,000,000 rows, and the one for 1e-5 as far as so many draws can tell. Not so for scores on a lattice at few
rows, where a threshold cannot lie between two values: from 35 to 50 rows `ks` and `total_variation` pass it 0.3 to 0.9
times as often and `wasserstein` 0.65 to 1.1 times; at 200 rows `ks` and `total_variation` 0.6 to 1.3 times.

All rows of one reference share its noise: rates of false alarms hold on average over references, and a single
model whose edges fell badly has more of them, all the more when n is not small against m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from sim.kernels import tails
from sim.multiple_testing import benjamini_hochberg, family_wise_probability, simes_p_values
from sim.null_calibration import (
    DISTANCES,
    LEVELS,
    SCORES,
    SMALLEST_LEVEL,
    SQUARES,
    Array,
    Histogram,
    as_array,
    calibrate,
    raw_score,
    scale_of,
    scores_of_counts,
    standardised,
)

__all__ = [
    "SCORES",
    "SMALLEST_LEVEL",
    "NullDistribution",
    "NullFamily",
    "benjamini_hochberg",
    "binomial_p_values",
    "family_wise_probability",
    "scores_of_counts",
    "simes_p_values",
]

_EVERY_N = 32  # tables for each n up to here, then two for each doubling
_LATTICE_EVERY_N = 64  # the same for scores whose values lie on a coarse lattice at small n
_LATTICE = ("ks", "total_variation", "wasserstein")
_LARGEST_N = 2**24  # from here on the law of T no longer changes


@dataclass(frozen=True)
class NullDistribution:
    """The null distribution of a score at one number of rows; see `NullFamily`."""

    family: NullFamily
    rows: float

    @property
    def mean(self) -> float:
        """Expected score when nothing has drifted."""
        return float(self.family.means(self.rows))

    def threshold(self, probability: float) -> float:
        """Score that is exceeded with `probability` when nothing has drifted."""
        return float(self.family.thresholds(probability, self.rows))

    def p_value(self, score: ArrayLike) -> Array:
        """Probability of `score` or more when nothing has drifted, any shape."""
        return self.family.p_values(score, self.rows)


@dataclass(frozen=True)
class NullFamily:
    """Null distributions of one score for every number of rows.

    Tables are computed when first needed, some ten milliseconds each, and kept. The seed is fixed: the same
    arguments give the same numbers.

    >>> family = NullFamily.of("psi", bins=10, reference_rows=100_000)
    >>> family.thresholds(1e-3, [1000, 1_000_000]).round(4)
    array([0.0282, 0.0003])
    >>> family.p_values(0.0282, 1000).round(4)
    np.float64(0.001)
    """

    histogram: Histogram
    _knots: dict[int, tuple[Array, float]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        score: str,
        bins: int = 10,
        reference_rows: float = math.inf,
        *,
        pseudo_count: float = 0.5,
        proportions: ArrayLike | None = None,
        positions: ArrayLike | None = None,
        gram: ArrayLike | None = None,
    ) -> NullFamily:
        """The family of `score` (one of `SCORES`) of counts in `bins` bins, 2 or more.

        reference_rows: rows of the reference, at least `bins`; infinity for a reference known exactly
        pseudo_count: added to each count, as in `<score>_of_counts`, >= 0
        proportions: (bins,) of the reference, > 0, sum 1; equal-frequency bins learned on it when absent
        positions: (bins,) of the bins, ascending, for `wasserstein`
        gram: (bins, bins) kernel between the bins, symmetric and positive semi-definite, for `mmd`
        Raises ValueError for other arguments.
        """
        _check(score, bins, reference_rows, pseudo_count)
        if proportions is None:
            expected, parameters = np.full(bins, 1.0 / bins), _learned(bins, reference_rows)
        else:
            expected = _proportions(proportions, bins)
            parameters = expected * (reference_rows if math.isfinite(reference_rows) else 1.0)
        return cls(
            Histogram(
                score=score,
                expected=tuple(expected.tolist()),
                strength=float(parameters.sum()) if math.isfinite(reference_rows) else math.inf,
                centre=tuple((parameters / parameters.sum()).tolist()),
                pseudo_count=float(pseudo_count),
                positions=_positions(score, positions, bins),
                gram=_gram(score, gram, bins),
            )
        )

    def at(self, rows: float) -> NullDistribution:
        """The null distribution for a current sample of `rows` rows, >= 1."""
        if not 1 <= rows < math.inf:
            raise ValueError(f"rows: got {rows}, expected a finite number >= 1")
        return NullDistribution(self, float(rows))

    def p_values(self, scores: ArrayLike, rows: ArrayLike) -> Array:
        """Probability, when nothing has drifted, of each score or more; in (0, 1].

        scores, rows: shapes that broadcast; rows may differ from window to window. A score of NaN, or fewer
        rows than 1, gives NaN.
        """
        value, size = np.broadcast_arrays(as_array(scores), as_array(rows))
        shape = value.shape
        value, size = value.ravel(), size.ravel()
        usable = (size >= 1.0) & ~np.isnan(value)
        out = np.full(value.shape, np.nan)
        if usable.any():
            number = size[usable]
            statistic = standardised(self.histogram.score, value[usable], scale_of(self.histogram, number))
            node, weight, knots, _ = self._lookup(number)
            found = np.empty(len(number))
            tails.tail_probabilities(statistic, node, weight, knots, LEVELS, found)
            out[usable] = found
        return as_array(out.reshape(shape)[()])

    def thresholds(self, probability: ArrayLike, rows: ArrayLike) -> Array:
        """Score that is exceeded with `probability` when nothing has drifted.

        probability: in [1e-8, 1]; rows: fewer than 1 gives NaN; the shapes broadcast.
        At a small number of rows scores are discrete, and the true probability can be less.
        Raises ValueError for a probability outside the range.
        """
        levels, size = np.broadcast_arrays(as_array(probability), as_array(rows))
        if not ((levels >= SMALLEST_LEVEL) & (levels <= 1.0)).all():
            raise ValueError(f"probability: got {probability!r}, expected one in [{SMALLEST_LEVEL:g}, 1]")
        shape = size.shape
        levels, size = levels.ravel(), size.ravel()
        out = np.full(size.shape, np.nan)
        usable = size >= 1.0
        if usable.any():
            node, weight, knots, _ = self._lookup(size[usable])
            place = np.clip(np.searchsorted(-LEVELS, -levels[usable], side="left"), 1, len(LEVELS) - 1)
            share = np.log(levels[usable] / LEVELS[place - 1]) / np.log(LEVELS[place] / LEVELS[place - 1])
            begin, end = (
                (1.0 - weight) * knots[node, at] + weight * knots[node + 1, at] for at in (place - 1, place)
            )
            statistic = np.sqrt(begin**2 + share * (end**2 - begin**2))
            out[usable] = raw_score(self.histogram.score, statistic, scale_of(self.histogram, size[usable]))
        return as_array(out.reshape(shape)[()])

    def means(self, rows: ArrayLike) -> Array:
        """Expected score when nothing has drifted, by rows (fewer than 1 gives NaN)."""
        size = as_array(rows)
        flat = size.ravel()
        out = np.full(flat.shape, np.nan)
        usable = flat >= 1.0
        if usable.any():
            node, weight, _, mean = self._lookup(flat[usable])
            scale = scale_of(self.histogram, flat[usable])
            average = (1.0 - weight) * mean[node] + weight * mean[node + 1]
            score = self.histogram.score
            out[usable] = average * (
                scale**2 / SQUARES[score] if score in SQUARES else scale / DISTANCES[score]
            )
        return as_array(out.reshape(size.shape)[()])

    def _lookup(self, rows: Array) -> tuple[NDArray[np.int64], Array, Array, Array]:
        """For each number of rows its node and weight in the tables, the tables (nodes, L), and their means."""
        dense = _LATTICE_EVERY_N if self.histogram.score in _LATTICE else _EVERY_N
        capped = np.minimum(rows, float(_LARGEST_N))
        place = np.where(capped <= dense, capped, dense + 2.0 * np.log2(np.maximum(capped / dense, 1.0)))
        node = np.floor(place).astype(np.int64)
        needed = np.unique(np.concatenate((node, np.ceil(place).astype(np.int64))))
        for index in needed:
            if int(index) not in self._knots:
                size = index if index <= dense else round(dense * 2.0 ** ((index - dense) / 2.0))
                self._knots[int(index)] = calibrate(self.histogram, int(size))
        # Rows without a table are only met with weight 0, where any finite number does.
        start = int(needed[0])
        knots = np.zeros((int(needed[-1]) - start + 2, len(LEVELS)))
        means = np.zeros(len(knots))
        for index in needed:
            knots[index - start], means[index - start] = self._knots[int(index)]
        return node - start, place - node, knots, means


def _learned(bins: int, reference_rows: float) -> Array:
    """Parameters of the Dirichlet law of the probabilities between edges learned from `reference_rows` rows."""
    if not math.isfinite(reference_rows):
        return np.full(bins, 1.0 / bins)
    between = np.diff(np.rint(np.arange(bins + 1) * (reference_rows / bins)))
    between[-1] += 1.0
    return as_array(between)


def _check(score: str, bins: int, reference_rows: float, pseudo_count: float) -> None:
    if score not in SCORES:
        raise ValueError(f"score: got {score!r}, expected one of {', '.join(SCORES)}")
    if bins < 2:
        raise ValueError(f"bins: got {bins}, expected 2 or more")
    if not reference_rows >= bins:
        raise ValueError(
            f"reference_rows: got {reference_rows}, expected at least bins = {bins}, or infinity"
        )
    if not 0 <= pseudo_count < math.inf:
        raise ValueError(f"pseudo_count: got {pseudo_count}, expected a finite number >= 0")


def _proportions(values: ArrayLike, bins: int) -> Array:
    array = as_array(values)
    if array.shape != (bins,) or not (array > 0).all() or abs(array.sum() - 1.0) > 1e-6:
        raise ValueError(f"proportions: expected {bins} numbers > 0 with sum 1, one a bin, got {values!r}")
    return as_array(array / array.sum())


def _positions(score: str, values: ArrayLike | None, bins: int) -> tuple[float, ...]:
    if score != "wasserstein":
        return ()
    array = as_array([] if values is None else values)
    if array.shape != (bins,) or not (np.diff(array) > 0).all():
        raise ValueError(f"positions: wasserstein needs {bins} ascending numbers, one a bin, got {values!r}")
    return tuple(array.tolist())


def _gram(score: str, values: ArrayLike | None, bins: int) -> tuple[tuple[float, ...], ...]:
    if score != "mmd":
        return ()
    array = as_array([] if values is None else values)
    if array.shape != (bins, bins) or not np.allclose(array, array.T):
        raise ValueError(
            f"gram: mmd needs a symmetric matrix of shape ({bins}, {bins}), got shape {array.shape}"
        )
    return tuple(tuple(row) for row in array.tolist())


# --- proportions ---


def binomial_p_values(successes: ArrayLike, trials: ArrayLike, proportion: ArrayLike) -> Array:
    """P(X <= successes) for X ~ Binomial(trials, proportion), exact: a monitor that calls when it falls.

    The shapes broadcast; no trials give 1.

    >>> binomial_p_values(88, 100, 0.95).round(5)
    np.float64(0.00427)
    """
    return as_array(bdtr(as_array(successes), np.asarray(trials, dtype=np.int64), as_array(proportion)))[()]
