"""How likely a monitor is to see a change at one look, and how many rows that takes.

For a feature: the chance that its score of n rows passes a threshold when its mean has moved by `shift` SDs. It is
found by simulation with the engine's own kernels and a fixed seed, so answers can be repeated. 16,384 samples
leave a standard error of at most 0.004 in a power and of about 1 % in a number of rows or a shift (3 % where the
wanted power is below 0.1). For a proportion everything is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import chdtri
from scipy.stats import binom, kstwo, ncx2

from analysis.experiment_economics import samples_to_tell_apart
from analysis.ranges import INSIDE, POSITIVE, Range, Values, plain
from sim.kernels import sampling
from sim.kernels.scores import psi_population
from sim.null_distributions import NullFamily, scores_of_counts

Array = NDArray[np.float64]

_SAMPLES = 16_384
_MOST_ROWS = 1e9
_LARGEST_SHIFT = 20.0
_REFERENCE_KEY, _ROWS_KEY = np.uint64(0x5EED), np.uint64(0xD1CE)
_CDF_TABLE = sampling.normal_cdf_table()
_ROWS = Range(f"a number in [1, {_MOST_ROWS:g}] (rows)", lambda v: (v >= 1) & (v <= _MOST_ROWS))
_SHIFT = Range(
    f"a number other than 0, at most {_LARGEST_SHIFT:g} SDs", lambda v: (v != 0) & (abs(v) <= 20.0)
)


# ---------------------------------------------------------------- features


@lru_cache(maxsize=32)
def _edges(bins: int, reference_rows: float) -> Array:
    """Bin edges of as many references as there are samples, (samples, bins - 1)."""
    learned = 0 if math.isinf(reference_rows) else round(reference_rows)
    return sampling.learn_edges(_REFERENCE_KEY, 0, learned, _SAMPLES, bins)


def simulated_scores(family: NullFamily, shift: float, rows: int, reference_rows: float) -> Array:
    """Scores (16384,) of `rows` rows of N(shift, 1), each sample against a reference of its own of N(0, 1)."""
    histogram = family.histogram
    bins = len(histogram.expected)
    counts = np.empty((1, _SAMPLES, bins))
    sampling.feature_counts(
        _ROWS_KEY,
        0,
        np.full((1, _SAMPLES), float(shift)),
        _edges(bins, reference_rows),
        np.array([rows], dtype=np.int64),
        sampling.EXACT,
        _CDF_TABLE,
        counts,
    )
    return scores_of_counts(histogram, counts[0])


def feature_power(
    family: NullFamily, shift: float, rows: int, reference_rows: float, probability: float
) -> float:
    """Probability that a score exceeds its threshold for false alarm `probability` when the mean moved by `shift`.

    family: of the score, in equal-frequency bins learned on `reference_rows` rows; rows: of the look
    """
    _ROWS.check("rows", rows)
    threshold = family.thresholds(probability, rows) * (1.0 + 1e-9)
    return float((simulated_scores(family, shift, rows, reference_rows) > threshold).mean())


def _rows_by_chi_square(bins: int, shift: float, probability: float, power: float, reference: float) -> float:
    """Rows that PSI needs, by the non-central chi-square law of n PSI: where the search begins."""
    freedom = bins - 1
    quantile = float(chdtri(freedom, probability))
    needed = float(brentq(lambda nc: ncx2.sf(quantile, freedom, nc) - power, 1e-9, 1e5))
    distance = float(psi_population(shift, np.asarray(_edges(bins, math.inf)[0])))
    return 1.0 / max(distance / needed - 1.0 / reference, 1.0 / _MOST_ROWS)


def feature_rows_needed(
    family: NullFamily, shift: float, reference_rows: float, probability: float, power: float
) -> float:
    """Fewest rows with which `shift` is seen with `power`; infinite where the noise of the reference hides it.

    shift: SDs, not 0; power: in (probability, 1). More rows than 1e9 count as infinite.
    """
    _SHIFT.check("shift", shift)
    _check_power(power, probability)
    bins = len(family.histogram.expected)

    def seen(rows: int) -> bool:
        return feature_power(family, shift, rows, reference_rows, probability) >= power

    low = high = max(round(_rows_by_chi_square(bins, shift, probability, power, reference_rows)), 1)
    while not seen(high):
        if high >= _MOST_ROWS:
            return math.inf
        low, high = high, min(round(1.5 * high) + 1, int(_MOST_ROWS))
    while low > 1 and seen(low):
        low, high = int(low / 1.5), low
    while high - low > 1 and high > low * 1.001:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return float(low if low == high or seen(low) else high)


def feature_detectable_shift(
    family: NullFamily, rows: int, reference_rows: float, probability: float, power: float
) -> float:
    """Smallest shift of the mean, in SDs, > 0, that is seen with `power`; infinite if none of 20 SDs or less is."""
    _check_power(power, probability)
    return shift_above(family, float(family.thresholds(probability, rows)), rows, reference_rows, power)


def shift_above(
    family: NullFamily, threshold: float, rows: int, reference_rows: float, power: float
) -> float:
    """Smallest shift, in SDs, >= 0, whose score exceeds `threshold` with `power`; infinite if none up to 20 does."""
    _ROWS.check("rows", rows)

    def lacking(shift: float) -> bool:
        scores = simulated_scores(family, shift, rows, reference_rows)
        return float((scores > threshold * (1.0 + 1e-9)).mean()) < power

    low, high = 0.0, 0.05
    if not lacking(low):
        return 0.0
    while lacking(high):
        if high >= _LARGEST_SHIFT:
            return math.inf
        low, high = high, min(2.0 * high, _LARGEST_SHIFT)
    while high - low > 5e-4 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if lacking(middle) else (low, middle)
    return high


def _check_power(power: float, probability: float) -> None:
    INSIDE.check("power", power)
    if not power > probability:
        raise ValueError(
            f"power: got {power:g}, expected more than the false alarm probability, {probability:g}"
        )


# ---------------------------------------------------------------- unbinned KS


def ks_threshold(probability: ArrayLike, rows: float, reference_rows: float = math.inf) -> Values:
    """Two-sample KS statistic, of values and not of bins, that is exceeded with `probability` by chance.

    probability: in (0, 1); rows, reference_rows: > 0. The law of Simard and L'Ecuyer for one sample of
    n m / (n + m) rows, as in the asymptotic method of `scipy.stats.ks_2samp`: exact for a reference known exactly.

    >>> round(ks_threshold(1e-3, 1000, 100_000), 4)
    0.0618
    """
    p = INSIDE.check("probability", probability)
    POSITIVE.check("rows", rows)
    if not reference_rows > 0:
        raise ValueError(f"reference_rows: got {reference_rows}, expected a number > 0, or infinity")
    effective = max(round(1.0 / (1.0 / rows + 1.0 / reference_rows)), 1)
    return plain(kstwo.isf(p, effective))


# ---------------------------------------------------------------- proportions


def _critical(baseline: float, rows: NDArray[np.int64], probability: float) -> Array:
    """Largest number of successes that still calls: P(X <= this) <= probability under the baseline; -1 for none."""
    count = binom.ppf(probability, rows, baseline)
    return np.asarray(np.where(binom.cdf(count, rows, baseline) <= probability, count, count - 1.0))


def critical_successes(baseline: float, rows: int, probability: float) -> int:
    """Largest number of successes in `rows` at which a monitor calls; -1 if none is unlikely enough."""
    return int(_critical(baseline, np.asarray(rows), probability))


def proportion_power(baseline: float, proportion: float, rows: ArrayLike, probability: float) -> Values:
    """Probability that a monitor sees a proportion (an accuracy) fall from `baseline` to `proportion`, exact.

    It calls when so few successes in `rows` have at most `probability` under the baseline, which is taken as
    known. baseline, proportion, probability: in (0, 1); rows: >= 1, whole numbers, any shape.

    >>> round(proportion_power(0.95, 0.90, 191, 0.05), 4)
    0.8054
    """
    null, fallen = float(INSIDE.check("baseline", baseline)), float(INSIDE.check("proportion", proportion))
    level = float(INSIDE.check("probability", probability))
    count = np.asarray(_ROWS.check("rows", rows), dtype=np.int64)
    return plain(binom.cdf(_critical(null, count, level), count, fallen))


def proportion_rows_needed(
    baseline: float, proportion: float, probability: float = 0.05, power: float = 0.8
) -> int:
    """Rows from which on a fall from `baseline` to `proportion` is seen with `power`, however many more come.

    Exact where that takes up to about 20,000 rows (power is a saw-tooth in the number of rows: the last tooth below
    `power` counts), beyond by the normal approximation of `samples_to_tell_apart`, rounded up.
    proportion: below the baseline.

    >>> proportion_rows_needed(0.95, 0.90)
    191
    """
    if not proportion < baseline:
        raise ValueError(f"proportion: got {proportion:g}, expected less than the baseline, {baseline:g}")
    _check_power(power, probability)
    normal = float(samples_to_tell_apart(baseline, proportion, alpha=probability, power=power))
    if normal > 20_000:
        return math.ceil(normal)
    first, last = int(0.7 * normal) + 1, int(1.3 * normal) + 400
    while True:
        rows = np.arange(first, last + 1)
        lacking = np.flatnonzero(
            np.asarray(proportion_power(baseline, proportion, rows, probability)) < power
        )
        if len(lacking) and lacking[-1] == len(rows) - 1:
            last *= 2  # few failures are expected: the approximation is poor
        elif len(lacking) or first == 1:
            return int(rows[lacking[-1]]) + 1 if len(lacking) else 1
        else:
            first = 1


def proportion_detectable_drop(
    baseline: float, rows: int, probability: float = 0.05, power: float = 0.8
) -> float:
    """Smallest drop below `baseline` that `rows` rows show with `power`; infinite if not even a drop to 0 does.

    >>> round(proportion_detectable_drop(0.95, 191), 4)
    0.0496
    """
    null = float(INSIDE.check("baseline", baseline))
    _check_power(power, probability)
    count = _critical(null, np.asarray(_ROWS.check("rows", rows), dtype=np.int64), probability)
    if count < 0:
        return math.inf
    missing: Callable[[float], float] = lambda p: float(binom.cdf(count, rows, p)) - power  # noqa: E731
    return null - float(brentq(missing, 0.0, null, xtol=1e-12))
