"""The requests alive in a pool, one record each: request n stands in row n & (rows - 1), rows a power of two.

A request keeps its row from the moment it is offered until its fate has been handed out; then the row is free for a
later one. So memory follows the number of requests alive, and a pool may run for a year of simulated time.

A record and not columns: kernels of pools touch all of a request at once, which is one or two cache lines this way,
and one argument instead of ten.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Records = NDArray[np.void]
"""Structured array; kernels take them as a whole."""

REQUEST: list[tuple[str, Any]] = [
    ("arrival", np.float64),
    ("start", np.float64),  # NaN before it starts, and again when its replica fails
    ("finish", np.float64),  # when it ends or will end; of meaning only where the status is not 0
    ("after", np.int64),  # number of the request behind it in its line, or in the batch it is served in
    ("status", np.int32),  # 0 undecided; > 0 decided, if nothing happens before `finish`; < 0 handed out
    ("replica", np.int32),
    ("batch", np.int32),
    (
        "again",
        np.bool_,
    ),  # whether it has been started before, at a replica that failed: it never loses patience
]
"""Fields that every pool needs; a kind of pool adds what its requests need and what it records."""


@njit(cache=True)
def enter(requests: Records, offered: int, times: NDArray[np.float64], latest: float) -> bool:
    """Write new requests with the numbers from `offered` on; False when times do not ascend from `latest`.

    times: (n,), for which there are rows; what the requests need is written by the caller
    """
    mask = requests.shape[0] - 1
    for i in range(times.shape[0]):
        if not (latest <= times[i] < math.inf):
            return False
        latest = times[i]
        request = requests[(offered + i) & mask]
        request.arrival = latest
        request.start = math.nan
        request.status = 0
        request.replica = -1
        request.batch = 0
        request.again = False
    return True


class Columns(NamedTuple):
    """Fates, each array (n,); see `sim.pool.Served`."""

    number: NDArray[np.int64]
    arrival: NDArray[np.float64]
    start: NDArray[np.float64]
    finish: NDArray[np.float64]
    replica: NDArray[np.int64]
    batch: NDArray[np.int64]
    status: NDArray[np.int64]


@njit(cache=True)
def hand_out(requests: Records, oldest: int, arrived: int, now: float, out: Columns) -> int:
    """Write those of oldest..arrived-1 whose fate is final at `now` and was not handed out; returns how many.

    out: room for arrived - oldest of them; they come in order of their numbers
    """
    number, arrival, start, finish, replica, batch, status = out
    mask = requests.shape[0] - 1
    count = 0
    for n in range(oldest, arrived):
        request = requests[n & mask]
        if request.status > 0 and request.finish <= now:
            number[count] = n
            arrival[count] = request.arrival
            start[count] = request.start
            finish[count] = request.finish
            replica[count] = request.replica
            batch[count] = request.batch
            status[count] = request.status
            request.status = -request.status
            count += 1
    return count


@njit(cache=True)
def first_kept(requests: Records, oldest: int, arrived: int) -> int:
    """Number of the first request in oldest..arrived-1 that was not handed out; `arrived` when all were."""
    mask = requests.shape[0] - 1
    while oldest < arrived and requests[oldest & mask].status < 0:
        oldest += 1
    return oldest
