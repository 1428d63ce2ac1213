"""A plain, slow pool of replicas with one queue, to check the kernels against: SimPy, one process a request.

Nothing is computed ahead. A request arrives, is refused or waits, and leaves when its patience ends first; replicas
come, drain, slow down and fail when they are told to; at the end of each instant at which something has happened
the queue is looked at once, and batches are started while there are a free replica and a batch to start.

Of one instant, in this order: services finish; replicas are added; they drain, slow down or fail; requests arrive;
batches start; requests leave.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

SERVED, SHED, TIMED_OUT = 1, 2, 3
FINISH, ADD, CHANGE, ARRIVE, START, LEAVE = range(10, 16)
"""Places in an instant; SimPy's own events (0 and 1) come before all of them."""


@dataclass
class PlainRequest:
    number: int
    arrival: float
    work: float
    started_once: bool = False
    started: Any = None
    start: float = math.nan
    finish: float = math.nan
    replica: int = -1
    batch: int = 0
    status: int = 0

    def row(self) -> tuple[float, ...]:
        return self.number, self.arrival, self.start, self.finish, self.replica, self.batch, self.status


@dataclass
class PlainReplica:
    number: int
    free_since: float
    takes: bool = True
    slowness: float = 1.0
    process: Any = None
    batch: list[PlainRequest] = field(default_factory=list)


class PlainPool:
    """One queue; the settings are those of `sim.pool_central.CentralPool`, a limit of None is none.

    commands: (time, name, replica or arguments) with the names add, drain, fail and slow
    """

    def __init__(
        self,
        times: Sequence[float],
        work: Sequence[float],
        commands: Sequence[tuple[Any, ...]],
        *,
        max_batch: int = 1,
        max_wait: float = 0.0,
        curve: Sequence[float] | None = None,
        limit: int | None = None,
        timeout: float = math.inf,
        discipline: str = "fifo",
    ) -> None:
        self.env = simpy.Environment()
        self.max_batch, self.max_wait, self.limit, self.timeout = max_batch, max_wait, limit, timeout
        self.curve = list(curve) if curve is not None else [1.0] * max_batch
        self.discipline = discipline
        self.waiting: list[PlainRequest] = []
        self.replicas: dict[int, PlainReplica] = {}
        self.busy: dict[int, float] = {}
        self.restarts = 0
        self.settling_at = -1.0
        self.requests = [PlainRequest(i, t, w) for i, (t, w) in enumerate(zip(times, work, strict=True))]
        for request in self.requests:
            self.env.process(self.request(request))
        for command in commands:
            self.env.process(self.command(*command))

    def run(self, until: float | None = None) -> None:
        self.env.run(until)

    def moment(self, time: float, place: int) -> simpy.Event:
        """An event at this very time (a delay would be rounded), at its place in the instant."""
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        heapq.heappush(self.env._queue, (time, place, next(self.env._eid), event))
        return event

    # --- requests ---

    def request(self, request: PlainRequest) -> Generator[Any, Any, None]:
        yield self.moment(request.arrival, ARRIVE)
        if self.is_full():
            request.status, request.finish = SHED, self.env.now
            return
        self.waiting.append(request)
        self.look_at_queue(self.env.now)
        if self.max_wait > 0:
            self.look_at_queue(self.env.now + self.max_wait)
        if self.timeout < math.inf:
            request.started = self.env.event()
            yield request.started | self.moment(self.env.now + self.timeout, LEAVE)
            if not request.started_once:
                self.waiting.remove(request)
                request.status, request.finish = TIMED_OUT, self.env.now

    def is_full(self) -> bool:
        """Would more than the limit wait, besides the full batches (any, if none waits) that start right now?"""
        if self.limit is None:
            return False
        batches = sum(self.is_free(replica) for replica in self.replicas.values())
        remaining = len(self.waiting) + 1
        while batches > 0 and (remaining >= self.max_batch or (self.max_wait == 0 and remaining > 0)):
            remaining -= min(remaining, self.max_batch)
            batches -= 1
        return remaining > self.limit

    # --- replicas ---

    def is_free(self, replica: PlainReplica) -> bool:
        return replica.takes and replica.process is None and replica.free_since <= self.env.now

    def look_at_queue(self, time: float) -> None:
        if time > self.env.now or self.settling_at != self.env.now:
            self.env.process(self.settle(time))
            if time == self.env.now:
                self.settling_at = time

    def settle(self, time: float) -> Generator[Any, Any, None]:
        yield self.moment(time, START)
        self.settling_at = -1.0
        while True:
            free = [replica for replica in self.replicas.values() if self.is_free(replica)]
            if not free or not self.waiting:
                return
            oldest = min(request.arrival for request in self.waiting)
            if len(self.waiting) < self.max_batch and oldest + self.max_wait > time:
                return
            replica = min(free, key=lambda replica: (replica.free_since, replica.number))
            replica.batch = sorted(self.waiting, key=self.rank)[: self.max_batch]
            for request in replica.batch:
                self.waiting.remove(request)
                request.started_once = True
                if request.started is not None and not request.started.triggered:
                    request.started.succeed()
            replica.process = self.env.process(self.serve(replica))

    def rank(self, request: PlainRequest) -> tuple[float, ...]:
        if request.started_once:
            return (-math.inf, request.number)
        first = {"fifo": 0.0, "lifo": -request.number, "shortest_first": request.work}[self.discipline]
        return (first, request.number)

    def serve(self, replica: PlainReplica) -> Generator[Any, Any, None]:
        batch, begun = replica.batch, self.env.now
        work = 0.0
        for request in batch:
            work += request.work
        seconds = self.curve[len(batch) - 1] * (work / len(batch)) * replica.slowness
        try:
            yield self.moment(begun + seconds, FINISH)
        except simpy.Interrupt:
            self.waiting.extend(batch)
            self.restarts += len(batch)
        else:
            for request in batch:
                request.start, request.finish, request.status = begun, self.env.now, SERVED
                request.replica, request.batch = replica.number, len(batch)
        self.busy[replica.number] += self.env.now - begun
        replica.process, replica.batch, replica.free_since = None, [], self.env.now
        self.look_at_queue(self.env.now)

    def command(self, time: float, name: str, number: int, factor: float = 1.0) -> Generator[Any, Any, None]:
        yield self.moment(time, ADD if name == "add" else CHANGE)
        if name == "add":
            replica = self.replicas.setdefault(number, PlainReplica(number, time))
            replica.takes, replica.slowness = True, 1.0
            if replica.process is None:
                replica.free_since = time
            self.busy.setdefault(number, 0.0)
            self.look_at_queue(time)
        elif name == "slow":
            self.replicas[number].slowness = factor
        else:
            replica = self.replicas[number]
            replica.takes = False
            if name == "fail" and replica.process is not None:
                replica.process.interrupt()
