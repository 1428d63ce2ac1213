"""What pools have in common whose replicas come and go behind a balancer: which are up, the moment, the columns."""

from __future__ import annotations

import bisect
import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from sim.kernels.request_table import Records
from sim.pool import Array, Served
from sim.request_window import RequestWindow

BALANCING = ("random", "round_robin", "shortest_queue", "power_of_two")
"""How a balancer chooses, in the order of the kernels' constants."""

NO_LIMIT = 2**62
"""Queue limit that no queue reaches."""


class ReplicaPool:
    """Bookkeeping of a `sim.pool.Pool`; a subclass says what its kernel is, and what state a replica has.

    Replicas are numbered from 0; numbers should be used again, as the state is as long as the highest one.
    """

    _kernel: ClassVar[Any]
    """Module with `advance`, `admit_waiting`, `fail` and `Balancer`."""
    _replica: ClassVar[np.dtype[Any]]
    """Record of a replica; `moment`, `free`, `began`, `serving`, `factor` and `busy` among the fields."""
    _rules: Any
    """What the kernel takes as rules."""

    def __init__(self, window: RequestWindow) -> None:
        self._window = window
        self._replicas = self._new(1)
        self._up: list[int] = []
        self._known: set[int] = set()
        self._turn = np.array([0, 0])
        self._tell_balancer()
        self.now = 0.0
        """Moment advanced to, seconds."""
        self.restarts = 0
        """Requests that were in service when their replica failed, and started anew."""

    def _new(self, count: int) -> Records:
        replicas: Records = np.zeros(count, dtype=self._replica)
        replicas["moment"] = replicas["free"] = -math.inf
        replicas["factor"] = 1.0
        return replicas

    def _state(self) -> tuple[Any, ...]:
        return self._window.table, self._replicas, self._balancer, self._rules

    def offer(self, times: ArrayLike, work: ArrayLike) -> None:
        """Requests that will come: times (n,) sorted, none before those offered or the moment advanced to."""
        self._window.offer(times, work, self.now)

    def advance(self, until: float) -> None:
        """Decide all that happens before `until`, and what finishes then."""
        if not until >= self.now:
            raise ValueError(f"cannot advance to {until}: already at {self.now}")
        window = self._window
        window.arrived = self._kernel.advance(*self._state(), window.arrived, window.offered, float(until))
        self.now = float(until)

    def add(self, replica: int, at: float) -> None:
        """A replica takes requests from `at` on, also one that was drained or has failed."""
        if replica < 0 or replica in self._up:
            raise ValueError(f"cannot add replica {replica}: those up are {self._up}")
        self.advance(at)
        self._make_room(replica)
        bisect.insort(self._up, replica)
        self._known.add(replica)
        state = self._replicas[replica + 1]
        state["free"], state["factor"] = max(state["free"], at), 1.0
        self._tell_balancer()
        if len(self._up) == 1:
            self._kernel.admit_waiting(*self._state(), float(at))

    def drain(self, replica: int, at: float) -> None:
        """A replica takes no more requests from `at` on, and finishes what it has."""
        if replica not in self._up:
            raise ValueError(f"cannot drain replica {replica}: those up are {self._up}")
        self.advance(at)
        self._up.remove(replica)
        self._tell_balancer()

    def fail(self, replica: int, at: float) -> None:
        """A replica, up or drained, is gone at `at`; what it was doing is done anew by others."""
        if replica not in self._known:
            raise ValueError(f"cannot fail replica {replica}: those there are {sorted(self._known)}")
        self.advance(at)
        self._known.remove(replica)
        if replica in self._up:
            self._up.remove(replica)
            self._tell_balancer()
        self.restarts += self._kernel.fail(*self._state(), replica + 1, float(at))

    def slow(self, replica: int, factor: float) -> None:
        """What a replica starts from now on takes `factor` times as long (> 0), until it is added anew."""
        if replica not in self._known:
            raise ValueError(f"cannot slow replica {replica}: those there are {sorted(self._known)}")
        if not 0.0 < factor < math.inf:
            raise ValueError(f"factor must be finite and > 0, got {factor}")
        self._replicas["factor"][replica + 1] = factor

    def waiting(self) -> int:
        """Requests that have come and not started, at the moment advanced to."""
        return int(self._replicas["length"].sum())

    def in_service(self) -> int:
        """Requests that are being served, at the moment advanced to."""
        return int(self._replicas["serving"].sum())

    def at_work(self, replica: int) -> bool:
        """Whether a replica serves requests or has some waiting in its own line, at the moment advanced to."""
        if not 0 <= replica < len(self._replicas) - 1:
            return False
        state = self._replicas[replica + 1]
        return bool(state["serving"] > 0 or state["length"] > 0)

    def busy(self) -> Array:
        """Seconds that each replica (by number) has worked up to the moment advanced to, lost work included."""
        state = self._replicas[1:]
        seconds: Array = state["busy"].copy()
        at_work = state["serving"] > 0
        seconds[at_work] += self.now - state["began"][at_work]
        return seconds

    def worked(self) -> float:
        """Seconds that all replicas together have worked up to the moment advanced to."""
        return float(self.busy().sum())

    def collect(self) -> Served:
        """Requests whose fate became final since the last call, in order of their numbers."""
        return Served(**self._window.hand_out(self.now))

    def _make_room(self, replica: int) -> None:
        old = self._replicas
        if replica + 1 >= len(old):
            self._replicas = self._new(replica + 2)
            self._replicas[: len(old)] = old

    def _tell_balancer(self) -> None:
        """Pass on which replicas are up; next is the turn of the first number after the one that had it last."""
        up = np.array(self._up, dtype=np.int64) + 1
        self._turn[0] = np.searchsorted(up, self._turn[1], side="right")
        self._balancer = self._kernel.Balancer(up=up, turn=self._turn)


def at_least(name: str, value: float, lowest: float) -> float:
    """A number of the user that may not be lower; raises ValueError that names it."""
    if not value >= lowest:
        raise ValueError(f"{name} must be >= {lowest:g}, got {value}")
    return value


def place_of(name: str, choice: str, choices: tuple[str, ...]) -> int:
    """Place of a word among those that are possible; raises ValueError that lists these."""
    if choice not in choices:
        raise ValueError(f"unknown {name} {choice!r}; one of: {', '.join(choices)}")
    return choices.index(choice)
