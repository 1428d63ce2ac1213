"""Moments of requests within cells of time, from numbers drawn before."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def uniform_moments(
    spacings: NDArray[np.float64],
    counts: NDArray[np.int64],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Sorted uniform moments of each cell: the order statistics that a Poisson process has, given its count.

    spacings: standard exponential numbers, one more than requests for each cell, (sum(counts) + cells,)
    counts: requests of each cell; starts, ends: of the cells, in order, (cells,)
    out: (sum(counts),), written; each cell's moments lie in [start, end)
    """
    drawn = 0
    written = 0
    for cell in range(counts.shape[0]):
        n = counts[cell]
        if n > 0:
            total = 0.0
            for i in range(n + 1):
                total += spacings[drawn + i]
            start, end = starts[cell], ends[cell]
            scale = (end - start) / total
            last = np.nextafter(end, start)
            along = 0.0
            for i in range(n):
                along += spacings[drawn + i]
                out[written + i] = min(start + along * scale, last)
        drawn += n + 1
        written += n
