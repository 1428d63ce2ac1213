"""Counting latencies in bins of equal ratio, and requests by interval, so that a year of requests takes little memory.

A bin is 0.1 % wide, so a quantile read from the bins is within 0.05 % of the exact one.
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
_PER_LOG = 1.0 / math.log(RATIO)


@njit(cache=True)
def count_latencies(latency: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Add latencies (n,) in seconds, >= 0, to counts (BINS,), in place. Returns their sum and the largest."""
    total, largest = 0.0, 0.0
    for value in latency:
        total += value
        largest = max(largest, value)
        place = int((math.log(max(value, LOWEST) / LOWEST)) * _PER_LOG)
        counts[min(place, BINS - 1)] += 1
    return total, largest


@njit(cache=True)
def count_intervals(
    arrival: NDArray[np.float64],
    latency: NDArray[np.float64],
    lost: NDArray[np.bool_],
    interval: float,
    limit: float,
    table: NDArray[np.float64],
) -> None:
    """Add requests to table (intervals, 5) by the interval of their arrival, in place.

    Columns: requests, requests that were lost, served ones slower than `limit` (seconds), sum and largest of latencies.
    arrival, interval: seconds; what comes after the last interval counts in it.
    """
    last = len(table) - 1
    for request in range(len(arrival)):
        place = min(int(arrival[request] / interval), last)
        table[place, 0] += 1.0
        if lost[request]:
            table[place, 1] += 1.0
            continue
        value = latency[request]
        if value > limit:
            table[place, 2] += 1.0
        table[place, 3] += value
        table[place, 4] = max(table[place, 4], value)


@njit(cache=True)
def fates(
    status: NDArray[np.int64],
    arrival: NDArray[np.float64],
    start: NDArray[np.float64],
    finish: NDArray[np.float64],
    batch: NDArray[np.int64],
    sizes: NDArray[np.float64],
) -> tuple[int, int, int, float, float]:
    """How many requests were served, refused (2) and timed out (3), and seconds waited and in service of those served.

    All (n,), statuses as in `sim.pool`, served is 1. sizes: (largest + 1,), batches that were served by their size,
    added to in place; larger ones count as the largest.
    """
    served, shed, late = 0, 0, 0
    waited, in_service = 0.0, 0.0
    for request in range(len(status)):
        if status[request] == 1:
            served += 1
            waited += start[request] - arrival[request]
            in_service += finish[request] - start[request]
            sizes[min(batch[request], len(sizes) - 1)] += 1.0 / batch[request]
        elif status[request] == 2:
            shed += 1
        else:
            late += 1
    return served, shed, late, waited, in_service
