"""Requests at gamma distances in operational time, which runs at the rate of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Stream = Callable[[str], np.random.Generator]
CHUNK = 65_536


def operational_moments(total: float, cv: float, rng: np.random.Generator) -> Iterator[Array]:
    """Moments in (0, total] of a stationary renewal process of rate 1, in sorted blocks.

    cv: coefficient of variation of the gamma distances, > 0. The process is in equilibrium at 0: the first distance is
    what is left of one that holds that moment, and so the expected number is `total` from the start.

    >>> sum(len(block) for block in operational_moments(1000.0, 0.1, np.random.default_rng(0)))
    1000
    """
    shape, scale = cv**-2, cv**2
    # A distance that holds a given moment is drawn by its length: gamma of one more shape.
    along = float(rng.standard_gamma(shape + 1.0) * scale * rng.random())
    while along <= total:
        wanted = int(min(total - along, CHUNK - 1.0)) + 1
        moments = along + np.concatenate(([0.0], np.cumsum(rng.standard_gamma(shape, wanted) * scale)))
        along = float(moments[-1])
        inside = moments[:-1]
        yield inside if along <= total else inside[inside <= total]


def segments(windows: int, window: float) -> Iterator[tuple[int, int, int]]:
    """Stretches of windows that are drawn on their own: (number, first window, first window after it).

    A stretch is a day, or a window where that is longer, so that the requests of a day are the same whether the days
    before it were drawn or not.

    >>> list(segments(5, 0.5))
    [(0, 0, 2), (1, 2, 4), (2, 4, 5)]
    """
    length = max(round(1.0 / window), 1)
    for number, first in enumerate(range(0, windows, length)):
        yield number, first, min(first + length, windows)


def renewal_counts(expected: Array, window: float, cv: float, stream: Stream) -> Array:
    """Requests of each window, (windows,); expected: their means; window: its length in days."""
    counts = np.zeros(len(expected))
    for number, first, last in segments(len(expected), window):
        edges = np.cumsum(expected[first:last])
        if not edges[-1] > 0.0:
            continue
        for moments in operational_moments(float(edges[-1]), cv, stream(f"arrivals {number}")):
            inside = np.minimum(np.searchsorted(edges, moments), last - first - 1)
            counts[first:last] += np.bincount(inside, minlength=last - first)
    return counts
