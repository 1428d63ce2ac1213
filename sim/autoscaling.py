"""Autoscalers: how many replicas a pool should have, from what was measured in the last interval.

Each is a function of readings, so that a user's own takes ten lines; the pool keeps the limits, waits for cold starts,
and shrinks only to the largest size asked for within the cool-down.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from scenarios.serving_control import Predictive, QueueLength, ScheduledReplicas, TargetUtilisation
from sim.durations import mean

if TYPE_CHECKING:
    from scenarios.serving_control import Autoscaler
    from scenarios.serving_pools import ServingPool

_SLACK = 1e-9


class Reading(NamedTuple):
    """What an autoscaler sees at the end of an interval."""

    time: float
    """Days."""
    ready: int
    """Replicas that take requests."""
    size: int
    """Replicas that the pool should have by the last decision, also those that start, broke or could not be had."""
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
            # What is needed before the next decision's launches are up must be launched now.
            ahead = mean(autoscaler.cold_start) + autoscaler.interval - 2.0 * _SLACK
            sizes = [(size.at, size.replicas) for size in autoscaler.plan]
            return lambda reading: by_plan(reading.time + _SLACK, ahead, sizes)
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


def by_plan(time: float, ahead: float, sizes: list[tuple[float, int]]) -> int:
    """The largest size that is planned from `time` to `ahead` later (days); before the first of a day the last holds.

    >>> [by_plan(time, 0.1, [(8 / 24, 10), (20 / 24, 2)]) for time in (0.1, 0.3, 0.8, 0.9, 1.4)]
    [2, 10, 10, 2, 10]
    """
    now = time - math.floor(time)
    size = next((replicas for at, replicas in reversed(sizes) if at <= now), sizes[-1][1])
    coming = (replicas for at, replicas in sizes if (at - now) % 1.0 <= ahead)
    return max(size, *coming, 0)


class Forecast:
    """Today's load, and what it rose by in the lead a season ago; a fall needs no lead, as replicas go at once."""

    def __init__(self, plan: Predictive) -> None:
        self.plan = plan
        self.lead = mean(plan.cold_start) + plan.interval if plan.lead is None else plan.lead
        self._loads: dict[int, float] = {}
        self._kept = self._place(plan.season) + 1

    def __call__(self, reading: Reading) -> int:
        """Replicas for the load that is expected after the lead."""
        plan, place = self.plan, self._place(reading.time)
        self._loads[place] = reading.load
        self._loads.pop(place - self._kept - 1, None)  # so that memory is flat
        then = self._loads.get(self._place(reading.time - plan.season))
        ahead = self._loads.get(self._place(reading.time + self.lead - plan.season))
        rise = 0.0 if then is None or ahead is None else max(ahead - then, 0.0)
        return _ceil((reading.load + rise) / plan.target)

    def _place(self, time: float) -> int:
        return round(time / self.plan.interval)


class Sizing:
    """The size that a pool should have: its rule, its limits, and the memory of the cool-down."""

    def __init__(self, pool: ServingPool) -> None:
        self.pool = pool
        self.rule = rule_of(pool.autoscaler)
        self.least, self.most = pool.minimum, pool.maximum
        self.cool_down = getattr(pool.autoscaler, "cool_down", 0.0) + _SLACK
        self._asked = deque([(0.0, pool.replicas)])
        """Sizes asked for within the cool-down, of which the start is one."""

    def wanted(self, reading: Reading) -> int:
        """Replicas to have after this reading; grows at once, shrinks to the largest asked for in the cool-down.

        Not to 0 while there are requests, as nothing but a replica would bring the load to measure.
        """
        assert self.rule is not None  # pools of a fixed size have no readings
        asked = min(max(self.rule(reading), self.least, int(reading.in_system > 0)), self.most)
        self._asked.append((reading.time, asked))
        since = reading.time - self.cool_down
        while self._asked[0][0] < since:
            self._asked.popleft()
        if asked >= reading.size:
            return asked
        return min(max(size for _, size in self._asked), reading.size)


def _kept(reading: Reading, wanted: float, tolerance: float) -> int:
    if reading.ready and abs(wanted / reading.ready - 1.0) <= tolerance:
        return reading.size
    return _ceil(wanted)


def _ceil(number: float) -> int:
    return math.ceil(number - _SLACK)
