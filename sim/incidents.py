"""Incidents: failures that have begun, what they do while they last, and who could see them.

Onsets belong to the world, except those that actions cause (`sim.failure_causes`): every policy and every plan of
monitoring meets the same ones. Ends do not: an incident is repaired, or heals, or ends with the version that it came
with, or lasts to the horizon. What is broken cannot break again: of the incidents of one failure mode
that are there together only the oldest does something. Levels are means over a window, so that a part of a window
counts as that part.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.durations import draw
from sim.visibility import sees, shows, throughputs

__all__ = ["TIME_SLACK", "Incident", "Incidents", "Onset", "onsets_of", "sees"]

Array = NDArray[np.float64]
TIME_SLACK = 1e-9
"""Days, or windows, that are rounding only."""


@dataclass(frozen=True)
class Onset:
    """A failure begins."""

    failure: Failure
    time: float
    """Days."""
    heals: float
    """Days; infinity when somebody must repair it."""


@dataclass(eq=False)
class Incident:
    """What came of an onset in one run; moments in days, None for what has not happened."""

    onset: Onset
    end: float
    leads: float = field(init=False)
    """Days; from then on no older incident of its mode is there."""
    detected: float | None = None
    """First alarm of a monitor that can see it."""
    by: str = ""
    """That monitor."""
    paged: float | None = None
    """Somebody was called who did not ignore it."""
    acknowledged: float | None = None
    """A person took it up."""
    mitigated: float | None = None
    """Its harm was made smaller, or ended, and a person has taken it up: the later of the two moments."""
    easings: list[tuple[float, float]] = field(default_factory=list)
    """Moments (days) at which its harm was made smaller, with the share of it that is left from then on."""
    resolved: float | None = None
    """Its cause was removed; None also for one that healed."""
    severity: str = ""
    """P0 to P3, as people judged it; empty where nobody did."""
    loss: float = 0.0
    """Money it has cost, known when the run is over."""

    def __post_init__(self) -> None:
        self.leads = self.onset.time

    @property
    def failure(self) -> Failure:
        """Its failure mode."""
        return self.onset.failure

    @property
    def eased(self) -> float | None:
        """When its harm was first made smaller (days), whoever knew of it."""
        return self.easings[0][0] if self.easings else None

    def active(self, time: float) -> bool:
        """Whether it has begun by `time` and not ended before."""
        return self.onset.time < time - TIME_SLACK and time <= self.end + TIME_SLACK

    def mean_level(self, edges: Array) -> Array:
        """What it does, as mean over each stretch between neighbouring `edges` (n + 1,).

        1 stands for its full size on all requests; one that hits a share of them stays within this share.
        """
        if self.leads >= self.end:
            return np.zeros(len(edges) - 1)
        total = self._area(np.clip(edges, self.leads, self.end))
        before = 1.0
        for moment, left in self.easings:
            since = min(max(moment, self.leads), self.end)
            total -= (before - left) * (
                self._area(np.clip(edges, since, self.end)) - self._area(np.array([since]))
            )
            before = left
        level = np.clip(np.diff(total) / np.diff(edges), 0.0, 1.0)  # 1 + 2e-16 would lose more than all
        return level * self.failure.share

    def level_at(self, time: float) -> float:
        """The same at a moment (days)."""
        if not self.leads < time <= self.end + TIME_SLACK:
            return 0.0
        ramp, age = self.failure.ramp, time - self.onset.time
        left = next((left for moment, left in reversed(self.easings) if time > moment), 1.0)
        return self.failure.share * left * (1.0 if age >= ramp else age / ramp)

    def _area(self, times: Array) -> Array:
        """Integral of its size up to each moment, were it not to end."""
        age = np.maximum(times - self.onset.time, 0.0)
        ramp = self.failure.ramp
        if ramp == 0.0:
            return age
        return np.where(age < ramp, age * age / (2.0 * ramp), age - 0.5 * ramp)


def onsets_of(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> list[Onset]:
    """Onsets of one world, in the order of time."""
    found = []
    for failure in scenario.failures:
        rng = stream(f"failure:{failure.name}")
        if failure.trigger is not None:
            continue  # actions cause it
        if failure.onsets is not None:
            times = np.sort(np.asarray(failure.onsets, dtype=np.float64))
        else:
            assert failure.rate is not None  # the schema asks for one of the two
            times = np.sort(rng.random(rng.poisson(failure.rate * scenario.horizon))) * scenario.horizon
        for time in times.tolist():
            lasts = math.inf if failure.lasts is None else draw(failure.lasts, rng.random)
            found.append(Onset(failure, time, time + lasts))
    return sorted(found, key=lambda onset: onset.time)


class Incidents:
    """All incidents of one run, and what those that overlap a stretch of windows do together."""

    def __init__(self, scenario: Scenario, onsets: list[Onset]) -> None:
        self.scenario = scenario
        self.all = [Incident(onset, min(onset.heals, scenario.horizon)) for onset in onsets]
        self.learned: frozenset[str] = frozenset()
        """Failure modes whose harm the model in service has learned."""
        self.on_repair: Callable[[Incident], None] = _nothing_follows
        """Called when one has been repaired."""
        self._modes: dict[str, list[Incident]] = defaultdict(list)
        for incident in self.all:
            self._modes[incident.failure.name].append(incident)
        for mode in self._modes.values():
            _line_up(mode, 0)

    def active(self, time: float) -> list[Incident]:
        """Incidents that have begun and not ended."""
        return [incident for incident in self.all if incident.active(time)]

    def visible(self, monitor: Monitor, time: float) -> list[Incident]:
        """Active incidents that move what a monitor looks at."""
        return [i for i in self.active(time) if self._shows(monitor, i.failure)]

    def moved(self, monitor: Monitor, since: float, until: float) -> bool:
        """Whether an incident moved what a monitor looks at between two moments (days)."""
        return any(
            incident.onset.time < until - TIME_SLACK and incident.end > since + TIME_SLACK
            for incident in self.all
            if self._shows(monitor, incident.failure)
        )

    def add(self, onset: Onset) -> Incident:
        """An incident that an action causes begins now: none that has begun is later."""
        incident = Incident(onset, min(onset.heals, self.scenario.horizon))
        mode = self._modes[onset.failure.name]
        for line in (self.all, mode):
            line.insert(bisect_right(line, onset.time, key=lambda other: other.onset.time), incident)
        place = mode.index(incident)
        if place > 0:
            before = mode[place - 1]
            incident.leads = max(incident.onset.time, before.leads, before.end)
        _line_up(mode, place)
        return incident

    def ease(self, incident: Incident, time: float, left: float) -> None:
        """Mitigate an incident: from now to its end it does a share `left`, 0 to 1, of its harm, or less."""
        before = incident.easings[-1][1] if incident.easings else 1.0
        incident.easings.append((time, min(left, before)))
        if incident.mitigated is None and incident.acknowledged is not None:
            incident.mitigated = time

    def acknowledge(self, incident: Incident, time: float) -> None:
        """A person takes an incident up; one that was eased before, and is still there, is mitigated from now on."""
        if incident.acknowledged is not None:
            return
        incident.acknowledged = time
        if incident.easings and incident.mitigated is None and incident.end > time:
            incident.mitigated = time

    def repair(self, incident: Incident, time: float) -> None:
        """End an incident; nothing is left to do on one that has ended before."""
        if incident.end < time:
            return
        incident.resolved = time
        if incident.mitigated is None:
            incident.mitigated = time
        self._end(incident, time)
        self.on_repair(incident)

    def lapse(self, incident: Incident, time: float) -> None:
        """An incident ends because what had it is gone; that is a repair only where a person has taken it up."""
        if incident.acknowledged is not None:
            incident.resolved = time
            if incident.mitigated is None:
                incident.mitigated = time
        self._end(incident, time)

    def present(self, name: str, since: float, until: float) -> float:
        """How much of a failure mode there was on average in since..until (days), or at `until` when they are equal.

        0 to 1: its size, as a share of all requests.
        """
        mode = self._modes[name]
        if since >= until:
            return max((incident.level_at(until) for incident in mode), default=0.0)
        edges = np.array([since, until])
        return min(sum(float(incident.mean_level(edges)[0]) for incident in mode), 1.0)

    def taken_by(self, failure: Failure) -> float:
        """Accuracy that a failure's `accuracy_drop` is in the mean over all slices."""
        if failure.slice is None:
            return failure.accuracy_drop
        place = self.scenario.slice_names.index(failure.slice)
        return failure.accuracy_drop * self.scenario.slice_weights[place]

    def drop(self, first: int, stop: int) -> Array | None:
        """Accuracy taken from each slice in windows first..stop-1, (slices, windows); None where nothing is."""
        taken = None
        for failure, level in self._levels(first, stop):
            if failure.drop_in_service == 0.0:
                continue
            if taken is None:
                taken = np.zeros((len(self.scenario.slice_names), stop - first))
            rows = slice(None) if failure.slice is None else [self.scenario.slice_names.index(failure.slice)]
            taken[rows] += failure.drop_in_service * level
        return taken

    def served(self, first: int, stop: int) -> Array | None:
        """Share of the requests that is served at all, (windows,); None where all are.

        Signals count the requests that are served. Rows for distributions and labels are not reduced: they are
        samples, and lost requests leave enough of them.
        """
        share = None
        names = throughputs(self.scenario)
        for failure, level in self._levels(first, stop):
            for effect in failure.effects:
                if effect.signal in names and effect.factor is not None:
                    share = np.ones(stop - first) if share is None else share
                    share *= 1.0 + (effect.factor - 1.0) * level
        return share

    def move(self, signal: str, first: int, stop: int, value: Array) -> None:
        """Apply the effects on a signal to its value (windows,), in place: factors first, then what is added."""
        added = np.zeros(len(value))
        for failure, level in self._levels(first, stop):
            for effect in failure.effects:
                if effect.signal != signal:
                    continue
                if effect.factor is not None:
                    value *= 1.0 + (effect.factor - 1.0) * level
                if effect.add is not None:
                    added += effect.add * level
        value += added

    def feature_shift(self, first: int, stop: int, names: list[str]) -> Array | None:
        """Shift of features as monitors see them, all slices together, (windows, features); None without one."""
        shift = None
        weights = dict(zip(self.scenario.slice_names, self.scenario.slice_weights, strict=True))
        for failure, level in self._levels(first, stop):
            sizes = np.array([failure.feature_shift.get(name, 0.0) for name in names])
            if not sizes.any():
                continue
            share = 1.0 if failure.slice is None else weights[failure.slice]
            shift = np.zeros((stop - first, len(names))) if shift is None else shift
            shift += share * level[:, None] * sizes
        return shift

    def stalled(self, signal: str, times: Array) -> Array:
        """How much older than usual the data of a freshness signal are at each moment, days; times: (n,) days.

        The mean over all hosts, where only a share of the requests is hit.
        """
        oldest = np.zeros(len(times))
        for incident in self.all:
            for effect in incident.failure.effects:
                if effect.signal == signal and effect.stall is not None:
                    age = np.minimum(times - incident.onset.time, effect.stall) * incident.failure.share
                    oldest = np.maximum(oldest, np.where(times <= incident.end + TIME_SLACK, age, 0.0))
        return oldest

    def losses(self, worth: Array, taken: Array, unserved: Array) -> list[float]:
        """Money that each incident has cost, in the order of `all`; together it is what all of them have cost.

        worth: (windows,) money per unit of accuracy; taken, unserved: (windows,) accuracy that all incidents took, and
        what the requests that they lost would have had. Each bears its share of what a window lost, and its own price.
        """
        drops, losts = np.zeros(len(worth)), np.zeros(len(worth))
        levels = []
        for incident in self.all:
            first, stop = self._windows(incident)
            level = self._size(incident, first, stop)
            levels.append((slice(first, stop), level))
            drops[first:stop] += self._dropped(incident.failure) * level
            losts[first:stop] += _lost_share(self.scenario, incident.failure) * level
        by_drop = worth * np.divide(taken, drops, out=np.zeros_like(drops), where=drops > 0.0)
        by_lost = worth * np.divide(unserved, losts, out=np.zeros_like(losts), where=losts > 0.0)
        return [
            float(level @ by_drop[span]) * self._dropped(incident.failure)
            + float(level @ by_lost[span]) * _lost_share(self.scenario, incident.failure)
            + incident.failure.cost
            for incident, (span, level) in zip(self.all, levels, strict=True)
        ]

    def _dropped(self, failure: Failure) -> float:
        """Accuracy that a failure takes from the mean over all slices, before any of them is at 0."""
        return self.taken_by(failure) if failure.drop_in_service > 0.0 else 0.0

    def _shows(self, monitor: Monitor, failure: Failure) -> bool:
        """Whether a monitor can see a failure now: one that spoils trainings only, once such a model serves."""
        harms = failure.drop_in_service > 0.0 or failure.name in self.learned
        return shows(self.scenario, monitor, failure, harms)

    def _end(self, incident: Incident, time: float) -> None:
        incident.end = time
        mode = self._modes[incident.failure.name]
        _line_up(mode, mode.index(incident))

    def _size(self, incident: Incident, first: int, stop: int) -> Array:
        """What an incident does in each window, 1 for its full size on all requests, (windows,)."""
        return incident.mean_level(_edges(first, stop, self.scenario.window))

    def _windows(self, incident: Incident) -> tuple[int, int]:
        """The windows that it touches, first and last exclusive."""
        window = self.scenario.window
        return int(incident.onset.time / window), min(math.ceil(incident.end / window), self.scenario.windows)

    def _levels(self, first: int, stop: int) -> Iterator[tuple[Failure, Array]]:
        """Failure modes at work in windows first..stop-1, with their size in each."""
        window = self.scenario.window
        edges = _edges(first, stop, window)
        for mode in self._modes.values():
            here = [i for i in mode if i.leads < stop * window and i.end > max(first * window, i.leads)]
            if here:
                level = here[0].mean_level(edges)
                for incident in here[1:]:
                    level += incident.mean_level(edges)
                yield here[0].failure, np.minimum(level, 1.0)


def _nothing_follows(incident: Incident) -> None:
    """The usual end of a repair."""


def _line_up(mode: Sequence[Incident], place: int) -> None:
    """Let those after a place lead from the end of all before them, up to one that waits as long as it did before."""
    reached = max(mode[place].leads, mode[place].end)
    for incident in islice(mode, place + 1, None):
        leads = max(incident.onset.time, reached)
        if leads == incident.leads > incident.onset.time:
            return
        incident.leads, reached = leads, max(reached, incident.end)


def _edges(first: int, stop: int, window: float) -> Array:
    return np.asarray(np.arange(first, stop + 1) * window, dtype=np.float64)


def _lost_share(scenario: Scenario, failure: Failure) -> float:
    """Share of the requests that a failure loses."""
    names = throughputs(scenario)
    return sum(1.0 - (effect.factor or 0.0) for effect in failure.effects if effect.signal in names)
