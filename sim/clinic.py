"""A clinic: people with one queue before them, ordered by rank, who work in their hours and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any, NamedTuple

import simpy

from scenarios.working_hours import WorkingHours
from sim.working_time import work_through

Process = Generator[simpy.Event, Any, None]


class Task(NamedTuple):
    """Something that waits for a person; tasks are taken by rank, and by number within a rank."""

    rank: int
    number: int
    name: str
    length: float
    """Days of work."""
    done: Callable[[str, float], None]
    """Told who did it and when it was taken up (days), as it ends."""


class Clinic:
    """Some people and their queue. Whoever is free in working hours takes the first task, and finishes it.

    log: told person, task, start and end (days) of each stretch of work, as it ends.
    """

    def __init__(
        self,
        env: simpy.Environment,
        people: int,
        hours: WorkingHours,
        log: Callable[[str, str, float, float], None],
    ) -> None:
        self.env, self.people, self.hours, self.log = env, people, hours, log
        self.queue: list[Task] = []
        self._asked = 0
        self._called = env.event()

    def start(self) -> None:
        """People come to work."""
        for number in range(1, self.people + 1):
            self.env.process(self._person(f"clinician {number}"))

    def ask(self, rank: int, name: str, length: float, done: Callable[[str, float], None]) -> None:
        """Put a task into the queue; a low rank goes first."""
        self._asked += 1
        heappush(self.queue, Task(rank, self._asked, name, length, done))
        self._called.succeed()
        self._called = self.env.event()

    def _person(self, name: str) -> Process:
        while True:
            opening = self.hours.next_open(self.env.now)
            if opening > self.env.now:
                yield self.env.timeout(opening - self.env.now)
            elif not self.queue:
                yield self._called
            else:
                yield from self._work(name, heappop(self.queue))

    def _work(self, name: str, task: Task) -> Process:
        taken = float(self.env.now)

        def stretch(start: float, end: float) -> None:
            self.log(name, task.name, start, end)

        yield from work_through(self.env, self.hours, task.length, stretch)
        task.done(name, taken)
