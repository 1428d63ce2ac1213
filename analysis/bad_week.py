"""Which week was bad: what incidents cost in each window, and the days in which that was most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.incident_phases import last_moment
from sim.incidents import Incident
from sim.record import Result

Array = NDArray[np.float64]

NEARLY = 0.8
"""Of weeks that cost at least this share of the dearest one, the one with the most events tells the story."""
EDGE = 0.03
"""Share of the time at each end in which events would be hard to see."""
MARGIN = 0.18
"""Time shown before and after a short story, as a share of its length."""


def incident_losses(result: Result) -> Array:
    """Money that incidents lost on accuracy and requests in each window, (windows,); without their own prices."""
    taken = np.zeros(len(result.requests))
    if result.unharmed is not None:
        weights = np.array(result.scenario.slice_weights)
        worth = result.requests * result.scenario.value_per_query_per_unit_accuracy
        taken = worth * (weights @ (result.unharmed - result.accuracy))
    return np.asarray(taken + result.lost_requests)


def loss_between(result: Result, start: float, stop: float) -> float:
    """Money that incidents cost from start to stop (days), their own prices included."""
    return float(np.diff(_lost_by(result, np.array([start, stop])))[0])


def story_of(result: Result, start: float | None = None, days: float = 7.0) -> tuple[float, float]:
    """First and last moment (days) of the time to tell about.

    start: days; the time in which incidents cost most when None, from a midnight on, and only the time around them
    where they are a story of less than a day, or of less than a third of `days`. days: length, > 0.
    Raises ValueError for a run without incidents, or a time outside of it.
    """
    horizon = result.scenario.horizon
    if not (math.isfinite(days) and days > 0.0):
        raise ValueError(f"days: got {days}, expected a number > 0")
    if start is not None:
        if not 0.0 <= start < horizon:
            raise ValueError(f"start: got day {start}, expected a moment from 0 to before day {horizon:g}")
        return float(start), min(start + days, horizon)
    if not result.raw_incidents:
        raise ValueError("plot_incidents: the run has no incidents, so there is no bad week to show")
    first, stop = _worst(result, days)
    told = overlapping(result, first, stop)
    begin, over = min(i.onset.time for i in told), max(_busy_until(result, i) for i in told)
    length = over - begin
    if length >= min(1.0, days / 3.0):
        return first, stop
    margin = max(MARGIN * length, 5.0 / 1440.0, result.scenario.window)
    return max(begin - margin, 0.0), min(over + margin, horizon)


def overlapping(result: Result, start: float, stop: float) -> Sequence[Incident]:
    """Incidents of which a part falls between two moments (days), in the order of their onsets."""
    return [i for i in result.raw_incidents if i.onset.time < stop and last_moment(i) > start]


def _worst(result: Result, days: float) -> tuple[float, float]:
    """The stretch of so many days that cost most; among nearly equal ones that with the most events, in its middle."""
    horizon = result.scenario.horizon
    step = 1.0 if days >= 2.0 else days / 8.0
    starts = np.arange(0.0, max(horizon - days, 0.0) + step * (1.0 - 1e-9), step)
    stops = np.minimum(starts + days, horizon)
    lost = _lost_by(result, stops) - _lost_by(result, starts)
    moments = np.sort([moment for incident in result.raw_incidents for moment in _moments(incident)])
    edge = EDGE * days
    events = np.searchsorted(moments, stops - edge) - np.searchsorted(moments, starts + edge)
    lively = np.where(lost >= NEARLY * lost.max(), events, -1)
    ties = np.flatnonzero(lively == lively.max())
    best = int(ties[len(ties) // 2])
    return float(starts[best]), float(stops[best])


def _lost_by(result: Result, times: Array) -> Array:
    """Money that incidents had cost by each moment (days)."""
    losses = incident_losses(result)
    edges = np.arange(len(losses) + 1) * result.scenario.window
    total = np.interp(times, edges, np.r_[0.0, np.cumsum(losses)])
    for incident in result.raw_incidents:
        total += incident.failure.cost * (times > incident.onset.time)
    return np.asarray(total)


def _moments(incident: Incident) -> list[float]:
    steps = (incident.detected, incident.acknowledged, incident.mitigated, incident.resolved)
    return [incident.onset.time, *(moment for moment in steps if moment is not None)]


def _busy_until(result: Result, incident: Incident) -> float:
    """When an incident was over and the last who worked on it was done (days)."""
    ends = [
        w.end for w in result.work if w.failure == incident.failure.name and w.onset == incident.onset.time
    ]
    return max([last_moment(incident), *ends])
