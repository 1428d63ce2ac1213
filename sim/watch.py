"""A watch: one monitor at work on one champion, over the rows or labels that it really sees.

A watch fills a score for every look since the current champion went live, and finds the looks at which its rule
calls. Its noise is tied to (seed, replication, monitor, window), so scores can be computed ahead, in any
blocks, and again after a deployment. A champion is judged on its own time: trailing windows restart with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from sim.alarm_rules import rule_of
from sim.incidents import Incidents
from sim.kernels import sampling
from sim.quality import Version
from sim.world import World

Array = NDArray[np.float64]
SAMPLING = {"multinomial": sampling.EXACT, "normal": sampling.NORMAL, "none": sampling.EXPECTED}


class Call(NamedTuple):
    """A monitor called: what operators see."""

    time: float
    """Days."""
    monitor: str
    score: float
    threshold: float


@dataclass(frozen=True)
class Alarm:
    """A call and whether it was right."""

    time: float
    """Days."""
    monitor: str
    score: float
    threshold: float
    true: bool
    """Whether the true accuracy (of the slice, for its monitor) had fallen by the scenario's material drop."""

    @property
    def call(self) -> Call:
        """The part that operators see."""
        return Call(self.time, self.monitor, self.score, self.threshold)


@dataclass(frozen=True)
class Readings:
    """What a monitor has measured on the current champion: one entry a look with enough data."""

    times: Array
    """(looks,) days."""
    scores: Array
    """(looks,)"""
    cadence: float
    """Days between two looks."""


@dataclass
class Champion:
    """The version in service, as monitors see it."""

    version: Version
    since: float
    """Day it went live."""
    window: int
    """Window in which it went live."""
    first_full: int
    """First window that it serves alone."""
    fresh: Array
    """(slices,) true accuracy when it went live."""
    fresh_accuracy: float
    """The same, all slices together."""


class Watch:
    """One monitor of one run: scores of the champion, and the next window in which it calls."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        scenario = world.scenario
        self.monitor = monitor
        self.label = monitor.label
        self.world = world
        self.windows = scenario.windows
        self.incidents = Incidents(scenario, [])
        self.blind = world.blind
        cadence = scenario.cadence_of(monitor)
        default_window = 7.0 if monitor.needs_labels and not monitor.uses_looks_once else cadence
        width = monitor.window or max(default_window, scenario.window)
        self.cadence = max(round(cadence / scenario.window), 1)
        self.width = max(round(width / scenario.window), 1)
        self.cooldown = max(math.ceil(monitor.cooldown / scenario.window - 1e-9), 1)
        self.score = np.full(self.windows, np.nan)
        self.rule = rule_of(self)
        self.armed = 0
        self.next_alarm: int | None = None
        self._ruled = 0

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion; scores of the time before it went live stay as they were."""
        self.champion = champion
        self.origin = champion.first_full
        self.disturbed = np.zeros(self.windows, dtype=np.bool_)
        self.next_alarm = None
        self._ruled = champion.first_full
        self.score[champion.window :] = np.nan
        self.rule.reset()

    def seeing(self, first: int, stop: int) -> NDArray[np.int64]:
        """The looks at which the path of monitoring works."""
        looks = self.looks(first, stop)
        return looks if self.blind is None else looks[~self.blind[looks]]

    def meet(self, incidents: Incidents, accuracy: Array) -> None:
        """Take the run's incidents and true accuracy (slices, windows), which move what is watched."""
        self.incidents, self.accuracy = incidents, accuracy

    def restart(self, champion: Champion, onset: int) -> None:
        """Start again after a repair, with what was learned before the failure began in window `onset`.

        champion: the one in service, from its first window without the failure.
        """
        origin, disturbed = self.origin, self.disturbed
        self.reset(champion)
        self.origin, self.disturbed = origin, disturbed
        self.disturbed[onset : champion.first_full] = True

    def silence(self, until: int, scanned: int) -> None:
        """Be silent until window `until`, then look further."""
        self.armed = max(self.armed, until)
        if self.next_alarm is not None and self.next_alarm < self.armed:
            self.next_alarm = None
            self._search(scanned)

    def scan(self, first: int, stop: int, accuracy: Array) -> None:
        """Fill the scores of windows first..stop-1 and look for the next call; accuracy: (slices, windows)."""
        first = max(first, self.champion.first_full)
        if first < stop:
            self._fill(first, stop, accuracy)
            self._search(stop)

    def acknowledge(self, window: int, scanned: int) -> None:
        """The call in `window` was heard: be silent for the cooldown, then look further."""
        self.armed = window + self.cooldown
        self.next_alarm = None
        self._search(scanned)

    def rewind(self, window: int) -> None:
        """The world changed from `window` on: forget what was computed past it."""
        self.score[window:] = np.nan
        self.next_alarm = None
        self.rule.reset()
        self._ruled = self.champion.first_full
        self._search(window)

    def looks(self, first: int, stop: int) -> NDArray[np.int64]:
        """Windows of first..stop-1 at whose end the monitor looks."""
        start = first + (-(first + 1)) % self.cadence
        return np.arange(start, stop, self.cadence)

    @property
    def follows_accuracy(self) -> bool:
        """Whether what is watched says something about the model's accuracy."""
        return True

    def in_use(self) -> NDArray[np.bool_]:
        """Windows whose rows or labels enter a score, (windows,)."""
        until_look = (-(np.arange(self.windows) + 1)) % self.cadence
        return np.asarray(until_look < self.width)

    @property
    def used_share(self) -> float:
        """Share of the windows whose rows enter a score: a short window at a long cadence leaves some out."""
        return min(self.width / self.cadence, 1.0)

    def points(self, first: int, stop: int) -> float:
        """Data points that are taken in for this monitor in windows first..stop-1."""
        raise NotImplementedError

    def readings(self, stop: int) -> Readings:
        """What was measured on the champion by the end of window stop - 1."""
        looks = self.looks(self.champion.first_full, stop)
        looks = looks[~np.isnan(self.score[looks])]
        window = self.world.scenario.window
        return Readings((looks + 1.0) * window, self.score[looks], self.cadence * window)

    def oldest(self, look: int) -> int:
        """First window whose requests are behind the score of a look."""
        return max(look + 1 - self.width, self.champion.first_full)

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Rows or labels behind the scores of `looks`."""
        raise NotImplementedError

    def p_values(self, looks: NDArray[np.int64]) -> Array:
        """Chance of a score as high as that of each look while nothing has changed; NaN without a score."""
        raise NotImplementedError

    def standardised(self, looks: NDArray[np.int64]) -> Array:
        """Score of each look in standard deviations of chance, upward is worse; NaN without a score."""
        raise NotImplementedError

    def threshold_of(self, probability: float, look: int) -> float:
        """Score that chance alone passes with a given probability, at the sample size of a look."""
        raise NotImplementedError

    def stream(self, looks: NDArray[np.int64]) -> Iterator[tuple[Array, NDArray[np.int64]]]:
        """What a detector reads, part by part: values in order, and the look at which each was at hand."""
        yield self.standardised(looks), looks

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        raise NotImplementedError

    def _search(self, stop: int) -> None:
        """Find the first call in windows not searched yet; windows in the cooldown are passed over."""
        if self.next_alarm is not None or self._ruled >= stop:
            return
        looks = self.seeing(self._ruled, stop)
        if len(looks) == 0:
            self._ruled = stop
            return
        called = self.rule.first_call(self, looks)
        self._ruled = stop if called is None else called + 1
        self.next_alarm = called
