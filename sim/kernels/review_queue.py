"""A queue of cases before several reviewers: two ranks, first come, first served in each, and cases that leave.

Times are of one clock on which reviewers never stop. Nobody is interrupted. A case leaves when nobody has taken it
up by its own moment; within a rank these moments come in the order of the arrivals.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True)
def _sift_down(free: Floats) -> None:
    """Restore the heap of times at which reviewers are free after its first has grown."""
    place, time = 0, free[0]
    while True:
        child = 2 * place + 1
        if child >= free.shape[0]:
            break
        if child + 1 < free.shape[0] and free[child + 1] < free[child]:
            child += 1
        if free[child] >= time:
            break
        free[place] = free[child]
        place = child
    free[place] = time


@njit(cache=True)
def _next_of_rank(urgent: NDArray[np.bool_], rank: bool, place: int) -> int:
    """The first case of a rank from `place` on; the number of cases when there is none."""
    while place < urgent.shape[0] and urgent[place] != rank:
        place += 1
    return place


@njit(cache=True)
def start_cases(
    arrival: Floats,
    work: Floats,
    leave: Floats,
    urgent: NDArray[np.bool_],
    reviewers: int,
    until: float,
    start: Floats,
) -> None:
    """Write the start of each case that is taken up before `until` into `start`; NaN for the others.

    arrival: sorted; work: time that it takes; leave: last moment at which it is still taken up, infinity for never;
    urgent: before all others that wait; all (cases,). reviewers: >= 1
    """
    cases = arrival.shape[0]
    free = np.zeros(reviewers)
    start[:] = np.nan
    first, second = _next_of_rank(urgent, True, 0), _next_of_rank(urgent, False, 0)
    while first < cases or second < cases:
        next_first = arrival[first] if first < cases else np.inf
        next_second = arrival[second] if second < cases else np.inf
        now = max(free[0], min(next_first, next_second))
        if now >= until:
            return
        rank = next_first <= now
        case = first if rank else second
        if now <= leave[case]:
            start[case] = now
            free[0] = now + work[case]
            _sift_down(free)
        if rank:
            first = _next_of_rank(urgent, True, first + 1)
        else:
            second = _next_of_rank(urgent, False, second + 1)
