"""Variance reduction, each with its measured gain: common random numbers, antithetic pairs, control variates.

The gain is the variance of the plain estimator divided by that of the reduced one for the same number of runs: a
gain of 4 is worth four times the replications, and a gain below 1 is a loss.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from analysis.intervals import LEVEL, Interval, check_level, finite_sample, mean_interval, standard_deviation


class Reduced(NamedTuple):
    """A mean whose variance was reduced, and what that gained."""

    interval: Interval
    gain: float
    """Variance of the plain mean of as many runs over the variance of this one; NaN where nothing varies."""
    coefficients: tuple[float, ...] = ()
    """Of control variates."""


def variance_reduction(a: ArrayLike, b: ArrayLike) -> float:
    """How much smaller the variance of a - b is for paired values than for independent runs.

    a, b: (replications,) of two policies in the same worlds. Infinite when the difference never varies,
    NaN for fewer than two worlds, and where nothing varies.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(x) < 2:
        return float("nan")
    return _gain(standard_deviation(x) ** 2 + standard_deviation(y) ** 2, standard_deviation(x - y) ** 2)


def antithetic_mean(values: ArrayLike, mirrored: ArrayLike, level: float = LEVEL) -> Reduced:
    """Mean of runs and their mirror images, by the averages of the pairs.

    values, mirrored: (pairs,) 2 or more, from `World(...)` and `World(..., mirrored=True)` of the same seed and
    replication. The gain is over 2 * pairs independent runs, 1 / (1 + correlation) for equal variances: above 1 when
    what is lucky in a world is unlucky in its mirror. Raises ValueError for other shapes.
    Source: Hammersley and Morton 1956; Law 2015, 'Simulation Modeling and Analysis', 11.3.

    >>> round(antithetic_mean([1.0, 2.0, 3.0], [3.0, 2.5, 1.0]).gain, 6)
    25.0
    """
    x, y = finite_sample(values, 2), finite_sample(mirrored, 2, "mirrored")
    if x.shape != y.shape:
        raise ValueError(f"mirrored: got {len(y)} values, expected {len(x)}, one for each of values")
    pairs = 0.5 * (x + y)
    independent = 0.25 * (standard_deviation(x) ** 2 + standard_deviation(y) ** 2)
    return Reduced(mean_interval(pairs, level), _gain(independent, standard_deviation(pairs) ** 2))


def controlled_mean(
    values: ArrayLike,
    controls: ArrayLike,
    expectations: ArrayLike,
    level: float = LEVEL,
) -> Reduced:
    """Mean of runs corrected by control variates: what each run's own inputs make of a closed form.

    values: (n,); controls: (n,) or (n, q), n >= q + 3, seen in the same runs; expectations: their known means, a
    number or (q,). The coefficients are estimated by least squares, and Student's t with n - q - 1 degrees of freedom
    includes the price of that: with useless controls the gain is a little below 1, about (n - q - 2) / (n - 2). A
    control that never varies, or that follows from the others, is left out. Normal values give an exact interval.
    Raises ValueError for other shapes.
    Source: Lavenberg and Welch 1981, 'A Perspective on the Use of Control Variables'; Nelson 1990.

    >>> found = controlled_mean([10.1, 12.0, 13.9, 16.0], [1.0, 2.0, 3.0, 4.0], 3.0)
    >>> round(found.interval.mean, 2), round(found.coefficients[0], 2), found.gain > 100
    (13.98, 1.96, True)
    """
    check_level(level)
    y = finite_sample(values, 4)
    c = np.asarray(controls, dtype=np.float64)
    c = c[:, None] if c.ndim == 1 else c
    known = np.atleast_1d(np.asarray(expectations, dtype=np.float64))
    if c.ndim != 2 or len(c) != len(y) or not np.isfinite(c).all():
        raise ValueError(
            f"controls: got shape {c.shape}, expected finite numbers, ({len(y)},) or ({len(y)}, q)"
        )
    if known.shape != c.shape[1:] or not np.isfinite(known).all():
        raise ValueError(f"expectations: got {expectations!r}, expected {c.shape[1]} finite numbers")
    if len(y) < c.shape[1] + 3:
        raise ValueError(
            f"values: got {len(y)}, expected at least {c.shape[1] + 3} for {c.shape[1]} controls"
        )
    scale = np.array([standard_deviation(column) for column in c.T])
    used = scale > 0.0
    design = np.column_stack([np.ones(len(y)), (c - known)[:, used] / scale[used]])
    middle = float(y.mean())
    fitted, _, rank, _ = np.linalg.lstsq(design, y - middle, rcond=1e-10)
    degrees = len(y) - int(rank)
    # The intercept is the mean at the known expectations; its variance is that of any least squares coefficient.
    residual = y - middle - design @ fitted
    inverse = np.linalg.pinv(design.T @ design, rcond=1e-20, hermitian=True)
    variance = float(residual @ residual) / degrees * float(inverse[0, 0])
    noise = (1e-12 * float(np.abs(y).max())) ** 2
    variance = 0.0 if variance <= noise / len(y) else variance
    half = float(stdtrit(degrees, 0.5 + 0.5 * level)) * np.sqrt(variance)
    coefficients = np.zeros(c.shape[1])
    coefficients[used] = fitted[1:] / scale[used]
    mean = middle + float(fitted[0])
    return Reduced(
        Interval(mean, mean - half, mean + half),
        _gain(standard_deviation(y) ** 2 / len(y), variance),
        tuple(coefficients.tolist()),
    )


def _gain(plain: float, reduced: float) -> float:
    """Ratio of variances; infinite when nothing is left, NaN when nothing was there."""
    if reduced > 0.0:
        return plain / reduced
    return float("inf") if plain > 0.0 else float("nan")
