"""Monitors at work: a watch for each, what they call, and the labels that they use.

`sim.watch` is what all watches do, `sim.label_watch` and `sim.feature_watch` what they look at, `sim.alarm_rules` when
they call.
"""

from __future__ import annotations

import numpy as np

from scenarios.monitoring import Monitor
from sim.feature_watch import FeatureWatch
from sim.label_watch import LabelWatch
from sim.watch import Alarm, Array, Call, Champion, Readings, Watch
from sim.world import World

__all__ = [
    "Alarm",
    "Call",
    "Champion",
    "FeatureWatch",
    "LabelWatch",
    "Readings",
    "Watch",
    "labels_used",
    "watches_of",
]


def watches_of(monitors: list[Monitor], world: World) -> list[Watch]:
    """A watch for each monitor."""
    return [LabelWatch(m, world) if m.needs_labels else FeatureWatch(m, world) for m in monitors]


def labels_used(watches: list[Watch]) -> float:
    """Labels that the monitors looked at; one that several of them saw is counted once."""
    overall = np.zeros(1)
    slices: dict[int, Array] = {}
    for watch in watches:
        if isinstance(watch, LabelWatch):
            if watch.slice is None:
                overall = np.maximum(overall, watch.count)
            else:
                slices[watch.slice] = np.maximum(slices.get(watch.slice, np.zeros(1)), watch.count)
    return float(np.maximum(overall, sum(slices.values(), np.zeros(1))).sum())
