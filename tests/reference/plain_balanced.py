"""A plain, slow twin of `sim.pool_balanced`: lines served in batches."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import simpy
from plain_replicas import FINISH, START, PlainPool, Replica, Request

from sim.pool import SERVED


class PlainBalanced(PlainPool):
    def __init__(
        self,
        balancing: str,
        *,
        key: int,
        max_batch: int,
        max_wait: float,
        curve: Sequence[float],
        limit: int | None,
        timeout: float,
    ) -> None:
        super().__init__(balancing, key, limit, timeout)
        self.max_batch, self.max_wait, self.curve = max_batch, max_wait, curve

    def ready(self, line: list[Request]) -> bool:
        return len(line) >= self.max_batch or self.env.now >= line[0].arrival + self.max_wait

    def would_start(self, replica: Replica | None, request: Request) -> int:
        if replica is None or replica.serving:
            return 0
        line = [*replica.line, request]
        return min(len(line), self.max_batch) if self.ready(line) else 0

    def somebody_waits(self, replica: Replica | None) -> None:
        if replica is not None:
            self.env.process(self.look(replica, self.env.now))

    def look(self, replica: Replica, time: float) -> Generator[simpy.Event]:
        """Start a batch at this time, if it can."""
        yield self.moment(time, START)
        if replica.serving or not replica.line:
            return
        if not self.ready(replica.line):
            self.env.process(self.look(replica, replica.line[0].arrival + self.max_wait))
            return
        batch = replica.line[: self.max_batch]
        del replica.line[: self.max_batch]
        life, replica.serving, replica.began = replica.life, batch, time
        mean = sum(float(request.work) for request in batch) / len(batch)
        seconds = self.curve[len(batch) - 1] * mean * replica.factor
        for request in batch:
            request.start, request.replica, request.batch = time, replica.number, len(batch)
        yield self.moment(time + seconds, FINISH)
        if replica.life == life:
            for request in batch:
                self.go(request, SERVED)
            replica.serving = []
            replica.busy += self.env.now - replica.began
            self.somebody_waits(replica)
