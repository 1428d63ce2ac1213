"""Control limits that follow a score's own past, with a season."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

ORIGIN, WITHIN, READINGS, FREEDOM, SUMS = 0, 1, 2, 3, 4
"""Places in the memory: the first reading, the squares around own means, readings, degrees of freedom."""


def adaptive_memory(season: int) -> NDArray[np.float64]:
    """Memory of `adaptive_limits` at the start, (4 + 3 x looks in a season,)."""
    memory = np.zeros(SUMS + 3 * max(season, 1))
    memory[ORIGIN] = np.nan
    return memory


@njit(cache=True)
def adaptive_limits(
    scores: NDArray[np.float64],
    start: int,
    trailing: int,
    min_looks: int,
    deviations: float,
    memory: NDArray[np.float64],
    limits: NDArray[np.float64],
) -> None:
    """Upper control limits of the looks from `start` on, each from the `trailing` looks before it, to `limits`.

    scores, limits: (looks,), equally spaced; a NaN score is no reading, a limit is NaN where readings are too few
    start: looks before it are in `memory` already
    memory: `adaptive_memory(season)`, where season is the looks in a day or week, 0 or 1 for none. The mean of a look
        is that of the looks at the same time of the season, once there are two; the standard deviation is that of all
        looks around their own means. It takes the looks from `start` on.
    min_looks: readings needed, at least 2
    deviations: standard deviations from the mean to the limit
    Source: Montgomery, 'Statistical Quality Control', control limits from preliminary samples.

    >>> limits = np.empty(5)
    >>> adaptive_limits(np.array([1.0, 3.0, 1.0, 3.0, 9.0]), 0, 4, 4, 3.0, adaptive_memory(0), limits)
    >>> limits.round(3)
    array([  nan,   nan,   nan,   nan, 5.464])
    """
    phases = (memory.shape[0] - SUMS) // 3
    for i in range(start, scores.shape[0]):
        if i > trailing:
            _take(scores[i - trailing - 1], (i - trailing - 1) % phases, -1.0, memory)
        limits[i] = _limit(i % phases, min_looks, deviations, memory)
        if math.isnan(memory[ORIGIN]):
            # Sums of squares are taken around the first reading, so that a large level costs no digits.
            memory[ORIGIN] = scores[i]
        _take(scores[i], i % phases, 1.0, memory)


@njit(cache=True)
def _take(score: float, phase: int, sign: float, memory: NDArray[np.float64]) -> None:
    """Add a look to the sums of its time of the season, or take it out (`sign` -1)."""
    if math.isnan(score):
        return
    at = SUMS + 3 * phase
    _group(at, -1.0, memory)
    gap = score - memory[ORIGIN]
    memory[at] += sign * gap
    memory[at + 1] += sign * gap * gap
    memory[at + 2] += sign
    memory[READINGS] += sign
    _group(at, 1.0, memory)


@njit(cache=True)
def _group(at: int, sign: float, memory: NDArray[np.float64]) -> None:
    """Count a time of the season in the squares around own means, or take it out."""
    number = memory[at + 2]
    if number > 0.0:
        memory[WITHIN] += sign * (memory[at + 1] - memory[at] * memory[at] / number)
        memory[FREEDOM] += sign * (number - 1.0)


@njit(cache=True)
def _limit(phase: int, min_looks: int, deviations: float, memory: NDArray[np.float64]) -> float:
    at, readings = SUMS + 3 * phase, memory[READINGS]
    if readings < max(min_looks, 2):
        return np.nan
    if memory[at + 2] >= 2.0:
        mean, within, freedom = memory[at] / memory[at + 2], memory[WITHIN], memory[FREEDOM]
    else:  # not yet two looks at this time of the season: as if there were none
        total = memory[SUMS::3].sum()
        mean, freedom = total / readings, readings - 1.0
        within = memory[SUMS + 1 :: 3].sum() - mean * total
    return float(memory[ORIGIN] + mean + deviations * math.sqrt(max(within, 0.0) / freedom))
