"""What a policy may see: the measurable present and past, prices, and nothing of the world's truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.monitoring import Alarm, Call, Readings
from sim.retraining import expected_duration

if TYPE_CHECKING:
    from sim.engine import Run


class View:
    """The system as its operators see it at one moment; times in days."""

    def __init__(self, run: Run, alarm: Alarm | None = None) -> None:
        self._run = run
        self.now = run.now
        """The moment of the decision."""
        self.alarm: Call | None = None if alarm is None else alarm.call
        """The alarm that is the cause of this decision, or None."""

    @property
    def horizon(self) -> float:
        """End of the run."""
        return self._run.scenario.horizon

    @property
    def alarms(self) -> tuple[Call, ...]:
        """All alarms so far; whether they were right is not for operators to see."""
        return tuple(alarm.call for alarm in self._run.alarms)

    @property
    def triggers(self) -> frozenset[str]:
        """Names of the monitors that this policy asked for."""
        return self._run.heeded

    @property
    def retraining(self) -> bool:
        """Whether a retraining is under way or waits for capacity."""
        return self._run.retrainings_open > 0

    @property
    def retrainings(self) -> tuple[float, ...]:
        """Moments at which retrainings were asked for."""
        return tuple(self._run.requested)

    @property
    def in_service_since(self) -> float:
        """Moment at which the champion went live."""
        return self._run.plane.champion.since

    @property
    def data_cut(self) -> float:
        """Data cut of the champion."""
        return self._run.plane.champion.version.cut

    @property
    def validation_accuracy(self) -> float:
        """Accuracy of the champion measured at validation; NaN when it was not."""
        return self._run.plane.champion.version.validation

    def readings(self, monitor: str) -> Readings:
        """What a monitor has measured on the champion so far. Raises KeyError for an unknown monitor."""
        for watch in self._run.plane.watches:
            if watch.label == monitor:
                return watch.readings(min(self._run.windows_done, self._run.plane.scanned))
        names = ", ".join(watch.label for watch in self._run.plane.watches)
        raise KeyError(f"no monitor {monitor!r}, one of: {names}")

    @property
    def requests_per_day(self) -> float:
        """Mean traffic of the past week (of the first window at the start)."""
        scenario, done = self._run.scenario, self._run.windows_done
        week = max(round(7.0 / scenario.window), 1)
        recent = self._run.world.requests[max(done - week, 0) : max(done, 1)]
        return float(recent.mean()) / scenario.window

    @property
    def value(self) -> float:
        """Worth of accuracy going from 0 to 1, per request."""
        return self._run.scenario.value_per_query_per_unit_accuracy

    @property
    def retraining_price(self) -> float:
        """Price of a retraining in which nothing fails."""
        return self._run.scenario.pipeline.price

    @property
    def memory(self) -> dict[str, Any]:
        """Scratch space of the policy; it lives as long as the run."""
        return self._run.memory

    def random_dates(self, count: int) -> NDArray[np.float64]:
        """`count` different window starts in (0, horizon), sorted; the same for a replication whatever happens.

        Dates are as far apart as a retraining takes where that is possible, or requests would merge.
        """
        scenario = self._run.scenario
        order = self._run.world.stream("random_dates").permutation(np.arange(1, scenario.windows))
        apart = math.ceil(expected_duration(scenario) / scenario.pipeline.capacity / scenario.window)
        free = np.ones(scenario.windows + apart, dtype=bool)
        chosen: list[int] = []
        for date in order:
            if len(chosen) == count:
                break
            if free[date]:
                chosen.append(int(date))
                free[max(date - apart + 1, 0) : date + apart] = False
        crowded = [int(date) for date in order if int(date) not in set(chosen)] if len(chosen) < count else []
        return np.sort(np.array([*chosen, *crowded][:count])) * scenario.window

    @property
    def best_dates(self) -> NDArray[np.float64]:
        """Dates of the cheapest plan for the world to come. Raises AttributeError for all but the oracle."""
        if not self._run.policy.knows_the_future:
            raise AttributeError("best_dates is for the oracle only: a policy cannot know the world to come")
        return self._run.best_dates
