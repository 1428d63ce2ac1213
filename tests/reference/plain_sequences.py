"""A plain, slow twin of `sim.pool_sequences`: token by token."""

from __future__ import annotations

from collections.abc import Generator

import simpy
from plain_replicas import FINISH, START, PlainPool, Replica, Request

from sim.pool import SERVED
from sim.pool_sequences import Iteration


def full_length(request: Request) -> int:
    tokens_in, tokens_out = request.work
    return int(tokens_in) + int(tokens_out)


class PlainSequences(PlainPool):
    def __init__(
        self, iteration: Iteration, balancing: str, *, key: int, limit: int | None, timeout: float
    ) -> None:
        super().__init__(balancing, key, limit, timeout)
        self.iteration = iteration

    def impossible(self, request: Request) -> bool:
        return full_length(request) > self.iteration.kv_tokens

    def fitting(self, replica: Replica, line: list[Request]) -> int:
        """How many of a line a replica can seat."""
        seated = list(replica.serving)
        for request in line:
            seated.append(request)
            too_many = len(seated) > self.iteration.max_sequences
            if too_many or sum(map(full_length, seated)) > self.iteration.kv_tokens:
                return len(seated) - 1 - len(replica.serving)
        return len(line)

    def takers(self, replica: Replica | None) -> list[Replica]:
        """Replicas that take from the line of a replica, or from the one before all."""
        if replica is not None:
            return [replica]
        return [self.replicas[number] for number in sorted(self.up)] if self.balancing == "central" else []

    def source(self, replica: Replica) -> list[Request]:
        if self.balancing == "central":
            return self.front if replica.number in self.up else []
        return replica.line

    def would_start(self, replica: Replica | None, request: Request) -> int:
        line = [*(self.front if replica is None else replica.line), request]
        started = 0
        for taker in self.takers(replica):
            if not taker.at_work:
                started += self.fitting(taker, line[started:])
        return started

    def somebody_waits(self, replica: Replica | None) -> None:
        for taker in self.takers(replica if self.balancing != "central" else None):
            if not taker.at_work:
                self.env.process(self.iterate(taker))

    def iterate(self, replica: Replica) -> Generator[simpy.Event]:
        """One iteration, from this instant on, if there is something to do."""
        yield self.moment(self.env.now, START + replica.number / 1000)
        if replica.at_work:
            return
        line = self.source(replica)
        admitted = line[: self.fitting(replica, line)]
        del line[: len(admitted)]
        if not replica.serving and not admitted:
            return
        if not replica.serving:
            replica.began = self.env.now
        replica.serving.extend(admitted)
        life, replica.at_work = replica.life, True
        prompts = sum(int(request.work[0]) for request in admitted)
        cached = sum(int(request.work[0]) + request.written for request in replica.serving)
        seconds = self.iteration.seconds(len(replica.serving), cached, prompts)
        end = self.env.now + seconds * replica.factor
        for request in admitted:
            request.start, request.replica, request.batch = self.env.now, replica.number, len(replica.serving)
        yield self.moment(end, FINISH)
        if replica.life != life:
            return
        replica.at_work = False
        for request in list(replica.serving):
            request.written += 1
            if request.written == 1:
                request.first_token = end
            if request.written == int(request.work[1]):
                replica.serving.remove(request)
                self.go(request, SERVED)
        if not replica.serving:
            replica.busy += end - replica.began
        self.env.process(self.iterate(replica))
