"""A plain, slow pool of replicas behind a balancer, request by request, to check the kernels against (SimPy).

One process for a request, one for its patience, one for every action of the control plane; nothing is computed before
it happens. What a replica does with its line is said in `plain_balanced` and `plain_sequences`.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from heapq import heappush
from typing import Any

import numpy as np
import simpy

from sim.kernels.sampling import next_uniform, stream
from sim.pool import SERVED, SHED, TIMED_OUT

FINISH, CONTROL, ARRIVAL, START, PATIENCE = 2, 3, 4, 5, 6
"""Order of what happens at the same instant; SimPy's own events come before."""


@dataclass(eq=False)
class Request:
    number: int
    arrival: float
    work: Any
    start: float = math.nan
    first_token: float = math.nan
    finish: float = math.nan
    replica: int = -1
    batch: int = 0
    status: int = 0
    written: int = 0
    again: bool = False


@dataclass(eq=False)
class Replica:
    number: int
    line: list[Request] = field(default_factory=list)
    serving: list[Request] = field(default_factory=list)
    factor: float = 1.0
    at_work: bool = False
    began: float = 0.0
    busy: float = 0.0
    life: int = 0
    """Counts failures: what was begun in an earlier life has no effect."""


class PlainPool:
    def __init__(self, balancing: str, key: int, limit: int | None, timeout: float) -> None:
        self.env = simpy.Environment()
        self.balancing, self.key, self.timeout = balancing, key, timeout
        self.limit = math.inf if limit is None else limit
        self.requests: list[Request] = []
        self.replicas: dict[int, Replica] = {}
        self.up: list[int] = []
        self.front: list[Request] = []
        self.last_turn = -1
        self.restarts = 0

    def moment(self, time: float, order: float) -> simpy.Event:
        """An event at this very time: `timeout(time - now)` would round."""
        event = self.env.event()
        event._ok, event._value = True, None
        heappush(self.env._queue, (time, order, next(self.env._eid), event))
        return event

    def run(
        self, times: Any, work: Any, actions: list[tuple[float, str, tuple[Any, ...]]], until: float
    ) -> None:
        for time, name, arguments in actions:
            self.env.process(self.act(time, name, arguments))
        for number, (time, need) in enumerate(zip(times, work, strict=True)):
            self.env.process(self.come(Request(number, float(time), need)))
        queue = self.env._queue
        while queue and (queue[0][0], queue[0][1]) <= (until, FINISH):
            self.env.step()
        self.now = until

    def act(self, time: float, name: str, arguments: tuple[Any, ...]) -> Generator[simpy.Event]:
        yield self.moment(time, CONTROL)
        getattr(self, name)(*arguments)

    # --- requests ---

    def come(self, request: Request) -> Generator[simpy.Event]:
        self.requests.append(request)
        yield self.moment(request.arrival, ARRIVAL)
        if self.impossible(request):
            self.go(request, SHED)
            return
        replica = self.choose(request, 0)
        line = self.front if replica is None else replica.line
        if len(line) - self.would_start(replica, request) >= self.limit:
            self.go(request, SHED)
            return
        self.join(request, replica)

    def join(self, request: Request, replica: Replica | None) -> None:
        line = self.front if replica is None else replica.line
        line.append(request)
        line.sort(key=lambda waiting: waiting.number)
        self.env.process(self.lose_patience(request, line))
        self.somebody_waits(replica)

    def lose_patience(self, request: Request, line: list[Request]) -> Generator[simpy.Event]:
        if self.timeout < math.inf and not request.again:
            yield self.moment(request.arrival + self.timeout, PATIENCE)
            if request in line and not request.again:
                line.remove(request)
                self.go(request, TIMED_OUT)
                for replica in self.replicas.values():
                    if replica.line is line:
                        self.somebody_waits(replica)

    def go(self, request: Request, status: int) -> None:
        request.status, request.finish = status, self.env.now

    def choose(self, request: Request, draw: int) -> Replica | None:
        """Replica to whose line a request goes; None for the line before all."""
        if not self.up or self.balancing == "central":
            return None
        if self.balancing == "round_robin":
            self.last_turn = min((n for n in self.up if n > self.last_turn), default=min(self.up))
            return self.replicas[self.last_turn]
        up = [self.replicas[number] for number in sorted(self.up)]
        if self.balancing == "shortest_queue":
            return min(up, key=self.load)
        u, state = next_uniform(np.uint64(stream(np.uint64(self.key), request.number, draw)))
        first = up.pop(int(u * len(up)))
        if self.balancing == "random" or not up:
            return first
        u, state = next_uniform(np.uint64(state))
        second = up[int(u * len(up))]
        return second if self.load(second) < self.load(first) else first

    @staticmethod
    def load(replica: Replica) -> int:
        return len(replica.line) + len(replica.serving)

    # --- control ---

    def add(self, number: int) -> None:
        replica = self.replicas.setdefault(number, Replica(number))
        replica.factor = 1.0
        self.up.append(number)
        if self.balancing != "central":
            waiting, self.front[:] = list(self.front), []
            for request in waiting:
                self.join(request, self.choose(request, 0))
        self.somebody_waits(replica)

    def drain(self, number: int) -> None:
        self.up.remove(number)

    def fail(self, number: int) -> None:
        replica = self.replicas[number]
        if number in self.up:
            self.up.remove(number)
        if replica.serving:
            replica.busy += self.env.now - replica.began
        self.restarts += len(replica.serving)
        moved = sorted(replica.serving + replica.line, key=lambda request: request.number)
        for request in replica.serving:
            request.start = request.first_token = math.nan
            request.replica, request.batch, request.written, request.again = -1, 0, 0, True
        replica.line.clear()
        replica.serving, replica.at_work = [], False
        replica.life += 1
        for request in moved:
            self.join(request, self.choose(request, number + 1))

    def slow(self, number: int, factor: float) -> None:
        self.replicas[number].factor = factor

    # --- what a kind of pool says ---

    def impossible(self, request: Request) -> bool:
        return False

    def would_start(self, replica: Replica | None, request: Request) -> int:
        """Requests, this one included, that would start at this instant if it joined."""
        raise NotImplementedError

    def somebody_waits(self, replica: Replica | None) -> None:
        """A line has changed, before its replica or (None) before all: start what can, after all arrivals."""
        raise NotImplementedError

    # --- results ---

    def waiting(self) -> int:
        return len(self.front) + sum(len(replica.line) for replica in self.replicas.values())

    def in_service(self) -> int:
        return sum(len(replica.serving) for replica in self.replicas.values())

    def busy(self) -> dict[int, float]:
        return {
            number: replica.busy + (self.now - replica.began if replica.serving else 0.0)
            for number, replica in self.replicas.items()
        }

    def final(self) -> list[Request]:
        """Requests whose fate is final, by number."""
        return [request for request in self.requests if request.status in (SERVED, SHED, TIMED_OUT)]
