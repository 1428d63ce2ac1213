"""What the control plane of a fleet asks of a pool of replicas: the contract of the request plane.

Times are seconds from the start of the run. Between two events of the control plane a pool is advanced in one call of
a kernel; nothing is decided later than asked, so that replicas may come and go in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

SERVED, SHED, TIMED_OUT = 1, 2, 3
"""How a request ended: answered, refused at its arrival, or gone after it had waited too long."""


@dataclass(frozen=True)
class Served:
    """Requests whose fate is final, one row each, in columns of the same length."""

    number: Integers
    """Place in the order in which requests were offered, from 0."""
    arrival: Array
    start: Array
    """Seconds; NaN for those that never started."""
    finish: Array
    """Seconds; when it was answered, refused, or left."""
    replica: Integers
    """-1 for those that never started."""
    batch: Integers
    """Requests that were served together with it, itself included; 0 for those that never started."""
    status: Integers

    def __len__(self) -> int:
        return len(self.number)


class Pool(Protocol):
    """Replicas that serve requests from one queue, or from one each."""

    restarts: int
    """Requests that were taken from a failed replica and served anew."""

    def offer(self, times: Array, work: Array) -> None:
        """Requests that will come: times (n,) sorted, none before those offered earlier; work (n,) or (n, 2)."""

    def advance(self, until: float) -> None:
        """Decide all that happens before `until`, and nothing that happens later."""

    def add(self, replica: int, at: float) -> None:
        """A replica takes requests from `at` on, which is not before the moment advanced to."""

    def drain(self, replica: int, at: float) -> None:
        """A replica takes no more requests, and finishes what it does."""

    def fail(self, replica: int, at: float) -> None:
        """A replica is gone; what it was doing goes back to the head of the queue."""

    def slow(self, replica: int, factor: float) -> None:
        """What a replica starts from the moment advanced to on takes `factor` times as long."""

    def waiting(self) -> int:
        """Requests that have come and not started, at the moment advanced to."""

    def in_service(self) -> int:
        """Requests that are being served, at the moment advanced to."""

    def at_work(self, replica: int) -> bool:
        """Whether a replica has something to do at the moment advanced to, also one that takes no more requests."""

    def busy(self) -> Array:
        """Seconds that each replica (by number) has worked up to the moment advanced to."""

    def worked(self) -> float:
        """Seconds that all replicas together have worked up to the moment advanced to."""

    def collect(self) -> Served:
        """Requests whose fate became final since the last call."""
