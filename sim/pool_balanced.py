"""A pool in which every replica has a line of its own and a balancer chooses among them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from sim.kernels import queue_balanced
from sim.kernels.queue_balanced import REPLICA, Rules
from sim.pool_replicas import BALANCING, NO_LIMIT, ReplicaPool, at_least, place_of
from sim.request_window import RequestWindow


class BalancedPool(ReplicaPool):
    """Replicas with a line each, first come, first served, in batches; a `sim.pool.Pool`.

    balancing: `random`; `round_robin` (the next number that is up, cyclic; a refused request uses up a turn);
        `shortest_queue` (fewest waiting and in service, lowest number on ties); `power_of_two` (the shorter of two
        different replicas drawn at random, the first drawn on ties)
    key: of the balancer's draws, which are a function of it, of the number of the request and, for one that is
        assigned anew, of the replica that failed
    max_batch, max_wait: a free replica starts as soon as `max_batch` wait in its line or the oldest of them has
        waited for `max_wait` seconds, with all that wait up to `max_batch`; defaults: one by one
    curve: seconds of a batch of 1, 2, ..., max_batch requests of work 1; default 1 for every size. A batch takes
        curve[size] x mean work of its members x the factor of a replica that is slow
    limit: a request is refused when more than `limit` would wait at its replica, not counting those that start at
        the instant of its arrival; default: never. It is not applied to requests that were admitted before.
    timeout: seconds from its arrival after which a request leaves that was never started, unless it starts at that
        instant

    A line is in order of arrival, also for requests that came from a replica that failed: these are not refused and
    keep their arrival time. While no replica is up, requests wait in one line before the balancer, with the same
    limit and time-out, and go to the first replica that is added.

    `offer` takes work (n,) or (n, 1). `restarts` counts requests that were in service when their replica failed.
    Raises ValueError for arguments outside these ranges.

    >>> pool = BalancedPool("round_robin", limit=1)
    >>> for number in (0, 1):
    ...     pool.add(number, at=0.0)
    >>> pool.offer([0.0, 1.0, 2.0, 3.0, 4.0], [9.0, 1.0, 9.0, 9.0, 9.0])
    >>> pool.advance(30.0)
    >>> served = pool.collect()
    >>> served.replica, served.start, served.status  # the fifth would be the second to wait at replica 0
    (array([ 0,  1,  0,  1, -1]), array([ 0.,  1.,  9.,  3., nan]), array([1, 1, 1, 1, 2]))
    """

    _kernel: ClassVar[Any] = queue_balanced
    _replica: ClassVar[np.dtype[Any]] = REPLICA

    def __init__(
        self,
        balancing: str,
        *,
        key: int = 0,
        max_batch: int = 1,
        max_wait: float = 0.0,
        curve: ArrayLike | None = None,
        limit: int | None = None,
        timeout: float = math.inf,
    ) -> None:
        super().__init__(RequestWindow(needs=("work",)))
        at_least("max_batch", max_batch, 1)
        seconds = np.ones(max_batch) if curve is None else np.array(curve, dtype=np.float64)
        if seconds.shape != (max_batch,) or not np.all((seconds >= 0.0) & np.isfinite(seconds)):
            raise ValueError(f"curve must have max_batch = {max_batch} finite seconds >= 0, got {curve!r}")
        self._rules = Rules(
            balancing=place_of("balancing", balancing, BALANCING),
            key=np.uint64(key),
            max_batch=int(max_batch),
            max_wait=float(at_least("max_wait", max_wait, 0.0)),
            curve=seconds,
            limit=NO_LIMIT if limit is None else int(at_least("limit", limit, 0)),
            timeout=float(at_least("timeout", timeout, 0.0)),
        )
