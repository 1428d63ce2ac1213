"""Whether a fleet keeps up: the trend of the requests in it, not their mean.

overloaded: their number grows over the whole run. backlogged: it grows for a significant stretch and comes back.
stable: neither. A fleet with long queues can be stable, and one with short queues at the end of a run overloaded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Interval, mean_interval
from scenarios.units import SECONDS_PER_DAY, format_duration

Array = NDArray[np.float64]
Verdict = Literal["stable", "backlogged", "overloaded"]

PARTS = 20
"""Batches of a run without a period."""
PERIODS = 4
"""Whole periods that a run must have to be judged from period to period."""
LEVEL = 0.99
"""Confidence of the interval of the growth."""
STEPS = 1000
"""Moments at which stretches of growth begin and end."""
STRETCH = 8
"""Steps of a stretch, at least."""
SIGNIFICANT = 5.0
"""Mean growth of a stretch in standard errors; of half a million stretches the steepest is looked at."""


@dataclass(frozen=True)
class Trend:
    """How the number of requests in a fleet moves."""

    verdict: Verdict
    growth: Interval
    """Requests per second by which their number grows over the run, from batch means, with its interval."""
    stretch: tuple[float, float] | None
    """Seconds from and to which it grows, as far as that is significant."""

    def __str__(self) -> str:
        """The verdict with its growth."""
        low, high = self.growth.low, self.growth.high
        why = ""
        if self.verdict == "overloaded" and low <= 0.0 and self.stretch is not None:
            since = format_duration(self.stretch[0] / SECONDS_PER_DAY)
            why = f"; the backlog that began after {since} has not come back"
        return f"{self.verdict} (grows by {self.growth.mean:.3g}/s, 99 % {low:.3g} to {high:.3g}{why})"


def trend_of(times: Array, in_system: Array, waiting: Array, period: float = 0.0) -> Trend:
    """The trend of a run.

    times: seconds, evenly spaced, (n,), n >= 2 * PARTS; in_system: requests that wait or are served then; waiting: of
    these, those that wait; period: seconds after which the load repeats, 0 without: batches are whole periods where
    there are enough. Growth over the whole run is judged by the increments of the batch means, whose sum a fleet that
    keeps up cannot drive far, with Student's t at 99 %. A stretch of growth is one of at least STRETCH steps of
    the run in which the mean increment of those who wait is more than SIGNIFICANT standard errors above 0, by the
    increments of the stretch and by those of the whole run: growth that is steady, and large for this queue; when more
    than half of what it grew to is still there at the end, it has not come back, and the run is overloaded as well.

    >>> seconds = np.arange(1000.0)
    >>> queue = 0.5 * seconds + np.random.default_rng(1).normal(0.0, 5.0, 1000)
    >>> trend_of(seconds, queue, queue).verdict
    'overloaded'
    """
    n = len(times)
    if n < 2 * PARTS:
        raise ValueError(f"times: got {n} moments, expected at least {2 * PARTS}")
    step = float(times[-1] - times[0]) / (n - 1)
    growth = _growth(in_system, step, period)
    stretch = _steepest(waiting, step, float(times[0]))
    if growth.low > 0.0:
        return Trend("overloaded", growth, stretch)
    if stretch is None:
        return Trend("stable", growth, None)
    begin = round((stretch[0] - float(times[0])) / step)
    peak = float(waiting[begin:].max())
    left = float(waiting[-max(n // STEPS, 1) :].mean()) - float(waiting[begin])
    stays = left > 0.5 * (peak - float(waiting[begin]))
    return Trend("overloaded" if stays else "backlogged", growth, stretch)


def _growth(number: Array, step: float, period: float) -> Interval:
    """Growth per second from the increments of batch means."""
    n = len(number)
    per_period = period / step
    if period > 0.0 and int((n + 0.5) / per_period) >= PERIODS:
        edges = np.round(np.arange(int((n + 0.5) / per_period) + 1) * per_period).astype(np.int64)
    else:
        edges = np.linspace(0, n, PARTS + 1).astype(np.int64)
    sums = np.concatenate(([0.0], np.cumsum(number)))
    lengths = np.diff(edges)
    means = np.diff(sums[np.minimum(edges, n)]) / lengths
    apart = step * float(lengths.mean())
    return Interval(*(bound / apart for bound in mean_interval(np.diff(means), LEVEL)))


def _steepest(waiting: Array, step: float, start: float) -> tuple[float, float] | None:
    """The stretch with the most significant growth, seconds; None where none is significant."""
    places = np.unique(np.linspace(0, len(waiting) - 1, min(STEPS, len(waiting))).astype(np.int64))
    level = waiting[places].astype(np.float64)
    increments = np.diff(level)
    sums = np.concatenate(([0.0], np.cumsum(increments)))
    squares = np.concatenate(([0.0], np.cumsum(increments**2)))
    count = np.arange(len(level))[None, :] - np.arange(len(level))[:, None]
    rise = sums[None, :] - sums[:, None]
    usual = max(float(increments.std()), 1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = rise / count
        variance = ((squares[None, :] - squares[:, None]) - count * mean**2) / (count - 1)
        error = np.sqrt(np.maximum(variance, 1e-12) / count)
        score = np.minimum(mean / error, rise / (usual * np.sqrt(np.maximum(count, 1))))
        score = np.where((count >= STRETCH) & (rise > 1.0), score, -math.inf)
    begin, end = np.unravel_index(int(np.argmax(score)), score.shape)
    if score[begin, end] <= SIGNIFICANT:
        return None
    return start + step * float(places[begin]), start + step * float(places[end])
