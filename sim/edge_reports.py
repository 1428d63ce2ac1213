"""What devices tell the centre, and how monitors read their signals from it: late, from those that may, with noise.

A report covers the requests of its device since its last report, and is read in the window in which it arrives. The
centre knows nothing of the others: where no report arrives a monitor has nothing to look at. Swings of a day and what
incidents do to a signal are those of the day of arrival.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.signals import Mean, Proportion
from sim.devices import Told as ToldInWindows
from sim.edge_answers import FULL, Answers
from sim.kernels import sampling
from sim.monitoring import SignalWatch, Watch
from sim.signal_readings import MeanReading, ProportionReading, RequestReading, normal_tails, running_sum
from sim.world import World

Array = NDArray[np.float64]
Looks = NDArray[np.int64]


class Told:
    """Reports that arrived in each window, by the release that the device ran."""

    def __init__(self, world: World, answers: Answers) -> None:
        scenario = world.scenario
        self.usual = 0.0
        """Accuracy of what devices answer themselves, with the model that they came with, as it was at the start."""
        per_day = world.requests / scenario.window / answers.asks.sum()
        self.rate = per_day[:, None] * (answers.usage * (1.0 - answers.sent[:, FULL]))
        """(windows, groups) requests of one device a day that it answers itself, with the full model."""
        self.reports = np.zeros((scenario.windows, 0))
        """(windows, releases)"""
        self.requests = np.zeros((scenario.windows, 0))
        """(windows, releases) requests that the reports cover."""
        self.right = np.zeros((scenario.windows, 0))
        """(windows, releases) of these, as many as were right on average."""

    def grow(self) -> None:
        """There is one release more."""
        column = np.zeros((len(self.rate), 1))
        self.reports = np.hstack((self.reports, column))
        self.requests = np.hstack((self.requests, column))
        self.right = np.hstack((self.right, column))

    def add(self, first: int, stop: int, told: ToldInWindows) -> None:
        """Take in the reports of windows first..stop-1."""
        number, covered, right = self.by_group(first, stop, told)
        self.reports[first:stop] = number.sum(axis=1)
        self.requests[first:stop] = covered.sum(axis=1)
        self.right[first:stop] = right.sum(axis=1)

    def by_group(self, first: int, stop: int, told: ToldInWindows) -> tuple[Array, Array, Array]:
        """Reports, requests that they cover, and how many of these were right, each (windows, groups, releases)."""
        mean = np.divide(told.accuracy, told.number, out=np.zeros_like(told.accuracy), where=told.number > 0)
        covered = told.device_days * self.rate[first:stop, :, None]
        return told.number.astype(np.float64), covered, covered * mean

    def accuracy(self, first: int, stop: int) -> Array:
        """Mean accuracy of the requests that reports of each window cover, (windows,); 1 without any."""
        covered = self.requests[first:stop].sum(axis=1)
        right = self.right[first:stop].sum(axis=1)
        return np.asarray(np.divide(right, covered, out=np.ones(stop - first), where=covered > 0.0))


def read_what_devices_tell(watches: list[Watch], told: Told) -> None:
    """Let monitors of proportions and means look at reports; other signals are the centre's own."""
    for watch in watches:
        if not isinstance(watch, SignalWatch):
            continue
        signal = watch.world.scenario.signal(watch.monitor.signal or "")
        if isinstance(signal, Proportion):
            watch.reading = ReportedProportion(watch, signal, told)
        elif isinstance(signal, Mean):
            watch.reading = ReportedMean(watch, signal, told)


class _Reported(RequestReading):
    """What both kinds of reported signals have in common; goes before their reading of servers."""

    def __init__(self, watch: SignalWatch, signal: Proportion | Mean, told: Told) -> None:
        super().__init__(watch, signal)
        self.told = told
        reports = watch.world.scenario.edge.reports  # type: ignore[union-attr]
        self.privacy = 0.0 if reports is None else reports.noise
        self.privacy_key = watch.world.key(f"privacy:{signal.name}")
        self.variance = np.zeros(watch.windows + 1)
        """Running sum of the variance that privacy adds to the total."""

    def looked_at(self, first: int, stop: int) -> Array:
        """Requests looked at in each window: of those that reports cover, as many as are sampled."""
        covered = np.rint(self.told.requests[first:stop].sum(axis=1))
        served = self.watch.incidents.served(first, stop)
        covered = covered if served is None else np.floor(covered * served)
        monitor = self.watch.monitor
        if self.counted or monitor.hit_sampling_rate is not None:
            return np.asarray(covered)
        if monitor.sampling_rate is None:
            return np.asarray(np.minimum(covered, monitor.rows or 1000))
        if monitor.sampling == "none":
            return np.asarray(covered * monitor.sampling_rate)
        found = np.empty(stop - first)
        rate = np.full(stop - first, monitor.sampling_rate)
        sampling.binomial_at(self.thinning_key, np.arange(first, stop), covered.astype(np.int64), rate, found)
        return found

    def rows(self, first: int, stop: int) -> float:
        """Reports: each is a data point."""
        return float(self.told.reports[first:stop].sum())

    def begin(self, window: int) -> None:
        """Start to add up at a window."""
        super().begin(window)
        if window < len(self.variance):
            self.variance[window] = 0.0

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1 by the reports that arrived in them."""
        told = self.told.usual - self.told.accuracy(first, stop)
        super().observe(first, stop, told)

    def keep(self, first: int, stop: int, number: Array, total: Array) -> None:
        """Add windows to the running sums, with what each device adds for privacy."""
        reports = self.told.reports[first:stop].sum(axis=1)
        each = np.divide(number, np.sqrt(reports), out=np.zeros(stop - first), where=reports > 0.0)
        sd = self.privacy * each
        if self.privacy > 0.0 and self.watch.monitor.sampling != "none":
            luck = np.empty(stop - first)
            sampling.normal_at(self.privacy_key, np.arange(first, stop), luck)
            total = total + sd * luck
        running_sum(self.variance, first, stop, sd * sd)
        super().keep(first, stop, number, total)

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Standard deviation of the value by chance and by privacy while it is as usual."""
        alone = super().spread(begin, end)
        number = np.maximum(super().number(begin, end), 1.0)
        added = np.maximum(self.variance[end] - self.variance[begin], 0.0) / number**2
        return np.asarray(np.sqrt(alone**2 + added))

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a value as low, and as high; normal where privacy adds to it."""
        if self.privacy == 0.0:
            found: tuple[Array, Array] = super().tails(begin, end, ties)
            return found
        value = super().value(begin, end)
        spread = np.where(self.spread(begin, end) > 0.0, self.spread(begin, end), math.inf)
        return normal_tails((value - self.signal.base) / spread)


class ReportedProportion(_Reported, ProportionReading):
    """Hits among the requests that reports cover."""

    signal: Proportion


class ReportedMean(_Reported, MeanReading):
    """Mean over the requests that reports cover."""

    signal: Mean
