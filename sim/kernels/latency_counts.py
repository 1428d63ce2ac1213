"""Counting latencies in bins of equal ratio, and requests by interval, so that a year of requests takes little memory.

A bin is 0.1 % wide, so a quantile read from the bins is within 0.05 % of the exact one. Sums carry what rounding lost
(Neumaier 1974), so that the order in which requests are counted, which depends on who looks when, does not show.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

LOWEST = 1e-7
"""Seconds; what is quicker counts as this."""
RATIO = 1.001
BINS = math.ceil(math.log(1e9 / LOWEST) / math.log(RATIO))
"""Up to 30 years."""
_LOWEST = math.log(LOWEST)
_PER_LOG = 1.0 / math.log(RATIO)


@njit(cache=True)
def _sum(total: float, lost: float, value: float) -> tuple[float, float]:
    """Add a value to a sum that is total + lost."""
    new = total + value
    if abs(total) >= abs(value):
        return new, lost + ((total - new) + value)
    return new, lost + ((value - new) + total)


@njit(cache=True)
def count_latencies(
    latency: NDArray[np.float64],
    logarithm: NDArray[np.float64],
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> float:
    """Add latencies (n,) in seconds, >= 0, to counts (BINS,), and their sum to sums (2,), in place.

    logarithm: natural ones of the latencies, (n,), which numpy takes many times as fast. sums: the sum, and what
    rounding took from it. Returns the largest, 0 when there is none.
    """
    largest = 0.0
    total, lost = sums[0], sums[1]
    for request in range(len(latency)):
        value = latency[request]
        total, lost = _sum(total, lost, value)
        largest = max(largest, value)
        place = int(max(logarithm[request] - _LOWEST, 0.0) * _PER_LOG)
        counts[min(place, BINS - 1)] += 1
    sums[0], sums[1] = total, lost
    return largest


@njit(cache=True)
def count_intervals(
    arrival: NDArray[np.float64],
    latency: NDArray[np.float64],
    lost: NDArray[np.bool_],
    interval: float,
    limit: float,
    table: NDArray[np.float64],
) -> None:
    """Add requests to table (intervals, 6) by the interval of their arrival, in place.

    Columns: requests, requests that were lost, served ones slower than `limit` (seconds), sum and largest of latencies,
    what rounding took from the sum. arrival, interval: seconds; what comes after the last interval counts in it.
    """
    last = len(table) - 1
    for request in range(len(arrival)):
        row = table[min(int(arrival[request] / interval), last)]
        row[0] += 1.0
        if lost[request]:
            row[1] += 1.0
            continue
        value = latency[request]
        if value > limit:
            row[2] += 1.0
        row[3], row[5] = _sum(row[3], row[5], value)
        row[4] = max(row[4], value)


@njit(cache=True)
def fates(
    status: NDArray[np.int64],
    arrival: NDArray[np.float64],
    start: NDArray[np.float64],
    finish: NDArray[np.float64],
    batch: NDArray[np.int64],
    counts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Count how requests ended; columns (n,), statuses as in `sim.pool`: 1 served, 2 refused, 3 timed out.

    Added to, in place: counts (4,), requests by status; sizes (largest + 1,), served ones by the size of their batch,
    larger ones as the largest; sums (2, 2), seconds that the served ones waited and were in service, each with what
    rounding took from it.
    """
    waited, waited_lost, served, served_lost = sums[0, 0], sums[0, 1], sums[1, 0], sums[1, 1]
    largest = len(sizes) - 1
    for request in range(len(status)):
        counts[status[request]] += 1
        if status[request] == 1:
            waited, waited_lost = _sum(waited, waited_lost, start[request] - arrival[request])
            served, served_lost = _sum(served, served_lost, finish[request] - start[request])
            sizes[min(batch[request], largest)] += 1
    sums[0, 0], sums[0, 1], sums[1, 0], sums[1, 1] = waited, waited_lost, served, served_lost
