"""Autoscalers: how many replicas a pool should have, from what was measured in the last interval.

Each is a function of readings, so that a user's own takes ten lines; the pool keeps the limits, waits for cold starts,
and shrinks only to the largest size asked for within the cool-down.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.serving_control import Predictive, QueueLength, ScheduledReplicas, TargetUtilisation
from sim.durations import mean

if TYPE_CHECKING:
    from scenarios.serving_control import Autoscaler
    from scenarios.serving_pools import ServingPool

_SLACK = 1e-9


@dataclass(frozen=True)
class Reading:
    """What an autoscaler sees at the end of an interval."""

    time: float
    """Days."""
    ready: int
    """Replicas that take requests."""
    size: int
    """Replicas that take requests or are starting."""
    load: float
    """Mean number of busy replicas in the interval."""
    in_system: int
    """Requests that wait or are served now."""


Rule = Callable[[Reading], int]


def rule_of(autoscaler: Autoscaler) -> Rule | None:
    """The rule of an autoscaler; None where the size is fixed."""
    match autoscaler:
        case TargetUtilisation():
            return lambda reading: by_utilisation(reading, autoscaler.target, autoscaler.tolerance)
        case QueueLength():
            return lambda reading: by_queue(reading, autoscaler.target, autoscaler.tolerance)
        case ScheduledReplicas():
            lead = mean(autoscaler.cold_start)
            sizes = [(size.at, size.replicas) for size in autoscaler.plan]
            return lambda reading: by_plan(reading.time + lead + _SLACK, sizes)
        case Predictive():
            return Forecast(autoscaler)
    return None


def by_utilisation(reading: Reading, target: float, tolerance: float) -> int:
    """Replicas that bring the mean utilisation to the target; what is within the tolerance is left alone.

    >>> by_utilisation(Reading(0.0, ready=10, size=10, load=9.0, in_system=12), target=0.6, tolerance=0.1)
    15
    """
    return _kept(reading, reading.load / target, tolerance)


def by_queue(reading: Reading, target: float, tolerance: float) -> int:
    """Replicas that bring the requests in the system per replica to the target.

    >>> by_queue(Reading(0.0, ready=2, size=2, load=2.0, in_system=40), target=4.0, tolerance=0.1)
    10
    """
    return _kept(reading, reading.in_system / target, tolerance)


def by_plan(time: float, sizes: list[tuple[float, int]]) -> int:
    """The size that is planned for a time (days) by its time of day; before the first it is that of the last.

    >>> [by_plan(time, [(8 / 24, 10), (20 / 24, 2)]) for time in (0.1, 0.5, 0.9, 1.4)]
    [2, 10, 2, 10]
    """
    of_day = time - math.floor(time)
    found = sizes[-1][1]
    for at, replicas in sizes:
        if at <= of_day:
            found = replicas
    return found


class Forecast:
    """The load of a season ago at the time ahead, shifted by how now differs from then; today's until there is one."""

    def __init__(self, plan: Predictive) -> None:
        self.plan = plan
        self.lead = mean(plan.cold_start) + plan.interval if plan.lead is None else plan.lead
        self._loads: dict[int, float] = {}

    def __call__(self, reading: Reading) -> int:
        """Replicas for the load that is expected after the lead."""
        plan = self.plan
        self._loads[self._place(reading.time)] = reading.load
        then = self._loads.get(self._place(reading.time - plan.season))
        ahead = self._loads.get(self._place(reading.time + self.lead - plan.season))
        load = reading.load if then is None or ahead is None else reading.load + ahead - then
        return _ceil(max(load, reading.load if then is None else 0.0) / plan.target)

    def _place(self, time: float) -> int:
        return round(time / self.plan.interval)


class Sizing:
    """The size that a pool should have: its rule, its limits, and the memory of the cool-down."""

    def __init__(self, pool: ServingPool) -> None:
        self.pool = pool
        self.rule = rule_of(pool.autoscaler)
        self._asked: deque[tuple[float, int]] = deque()

    def wanted(self, reading: Reading) -> int:
        """Replicas to have after this reading; grows at once, shrinks to the largest asked for in the cool-down."""
        assert self.rule is not None  # pools of a fixed size have no readings
        asked = min(max(self.rule(reading), self.pool.minimum), self.pool.maximum)
        self._asked.append((reading.time, asked))
        since = reading.time - getattr(self.pool.autoscaler, "cool_down", 0.0) - _SLACK
        while self._asked[0][0] < since:
            self._asked.popleft()
        if asked >= reading.size:
            return asked
        return min(max(size for _, size in self._asked), reading.size)


def _kept(reading: Reading, wanted: float, tolerance: float) -> int:
    if reading.ready and abs(wanted / reading.ready - 1.0) <= tolerance:
        return max(reading.size, reading.ready)
    return _ceil(wanted)


def _ceil(number: float) -> int:
    return math.ceil(number - _SLACK)
