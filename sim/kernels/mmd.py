"""Maximum mean discrepancy of two samples, of one column or many."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray


def mmd(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    bandwidth: float | None = None,
    subsample: int | None = 1000,
    seed: int = 0,
    biased: bool = False,
) -> float:
    """Squared maximum mean discrepancy with the kernel exp(-|x - y|^2 / (2 bandwidth^2)).

    reference, current: (rows,) or (rows, columns), finite, at least 2 rows each; columns should be on one scale
    bandwidth: > 0, unit of the samples; by default the median distance of two different points of both samples
        together (the median heuristic), and the score is 0 when all points are the same
    subsample: rows drawn without replacement from each sample that has more, >= 2 (the work grows as its square);
        None takes all rows
    seed: of the draw; the same seed gives the same score
    biased: False (the default) gives the unbiased estimate (U-statistic), about 0 without drift and often below;
        True the one with the diagonal (V-statistic), which is >= 0 and 0 for equal samples
    Raises ValueError for other input.
    Source: Gretton et al. 2012, 'A kernel two-sample test', equations 3 and 5.

    >>> round(mmd([0.0, 1.0, 2.0], [10.0, 11.0, 12.0], bandwidth=1.0), 6)
    0.898931
    """
    first, second = _rows(reference, "reference"), _rows(current, "current")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"samples of {first.shape[1]} and {second.shape[1]} columns cannot be compared")
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
    if subsample is not None and subsample < 2:
        raise ValueError(f"subsample must be at least 2 rows, got {subsample}")
    rng = np.random.default_rng(seed)
    first, second = (_drawn(rows, subsample, rng) for rows in (first, second))
    if bandwidth is None:
        bandwidth = median_distance(np.concatenate((first, second)))
        if bandwidth == 0:
            return 0.0
    within_first, within_second, between = _kernel_sums(first, second, -0.5 / bandwidth**2)
    n, m = len(first), len(second)
    if biased:
        value = (2 * within_first + n) / n**2 + (2 * within_second + m) / m**2 - 2 * between / (n * m)
        return max(0.0, float(value))
    return float(2 * within_first / (n * (n - 1)) + 2 * within_second / (m * (m - 1)) - 2 * between / (n * m))


def median_distance(points: NDArray[np.float64]) -> float:
    """Median Euclidean distance of the pairs of `points` (rows, columns) that differ; 0 when none do."""
    squares = _squared_distances(points)
    squares = squares[squares > 0]
    return float(np.median(np.sqrt(squares))) if squares.size else 0.0


def _rows(sample: ArrayLike, name: str) -> NDArray[np.float64]:
    rows = np.asarray(sample, dtype=np.float64)
    if rows.ndim == 1:
        rows = rows[:, np.newaxis]
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] < 1:
        raise ValueError(
            f"{name} must be (rows,) or (rows, columns) with at least 2 rows, got shape {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} must be finite; take rows with NaN or infinite values out first")
    return np.ascontiguousarray(rows)


def _drawn(rows: NDArray[np.float64], subsample: int | None, rng: np.random.Generator) -> NDArray[np.float64]:
    if subsample is None or len(rows) <= subsample:
        return rows
    return rows[rng.choice(len(rows), subsample, replace=False)]


@njit(cache=True, nogil=True)
def _squared_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    total = 0.0
    for c in range(x.shape[0]):
        total += (x[c] - y[c]) ** 2
    return total


@njit(cache=True, nogil=True)
def _squared_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of all pairs, (n (n - 1) / 2,)."""
    n = points.shape[0]
    out = np.empty(n * (n - 1) // 2)
    place = 0
    for i in range(n):
        for j in range(i):
            out[place] = _squared_distance(points[i], points[j])
            place += 1
    return out


@njit(cache=True, nogil=True)
def _kernel_sums(
    first: NDArray[np.float64], second: NDArray[np.float64], factor: float
) -> tuple[float, float, float]:
    """Sums of exp(factor * squared distance): pairs within `first`, pairs within `second`, all between them.

    Row sums are added up apart, so that rounding errors stay small.
    """
    within_first, within_second, between = 0.0, 0.0, 0.0
    for i in range(first.shape[0]):
        row = 0.0
        for j in range(i):
            row += math.exp(factor * _squared_distance(first[i], first[j]))
        within_first += row
    for i in range(second.shape[0]):
        row = 0.0
        for j in range(i):
            row += math.exp(factor * _squared_distance(second[i], second[j]))
        within_second += row
    for i in range(first.shape[0]):
        row = 0.0
        for j in range(second.shape[0]):
            row += math.exp(factor * _squared_distance(first[i], second[j]))
        between += row
    return within_first, within_second, between
