"""How far current data is from its reference: the door to all drift scores.

On proportions over bins (`divergences`): PSI, KL, JS (divergence and distance), Hellinger, total variation, chi-square.
On samples (`samples`, `mmd`): Kolmogorov-Smirnov with its p-value, Wasserstein-1, maximum mean discrepancy.
On counts of many windows (`count_scores`): the kernels of monitors. On tables of named columns (`reference`): a
`Reference` learns bins, sorted samples and categories once and scores many windows; a `Histogram` is its counts.

Logarithms are natural unless a base is given, so divergences are in nats.

Empty bins have one rule everywhere. Proportions that come from counts get half a count per bin,
(c + 1/2) / (n + K/2) (`proportions`, `pseudo_count=0.5` in the kernels, always in a `Reference`, on both sides).
Scores that divide by a proportion or take its logarithm (PSI, KL, JS, chi-square divergence) then count proportions
below `floor` (1e-6 unless the caller says otherwise, always in the kernels) as `floor`, on both sides and without
scaling the others down; Hellinger, total variation and KS need no floor. `floor=0` gives the textbook definitions:
0 ln 0 is 0, and a bin empty on one side only can give infinity. A `Reference` and the test `chi_square` leave out
bins that are empty on both sides.

NaN has no place in a score: functions of arrays refuse it, `Reference` counts it in a bin of its own and leaves it out
of the samples.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.kernels.count_scores import (
    COUNT_SCORES,
    FLOOR,
    chi_square_of_counts,
    hellinger_of_counts,
    js_distance_of_counts,
    js_of_counts,
    kl_of_counts,
    ks_of_counts,
    mmd_of_counts,
    psi_of_counts,
    total_variation_of_counts,
    wasserstein_of_counts,
)
from sim.kernels.divergences import (
    ChiSquare,
    chi_square,
    chi_square_divergence,
    hellinger,
    js,
    js_distance,
    kl,
    proportions,
    psi,
    psi_population,
    total_variation,
)
from sim.kernels.histograms import Histogram
from sim.kernels.ks_probability import ks_p_value
from sim.kernels.mmd import median_distance, mmd
from sim.kernels.reference import Reference
from sim.kernels.samples import KsTest, KsWasserstein, ks, ks_and_wasserstein, ks_test, wasserstein

SCORES: dict[str, Callable[..., float]] = {
    "psi": psi,
    "kl": kl,
    "js": js,
    "js_distance": js_distance,
    "hellinger": hellinger,
    "total_variation": total_variation,
    "chi_square_divergence": chi_square_divergence,
    "ks": ks,
    "wasserstein": wasserstein,
}
"""Scores of (reference, current) that are 0 for equal data: of proportions, the last two of samples."""

__all__ = [
    "COUNT_SCORES",
    "FLOOR",
    "SCORES",
    "ChiSquare",
    "Histogram",
    "KsTest",
    "KsWasserstein",
    "Reference",
    "chi_square",
    "chi_square_divergence",
    "chi_square_of_counts",
    "hellinger",
    "hellinger_of_counts",
    "js",
    "js_distance",
    "js_distance_of_counts",
    "js_of_counts",
    "kl",
    "kl_of_counts",
    "ks",
    "ks_and_wasserstein",
    "ks_of_counts",
    "ks_p_value",
    "ks_test",
    "median_distance",
    "mmd",
    "mmd_of_counts",
    "proportions",
    "psi",
    "psi_of_counts",
    "psi_population",
    "total_variation",
    "total_variation_of_counts",
    "wasserstein",
    "wasserstein_of_counts",
]
