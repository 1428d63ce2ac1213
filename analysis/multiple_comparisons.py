"""Several systems at once: intervals that hold together, against a control, for all pairs, and with the best.

Systems that met the same worlds are compared pair by pair with Bonferroni's correction, which holds for any
correlation; for independent ones there are Dunnett (control) and Games-Howell (all pairs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from analysis.intervals import (
    LEVEL,
    Interval,
    check_level,
    finite_sample,
    paired_interval,
    standard_deviation,
    welch,
)

Array = NDArray[np.float64]
Samples = Mapping[str, ArrayLike]
"""Values of each system by its name, (replications,); paired when all met the same worlds in the same order."""


@dataclass(frozen=True)
class Differences:
    """Differences of means whose intervals hold all together with the level."""

    pairs: tuple[tuple[str, str], ...]
    intervals: tuple[Interval, ...]
    """Of first minus second."""
    p_values: tuple[float, ...]
    """Adjusted for the number of comparisons: below 1 - level the pair differs."""
    level: float

    def table(self) -> pd.DataFrame:
        """One row a pair: system, other, mean, ci_low, ci_high, p_value."""
        rows = [(*pair, *found) for pair, found in zip(self.pairs, self.intervals, strict=True)]
        table = pd.DataFrame(rows, columns=["system", "other", "mean", "ci_low", "ci_high"])
        return table.assign(p_value=self.p_values)


@dataclass(frozen=True)
class BestComparisons:
    """Each system minus the best of the others; the intervals hold all together with the level."""

    systems: tuple[str, ...]
    intervals: tuple[Interval, ...]
    """Of a system's mean minus the best mean of the others; one bound is often 0."""
    may_be_best: tuple[bool, ...]
    level: float

    def table(self) -> pd.DataFrame:
        """One row a system: mean minus the best of the others, ci_low, ci_high, may_be_best."""
        index = pd.Index(self.systems, name="system")
        table = pd.DataFrame(list(self.intervals), index=index).set_axis(
            ["mean", "ci_low", "ci_high"], axis=1
        )
        return table.assign(may_be_best=self.may_be_best)


def bonferroni_level(level: float, comparisons: int) -> float:
    """Level of each of several intervals that hold all together with `level`, whatever their dependence.

    >>> bonferroni_level(0.95, 5)
    0.99
    """
    check_level(level)
    if comparisons < 1:
        raise ValueError(f"comparisons: got {comparisons}, expected at least 1")
    return 1.0 - (1.0 - level) / comparisons


def holm(p_values: ArrayLike) -> Array:
    """p values adjusted for their number, (comparisons,), each >= the given one and <= 1.

    Rejecting what is at most alpha errs anywhere with probability alpha at most, whatever the dependence; never less
    powerful than Bonferroni. Raises ValueError outside [0, 1]. Source: Holm 1979.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0.0) & (p <= 1.0)).all():
        raise ValueError(f"p_values: got {p_values!r}, expected numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(adjusted, 1.0)
    return out


def with_control(
    samples: Samples, control: str, level: float = LEVEL, *, paired: bool = True, seed: int = 0
) -> Differences:
    """Each system minus a control, all intervals together with confidence `level`.

    samples: two or more systems, two or more finite values each; paired: same worlds in the same order (Bonferroni
    intervals, Holm's p values); else independent (Dunnett 1955 by SciPy, which takes equal variances; its integral is
    reproducible by seed). Raises ValueError for an unknown control and for samples that do not fit.

    >>> with_control({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.5]}, "a").table().round(3).iloc[0, 2:5].tolist()
    [1.167, 0.45, 1.884]
    """
    x = _checked(samples, level, paired)
    if control not in x:
        raise ValueError(f"control: got {control!r}, expected one of: {', '.join(x)}")
    pairs = tuple((name, control) for name in x if name != control)
    if paired:
        return _paired_differences(x, pairs, level)
    from scipy.stats import dunnett  # slow to import

    found = dunnett(
        *(x[name] for name, _ in pairs), control=x[control], random_state=np.random.default_rng(seed)
    )
    bounds = found.confidence_interval(level)
    intervals = tuple(
        Interval(float(x[name].mean() - x[control].mean()), float(low), float(high))
        for (name, _), low, high in zip(pairs, bounds.low, bounds.high, strict=True)
    )
    return Differences(pairs, intervals, tuple(np.atleast_1d(found.pvalue).tolist()), level)


def all_pairs(samples: Samples, level: float = LEVEL, *, paired: bool = True) -> Differences:
    """All differences between systems, all intervals together with confidence `level`.

    Arguments as in `with_control`; paired: Bonferroni and Holm; else independent, with variances and sizes that may
    differ (Games and Howell 1976, on the studentised range). Its level is approximate for fewer than 6 values.

    >>> all_pairs({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.5], "c": [1.0, 2.0, 3.0]}).pairs
    (('a', 'b'), ('a', 'c'), ('b', 'c'))
    """
    x = _checked(samples, level, paired)
    pairs = tuple(combinations(x, 2))
    if paired:
        return _paired_differences(x, pairs, level)
    from scipy.stats import studentized_range  # slow to import

    sds = {name: standard_deviation(values) for name, values in x.items()}
    intervals, p_values = [], []
    for a, b in pairs:
        error, degrees = welch(sds[a], len(x[a]), sds[b], len(x[b]))
        gap = float(x[a].mean() - x[b].mean())
        half = float(studentized_range.ppf(level, len(x), degrees)) * error / np.sqrt(2.0)
        intervals.append(Interval(gap, gap - half, gap + half))
        ratio = np.sqrt(2.0) * abs(gap) / error if error > 0.0 else (np.inf if gap else 0.0)
        p_values.append(float(studentized_range.sf(ratio, len(x), degrees)) if np.isfinite(ratio) else 0.0)
    return Differences(pairs, tuple(intervals), tuple(p_values), level)


def with_best(
    samples: Samples, level: float = LEVEL, *, paired: bool = True, minimise: bool = True
) -> BestComparisons:
    """Each system minus the best of the others (MCB), all intervals together with confidence >= `level`.

    samples, paired: as in `with_control`; minimise: the best has the least mean. A system may be the best unless some
    other one beats it by more than the noise of their difference; the best one is among those that may be with
    confidence `level`. Only the k - 1 comparisons of the unknown best with the others need to hold, each one-sided, so
    that these intervals are narrower than those of all pairs.
    Source: Hsu 1984, 'Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best', with
    Bonferroni's bounds for dependent systems as in Nelson and Matejcik 1995.

    >>> with_best({"a": [1.0, 2.0, 3.0], "b": [9.0, 10.0, 11.1]}).table().may_be_best.to_dict()
    {'a': True, 'b': False}
    """
    x = _checked(samples, level, paired)
    sign = 1.0 if minimise else -1.0
    names, k = tuple(x), len(x)
    means = sign * np.array([x[name].mean() for name in names])
    width = np.zeros((k, k))
    for i, j in combinations(range(k), 2):
        error, degrees = _error(x[names[i]], x[names[j]], paired)
        width[i, j] = width[j, i] = stdtrit(degrees, bonferroni_level(level, k - 1)) * error
    gap = means[:, None] - means[None, :]
    others = ~np.eye(k, dtype=bool)
    may = np.array([(gap[i] <= width[i])[others[i]].all() for i in range(k)])
    intervals = []
    for i in range(k):
        rivals = may & others[i]
        high = max(0.0, float((gap + width)[i, rivals].max())) if rivals.any() else 0.0
        low = min(0.0, float((gap - width)[i, others[i]].max())) if may[i] else 0.0
        middle = float(gap[i, others[i]].max())
        intervals.append(Interval(middle, low, high) if minimise else Interval(-middle, -high, -low))
    return BestComparisons(names, tuple(intervals), tuple(may.tolist()), level)


def _paired_differences(x: dict[str, Array], pairs: tuple[tuple[str, str], ...], level: float) -> Differences:
    each = bonferroni_level(level, len(pairs))
    intervals = tuple(Interval(*map(float, paired_interval(x[a], x[b], each))) for a, b in pairs)
    return Differences(
        pairs, intervals, tuple(holm([_p_value(x[a] - x[b]) for a, b in pairs]).tolist()), level
    )


def _p_value(gap: Array) -> float:
    """Two-sided p value of Student's t for a mean of 0."""
    error, mean = standard_deviation(gap) / np.sqrt(len(gap)), float(gap.mean())
    if error == 0.0:
        return float(mean == 0.0)
    return float(2.0 * stdtr(len(gap) - 1, -abs(mean) / error))


def _error(a: Array, b: Array, paired: bool) -> tuple[float, float]:
    """Standard error of the difference of two means, and its degrees of freedom."""
    if paired:
        return standard_deviation(a - b) / float(np.sqrt(len(a))), float(len(a) - 1)
    return welch(standard_deviation(a), len(a), standard_deviation(b), len(b))


def _checked(samples: Samples, level: float, paired: bool) -> dict[str, Array]:
    check_level(level)
    if len(samples) < 2:
        raise ValueError(f"samples: got {len(samples)}, expected two or more systems")
    x = {name: finite_sample(values, 2, f"samples[{name!r}]") for name, values in samples.items()}
    if paired and len({len(values) for values in x.values()}) > 1:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in x.items())
        raise ValueError(f"samples: got unequal sizes ({sizes}), expected pairs of the same worlds")
    return x
