"""Failures in plain Python: one incident, one window, one number at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.world import World

SLACK = 1e-9


@dataclass(eq=False)
class PlainIncident:
    """What the control plane and the record ask of an incident, and how large it is in a window."""

    onset: Any
    scenario: Scenario
    end: float
    detected: float | None = None
    by: str = ""
    paged: float | None = None
    acknowledged: float | None = None
    mitigated: float | None = None
    resolved: float | None = None
    severity: str = ""
    loss: float = 0.0

    @property
    def failure(self) -> Failure:
        return self.onset.failure

    def size(self, time: float) -> float:
        """How far it has grown, 0 to 1; 0 when it is not there."""
        if not self.onset.time < time < self.end:
            return 0.0
        ramp = self.failure.ramp
        return 1.0 if time >= self.onset.time + ramp else (time - self.onset.time) / ramp


class PlainIncidents:
    """All incidents of a run, and what they do together."""

    def __init__(self, world: World) -> None:
        self.scenario = world.scenario
        horizon = self.scenario.horizon
        self.all = [PlainIncident(o, self.scenario, min(o.heals, horizon)) for o in world.onsets]

    def part(self, incident: PlainIncident, window: int) -> float:
        """What an incident does of a window's harm: nothing while an older one of its mode is there."""
        begin, end = window * self.scenario.window, (window + 1) * self.scenario.window
        mode = [other for other in self.all if other.failure.name == incident.failure.name]
        turns = {t for i in mode for t in (i.onset.time, i.onset.time + i.failure.ramp, i.end)}
        area = 0.0
        for a, b in pairwise(sorted({begin, end, *(t for t in turns if begin < t < end)})):
            there = [i for i in mode if i.size(0.5 * (a + b)) > 0.0]
            if there and there[0] is incident:  # sorted by onset
                area += (b - a) * incident.size(0.5 * (a + b))
        return min(area / self.scenario.window, 1.0)

    def levels(self, window: int) -> list[tuple[PlainIncident, float]]:
        """Failure modes that are there during some part of a window: one incident of each, with the mode's size."""
        found: dict[str, tuple[PlainIncident, float]] = {}
        begin, end = window * self.scenario.window, (window + 1) * self.scenario.window
        for incident in self.all:
            if incident.onset.time < end and incident.end > begin:
                first, level = found.get(incident.failure.name, (incident, 0.0))
                found[incident.failure.name] = first, min(level + self.part(incident, window), 1.0)
        return [pair for pair in found.values() if pair[1] > 0.0]

    def losses(self, worth: Any, taken: Any, unserved: Any) -> list[float]:
        """Money that each has cost: what a window lost, shared by what each took of it."""
        costs = {id(incident): incident.failure.cost for incident in self.all}
        for window in range(self.scenario.windows):
            begin, end = window * self.scenario.window, (window + 1) * self.scenario.window
            here = [i for i in self.all if i.onset.time < end and i.end > begin]
            drops = [
                i.failure.accuracy_drop * share_of(self.scenario, i.failure) * self.part(i, window)
                for i in here
            ]
            losts = [sum(lost_parts(self.scenario, i.failure)) * self.part(i, window) for i in here]
            for incident, drop, lost in zip(here, drops, losts, strict=True):
                if drop > 0.0:
                    costs[id(incident)] += float(worth[window] * taken[window]) * drop / sum(drops)
                if lost > 0.0:
                    costs[id(incident)] += float(worth[window] * unserved[window]) * lost / sum(losts)
        return [costs[id(incident)] for incident in self.all]

    def visible(self, monitor: Monitor, time: float) -> list[PlainIncident]:
        """Incidents under way at a moment that a monitor can see."""
        here = [i for i in self.all if i.onset.time < time - SLACK and time <= i.end + SLACK]
        return [i for i in here if sees(self.scenario, monitor, i.failure)]

    def moved(self, monitor: Monitor, since: float, until: float) -> bool:
        """Whether one that a monitor can see was there during some part of a stretch of time."""
        return any(
            incident.onset.time < until - SLACK and incident.end > since + SLACK
            for incident in self.all
            if sees(self.scenario, monitor, incident.failure)
        )

    def repair(self, incident: PlainIncident, time: float) -> None:
        incident.resolved = incident.mitigated = incident.end = time

    def harmed(self, accuracy: list[float], window: int) -> list[float]:
        """Accuracy of each slice that incidents leave."""
        left = list(accuracy)
        for incident, level in self.levels(window):
            for place, name in enumerate(self.scenario.slice_names):
                if incident.failure.slice in (None, name):
                    left[place] -= incident.failure.accuracy_drop * level
        return [max(a, 0.0) for a in left]

    def served_share(self, window: int) -> float:
        """Share of the requests that is not lost: each incident takes its part of what the others leave."""
        share = 1.0
        for incident, level in self.levels(window):
            for part in lost_parts(self.scenario, incident.failure):
                share *= 1.0 - part * level
        return share

    def served(self, first: int, stop: int) -> Any:
        return np.array([self.served_share(window) for window in range(first, stop)])

    def moved_to(self, signal: str, window: int, value: float) -> float:
        """Value of a signal under all incidents of a window."""
        effects = [
            (effect, level)
            for incident, level in self.levels(window)
            for effect in incident.failure.effects
            if effect.signal == signal
        ]
        for effect, level in effects:
            if effect.factor is not None:
                value *= 1.0 - level + level * effect.factor
        return value + sum(level * effect.add for effect, level in effects if effect.add is not None)

    def feature_shift(self, name: str, window: int) -> float:
        """Shift of a feature over all slices."""
        return sum(
            share_of(self.scenario, incident.failure) * level * incident.failure.feature_shift.get(name, 0.0)
            for incident, level in self.levels(window)
        )

    def stalled(self, signal: str, time: float) -> float:
        """How long ago the data stopped coming, at most as long as each failure says."""
        oldest = 0.0
        for incident in self.all:
            if not (incident.onset.time < time - SLACK and time <= incident.end + SLACK):
                continue
            for effect in incident.failure.effects:
                if effect.signal == signal and effect.stall is not None:
                    oldest = max(oldest, min(time - incident.onset.time, effect.stall))
        return oldest


def lost_parts(scenario: Scenario, failure: Failure) -> list[float]:
    """Share of the requests that each of its effects on the traffic loses."""
    traffic = {signal.name for signal in scenario.signals if signal.kind == "throughput"}
    return [1.0 - e.factor for e in failure.effects if e.signal in traffic and e.factor is not None]


def share_of(scenario: Scenario, failure: Failure) -> float:
    """Share of the requests that a failure hits."""
    if failure.slice is None:
        return 1.0
    return scenario.slice_weights[scenario.slice_names.index(failure.slice)]


def sees(scenario: Scenario, monitor: Monitor, failure: Failure) -> bool:
    """Whether a failure moves what a monitor looks at."""
    if monitor.metric == "truth":
        return True
    if monitor.metric == "signal":
        return _moves_signal(scenario, scenario.signal(str(monitor.signal)), failure)
    if monitor.metric in ("accuracy", "slice_accuracy"):
        return failure.accuracy_drop > 0.0 and (
            monitor.slice is None or failure.slice in (None, monitor.slice)
        )
    looked_at = [f for f in scenario.features if monitor.features == "all" or f.name in monitor.features]
    if monitor.metric == "prediction_distribution_shift":
        looked_at = [feature for feature in looked_at if feature.weight > 0.0]
    return any(failure.feature_shift.get(feature.name, 0.0) != 0.0 for feature in looked_at)


def _moves_signal(scenario: Scenario, signal: Any, failure: Failure) -> bool:
    if signal.kind == "throughput":
        return any(part > 0.0 for part in lost_parts(scenario, failure))
    follows = signal.kind == "lift" or getattr(signal, "per_accuracy_lost", 0.0) != 0.0
    if follows and failure.accuracy_drop > 0.0:
        return True
    if signal.kind == "lift":  # a factor on both groups is one on their difference, what is added cancels out
        return any(e.signal == signal.of and e.factor not in (None, 1.0) for e in failure.effects)
    return any(e.signal == signal.name and not _empty(e) for e in failure.effects)


def _empty(effect: Any) -> bool:
    """Whether an effect has size 0."""
    return effect.add == 0.0 or effect.factor == 1.0
