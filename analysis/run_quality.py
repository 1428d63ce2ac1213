"""How good the monitors of a run were at noticing lost accuracy, each beside one that looks at nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.detection_quality import Quality, every, quality
from scenarios.units import HOURS_PER_DAY

if TYPE_CHECKING:
    from sim.record import Result

IN_TIME = 7.0
"""Days after a loss within which an alarm is in time, unless told otherwise."""


def monitor_quality(result: Result, in_time: float = IN_TIME) -> pd.DataFrame:
    """Alarms of each monitor against the material losses of accuracy in a run.

    result: from `sim.run`; in_time: days, > 0. Each champion is judged by itself, and a loss is the first window in
    which its accuracy (that of the slice, for a monitor of one) has fallen by the scenario's `material_drop`. The
    first alarm at most `in_time` later detects it; every other alarm is false here, late and repeated ones too
    (`analysis.detection_quality`).
    Returns a row a monitor: losses, detected, missed, alarms, false_alarms, late, delay_hours (mean of the detected),
    precision, recall, f1; and every_days, f1_of_every: a dumb monitor that calls as often, at equal distances.
    Raises ValueError for in_time <= 0.
    """
    if not in_time > 0:
        raise ValueError(f"in_time: got {in_time}, expected days > 0")
    length, window = len(result.requests), result.scenario.window
    rows = {}
    for name in result.scores:
        called = [round(alarm.time / window) - 1 for alarm in result.alarms if alarm.monitor == name]
        losses = result.losses(result.watched_slices.get(name))
        lost = {champion.version.number: at for champion, at, _ in losses}
        found = _judged(result, lost, called, in_time / window)
        k = max(round(length / len(called)), 1) if called else 0
        regular = np.asarray(every(k)(np.empty(length))) if called else np.empty(0)
        dumb = _judged(result, lost, regular, in_time / window).f1 if called else math.nan
        rows[name] = _row(found, window) | {"every_days": k * window if k else math.nan, "f1_of_every": dumb}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("monitor")


def _judged(
    result: Result, lost: Mapping[int, int], called: Sequence[int] | np.ndarray, tolerance: float
) -> Quality:
    """Quality of alarms at the ends of windows, pooled over the champions; lost: window by number of the version."""
    starts = [champion.window for champion in result.champions] + [len(result.requests)]
    parts = []
    for champion, start, stop in zip(result.champions, starts, starts[1:], strict=False):
        own = sorted({index - start for index in called if start <= index < stop})
        onset = lost.get(champion.version.number)
        changes = [onset - start] if onset is not None and start <= onset < stop else []
        parts.append(quality(own, changes, stop - start, tolerance))
    return reduce(add, parts)


def _row(found: Quality, window: float) -> dict[str, float]:
    return {
        "losses": found.changes,
        "detected": found.detected,
        "missed": found.missed,
        "alarms": found.alarms,
        "false_alarms": found.false_alarms,
        "late": found.late,
        "delay_hours": found.mean_delay * window * HOURS_PER_DAY,
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
    }
