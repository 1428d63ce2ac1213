"""Monitors at work: a watch for each, what they call, and the labels that they use.

`sim.watch` is what all watches do; `sim.label_watch`, `sim.feature_watch` and `sim.signal_watch` what they look at;
`sim.alarm_rules` when they call.
"""

from __future__ import annotations

import numpy as np

from scenarios.monitoring import Monitor
from scenarios.signals import Lift
from sim.feature_watch import FeatureWatch
from sim.label_watch import LabelWatch
from sim.signal_watch import SignalWatch, TruthWatch
from sim.watch import Alarm, Array, Call, Champion, Readings, Watch
from sim.world import World

__all__ = [
    "Alarm",
    "Call",
    "Champion",
    "FeatureWatch",
    "LabelWatch",
    "Readings",
    "SignalWatch",
    "TruthWatch",
    "Watch",
    "labels_used",
    "lifts_of",
    "watches_of",
]


def watches_of(monitors: list[Monitor], world: World) -> list[Watch]:
    """A watch for each monitor."""
    return [_watch_of(monitor, world) for monitor in monitors]


def _watch_of(monitor: Monitor, world: World) -> Watch:
    if monitor.needs_labels:
        return LabelWatch(monitor, world)
    if monitor.metric == "truth":
        return TruthWatch(monitor, world)
    return FeatureWatch(monitor, world) if monitor.needs_features else SignalWatch(monitor, world)


def labels_used(watches: list[Watch]) -> float:
    """Labels that the monitors looked at; one that several of them saw is counted once."""
    overall = np.zeros(1)
    slices: dict[int, Array] = {}
    for watch in watches:
        if isinstance(watch, LabelWatch):
            if watch.slice is None:
                overall = np.maximum(overall, watch.bought)
            else:
                slices[watch.slice] = np.maximum(slices.get(watch.slice, np.zeros(1)), watch.bought)
    return float(np.maximum(overall, sum(slices.values(), np.zeros(1))).sum())


def lifts_of(watches: list[Watch]) -> list[Lift]:
    """Holdout groups that the monitors need; one that several of them read is there once."""
    found = {w.lift.name: w.lift for w in watches if isinstance(w, SignalWatch) and w.lift is not None}
    return list(found.values())
