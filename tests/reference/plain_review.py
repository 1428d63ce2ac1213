"""Review as people live it: SimPy reviewers, working hours, urgent cases first, deadlines; case by case."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Any

import simpy

from scenarios.working_hours import WorkingHours


def plain_starts(
    arrivals: list[float],
    work: list[float],
    urgent: list[bool],
    reviewers: int,
    hours: WorkingHours,
    deadline: float,
    horizon: float,
) -> list[tuple[float, float]]:
    """Start and finish (days) of each case, NaN for what did not happen before the horizon."""
    env = simpy.Environment()
    start, finish = [math.nan] * len(arrivals), [math.nan] * len(arrivals)
    waiting: list[tuple[int, int]] = []
    idle: list[simpy.Event] = []

    def come() -> Iterator[Any]:
        for case, moment in enumerate(arrivals):
            yield env.timeout(moment - env.now)
            heapq.heappush(waiting, (0 if urgent[case] else 1, case))
            if idle:
                idle.pop(0).succeed()

    def at_desk(moment: float) -> bool:
        day = math.floor(moment + 1e-9)
        return day % 7 < hours.days and day + hours.start - 1e-9 <= moment < day + hours.end - 1e-9

    def next_day() -> float:
        day = math.floor(env.now + 1e-9)
        while not (day % 7 < hours.days and day + hours.start > env.now + 1e-9):
            day += 1
        return day + hours.start - env.now

    def review() -> Iterator[Any]:
        while True:
            if not at_desk(env.now):
                yield env.timeout(next_day())
            while waiting and arrivals[waiting[0][1]] + deadline < env.now:
                heapq.heappop(waiting)
            if not waiting:
                idle.append(env.event())
                yield idle[-1]
                continue
            _, case = heapq.heappop(waiting)
            start[case], left = env.now, work[case]
            while True:
                today = math.floor(env.now + 1e-9) + hours.end - env.now
                yield env.timeout(min(left, today))
                left -= min(left, today)
                if left <= 1e-12:
                    break
                if not at_desk(env.now):
                    yield env.timeout(next_day())
            finish[case] = env.now

    for _ in range(reviewers):
        env.process(review())
    env.process(come())
    env.run(until=horizon)
    return list(zip(start, finish, strict=True))
