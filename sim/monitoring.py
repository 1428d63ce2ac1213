"""Monitors at work: each watches one metric over the rows or labels that it really sees.

A watch fills a score for every look since the current champion went live, and finds the looks at which its rule
calls. Its noise is tied to (seed, replication, monitor, window), so scores can be computed ahead, in any
blocks, and again after a deployment. A champion is judged on its own time: trailing windows restart with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from sim.kernels import sampling, scores
from sim.kernels.detectors import cusum_crossing
from sim.quality import Version
from sim.randomness import moment_number
from sim.world import World

Array = NDArray[np.float64]
SAMPLING = {"multinomial": sampling.EXACT, "normal": sampling.NORMAL, "none": sampling.EXPECTED}
SCORES = {
    "feature_drift_psi": scores.psi_of_counts,
    "feature_drift_ks": scores.ks_of_counts,
    "feature_drift_js": scores.js_of_counts,
    "prediction_distribution_shift": scores.js_of_counts,
}
PSEUDO_COUNT = 0.5
_SLACK = 1e-9  # a score at its threshold is not above it, whatever its last bits
_CDF_TABLE = sampling.normal_cdf_table()


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
        default_cadence = 1.0 if monitor.needs_labels else scenario.window
        cadence = monitor.cadence or max(default_cadence, scenario.window)
        # A CUSUM adds up independent looks, so its windows must not overlap.
        default_window = 7.0 if monitor.needs_labels and monitor.rule != "cusum" else cadence
        width = monitor.window or max(default_window, scenario.window)
        self.cadence = max(round(cadence / scenario.window), 1)
        self.width = max(round(width / scenario.window), 1)
        self.cooldown = max(math.ceil(monitor.cooldown / scenario.window - 1e-9), 1)
        self.score = np.full(self.windows, np.nan)
        self.rule = _rule(self, world)
        self.armed = 0
        self.next_alarm: int | None = None
        self._ruled = 0

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion; scores of the time before it went live stay as they were."""
        self.champion = champion
        self.next_alarm = None
        self._ruled = champion.first_full
        self.score[champion.window :] = np.nan
        self.rule.reset()

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

    def readings(self, stop: int) -> Readings:
        """What was measured on the champion by the end of window stop - 1."""
        looks = self.looks(self.champion.first_full, stop)
        looks = looks[~np.isnan(self.score[looks])]
        window = self.world.scenario.window
        return Readings((looks + 1.0) * window, self.score[looks], self.cadence * window)

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Rows or labels behind the scores of `looks`."""
        raise NotImplementedError

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        raise NotImplementedError

    def _search(self, stop: int) -> None:
        """Find the first call in windows not searched yet; windows in the cooldown are passed over."""
        if self.next_alarm is not None or self._ruled >= stop:
            return
        looks = self.looks(self._ruled, stop)
        if len(looks) == 0:
            self._ruled = stop
            return
        called = self.rule.first_call(self, looks)
        self._ruled = stop if called is None else called + 1
        self.next_alarm = called


class ThresholdRule:
    """Call at a look whose score is above the threshold."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def reset(self) -> None:
        """Nothing is remembered."""

    def first_call(self, watch: Watch, looks: NDArray[np.int64]) -> int | None:
        """First look of `looks` that calls."""
        above = watch.score[looks] > self.threshold * (1.0 + _SLACK)
        hits = looks[above & (looks >= watch.armed)]
        return int(hits[0]) if len(hits) else None


class CusumRule:
    """Call when the CUSUM of the scores, in units of their standard error, passes the decision interval."""

    def __init__(self, allowance: float, threshold: float) -> None:
        self.allowance, self.threshold = allowance, threshold
        self.statistic = 0.0

    def reset(self) -> None:
        """Start the sum at zero."""
        self.statistic = 0.0

    def first_call(self, watch: Watch, looks: NDArray[np.int64]) -> int | None:
        """First look of `looks` that calls; the sum restarts after a call."""
        assert isinstance(watch, LabelWatch)
        start = 0
        standardised = watch.score[looks] / watch.standard_error(looks)
        while start < len(looks):
            hit, self.statistic = cusum_crossing(
                standardised[start:], self.allowance, self.threshold, self.statistic
            )
            if hit < 0:
                return None
            self.statistic = 0.0
            start += hit + 1
            if looks[start - 1] >= watch.armed:
                return int(looks[start - 1])
        return None


class StalenessCostRule:
    """Call when the money lost to the measured drop since deployment reaches the price of a retraining."""

    def __init__(self, price: float, worth: Array) -> None:
        self.threshold = price
        self.worth = np.concatenate(([0.0], np.cumsum(worth)))
        self.lost = 0.0

    def reset(self) -> None:
        """Nothing is lost yet."""
        self.lost = 0.0

    def first_call(self, watch: Watch, looks: NDArray[np.int64]) -> int | None:
        """First look of `looks` that calls; what was lost keeps counting until a new champion."""
        begin = np.maximum(looks + 1 - watch.cadence, watch.champion.first_full)
        drop = np.maximum(np.nan_to_num(watch.score[looks]), 0.0)
        lost = self.lost + np.cumsum(drop * (self.worth[looks + 1] - self.worth[begin]))
        hits = np.flatnonzero((lost >= self.threshold) & (looks >= watch.armed))
        last = int(hits[0]) if len(hits) else len(looks) - 1
        self.lost = float(lost[last])
        return int(looks[last]) if len(hits) else None


Rule = ThresholdRule | CusumRule | StalenessCostRule


def _rule(watch: Watch, world: World) -> Rule:
    monitor, scenario = watch.monitor, world.scenario
    if monitor.rule == "cusum":
        return CusumRule(monitor.allowance, monitor.level)
    if monitor.rule == "staleness_cost":
        worth = world.requests * scenario.value_per_query_per_unit_accuracy
        return StalenessCostRule(scenario.pipeline.price, worth)
    return ThresholdRule(monitor.level)


class LabelWatch(Watch):
    """Accuracy, overall or of a slice, from the labels that have arrived; the score is the drop."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        scenario, batches = world.scenario, world.labels
        self.slice = None if monitor.slice is None else scenario.slice_names.index(monitor.slice)
        self.weights = np.array(scenario.slice_weights)
        self.method = SAMPLING[monitor.sampling]
        self.key = world.key(f"labels:{self.label}")
        self.count = batches.count
        if self.slice is not None:
            self.count = self._slice_labels(world)
        if monitor.rows is not None:
            self.count = _at_most(monitor.rows, self.count, batches.first)
        self.labels = np.zeros(self.windows + 1)
        self.correct = np.zeros(self.windows + 1)
        self.measured = np.full(self.windows, np.nan)

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion: only labels of requests that it served count."""
        super().reset(champion)
        self.measured[champion.window :] = np.nan
        self._reference_look = -1
        self.reference = math.nan if self.monitor.reference == "first_window" else self._validated(champion)

    def rewind(self, window: int) -> None:
        """Forget also a reference that was measured past the change."""
        if self._reference_look >= window:
            self.reference, self._reference_look = math.nan, -1
        self.measured[window:] = np.nan
        super().rewind(window)

    def _validated(self, champion: Champion) -> float:
        """Accuracy that validation measured, of a slice on its share of the holdout; true where nothing was."""
        gate = self.world.scenario.pipeline.gate
        if self.slice is None:
            measured = champion.version.validation
            return champion.fresh_accuracy if math.isnan(measured) else measured
        true = float(champion.fresh[self.slice])
        rows = 0 if gate is None else round(gate.holdout * self.weights[self.slice])
        if rows == 0 or champion.version.number == 0:
            return true
        moment = moment_number(champion.version.cut)
        return sampling.binomial_once(self.world.key(f"holdout:{self.label}"), moment, rows, true) / rows

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Labels in the trailing window of each look."""
        return self.labels[looks + 1] - self.labels[self._begin(looks)]

    def standard_error(self, looks: NDArray[np.int64]) -> Array:
        """Standard error of each drop under the reference accuracy."""
        spread = max(self.reference * (1.0 - self.reference), 1e-12)
        return np.sqrt(spread / np.maximum(self.sample_size(looks), 1.0))

    def _begin(self, looks: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(looks + 1 - self.width, self.champion.first_full)

    def _slice_labels(self, world: World) -> Array:
        batches = world.labels
        share = np.full(len(batches.count), self.weights[self.slice])
        count = np.empty(len(batches.count))
        key = world.key(f"slice_labels:{self.slice}")
        sampling.binomial_at(key, batches.identity, batches.count.astype(np.int64), share, count)
        return count

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        self._count_labels(first, stop, accuracy)
        self.measured[first:stop] = np.nan
        looks = self.looks(first, stop)
        if len(looks) == 0:
            return
        number = self.sample_size(looks)
        right = self.correct[looks + 1] - self.correct[self._begin(looks)]
        enough = number >= self.monitor.min_samples
        measured = np.divide(right, number, out=np.full(len(looks), np.nan), where=enough)
        if math.isnan(self.reference) and enough.any():
            self._reference_look = int(looks[enough][0])
            self.reference = float(measured[enough][0])
        self.measured[looks] = measured
        self.score[looks] = self.reference - measured

    def _count_labels(self, first: int, stop: int, accuracy: Array) -> None:
        """Add up the labels that arrive in windows first..stop-1 for requests that the champion served alone."""
        batches, served = self.world.labels, self.champion.first_full
        begin, end = batches.first[first], batches.first[stop]
        age = batches.window[begin:end] - served
        count = np.where(age >= 0, self.count[begin:end], 0.0)
        fresh = accuracy[:, served:stop]
        chance = (fresh[self.slice] if self.slice is not None else self.weights @ fresh)[np.maximum(age, 0)]
        correct = count * chance
        if self.method != SAMPLING["none"]:
            sampling.binomial_at(
                self.key, batches.identity[begin:end], count.astype(np.int64), chance, correct
            )
        arrived = batches.first[first + 1 : stop + 1] - begin
        for total, part in ((self.labels, count), (self.correct, correct)):
            running = np.zeros(len(part) + 1)
            np.cumsum(part, out=running[1:])
            total[first + 1 : stop + 1] = total[first] + running[arrived]


class FeatureWatch(Watch):
    """Distribution of the features, or of the predictions, against the champion's training data."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        scenario = world.scenario
        names = scenario.feature_names
        wanted = names if monitor.features == "all" else monitor.features
        self.columns = [names.index(name) for name in wanted]
        self.weights = np.array(scenario.slice_weights)
        self.loading: Array | None = None
        if monitor.metric == "prediction_distribution_shift":
            importance = np.array([scenario.features[column].weight for column in self.columns])
            self.loading = importance / max(float(np.linalg.norm(importance)), 1e-300)
        self.series = 1 if self.loading is not None else len(self.columns)
        self.rows = np.minimum(world.requests, monitor.rows or 1000).astype(np.int64)
        self.running_rows = np.concatenate(([0], np.cumsum(self.rows)))
        self.method = SAMPLING[monitor.sampling]
        self.key = world.key(f"rows:{self.label}")
        self.reference_key = world.key(f"reference:{self.label}")
        noiseless = monitor.sampling == "none" or monitor.metric == "feature_drift_ks"
        self.pseudo_count = 0.0 if noiseless else PSEUDO_COUNT
        self.kernel = SCORES[monitor.metric]
        self.expected = np.full((self.series, monitor.bins), 1.0 / monitor.bins)
        self.pooled = self.width > 1
        if self.pooled:
            self.running = np.zeros((self.windows + 1, self.series, monitor.bins))

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion: bins are learned on its training data."""
        super().reset(champion)
        monitor = self.monitor
        learned_rows = 0 if monitor.sampling == "none" else monitor.reference_rows
        self.edges = sampling.learn_edges(
            self.reference_key, moment_number(champion.version.cut), learned_rows, self.series, monitor.bins
        )
        if self.pooled:
            self.running[champion.first_full] = 0.0

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Rows in the trailing window of each look."""
        begin = np.maximum(looks + 1 - self.width, self.champion.first_full)
        return (self.running_rows[looks + 1] - self.running_rows[begin]).astype(np.float64)

    def shifts(self, first: int, stop: int) -> Array:
        """Mean shift of each watched series since the champion's training, (windows, series)."""
        features = self.state_features[:, first:stop][:, :, self.columns]
        gap = features - self.champion.version.data[:, None, self.columns]
        shift = gap[0] if len(gap) == 1 else np.tensordot(self.weights, gap, axes=1)
        return shift if self.loading is None else (shift @ self.loading)[:, None]

    def watch_state(self, features: Array) -> None:
        """Take the run's state of the features, (slices or 1, windows, features)."""
        self.state_features = features

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        counts = np.empty((stop - first, self.series, self.monitor.bins))
        shifts = np.ascontiguousarray(self.shifts(first, stop))
        sampling.feature_counts(
            self.key, first, shifts, self.edges, self.rows[first:stop], self.method, _CDF_TABLE, counts
        )
        looks = self.looks(first, stop)
        if self.pooled:
            np.cumsum(counts, axis=0, out=counts)
            self.running[first + 1 : stop + 1] = self.running[first] + counts
            begin = np.maximum(looks + 1 - self.width, self.champion.first_full)
            counts = self.running[looks + 1] - self.running[begin]
        elif self.cadence > 1:
            counts = counts[looks - first]
        if len(looks) == 0:
            return
        each = np.empty((len(looks), self.series))
        self.kernel(counts, self.expected, self.pseudo_count, each)
        score = each.max(axis=1) if self.monitor.aggregate == "max" else each.mean(axis=1)
        score[self.sample_size(looks) < self.monitor.min_samples] = np.nan
        self.score[looks] = score


def _at_most(rows: int, count: Array, first: NDArray[np.int64]) -> Array:
    """Labels of each batch (batches,) when at most `rows` of those that arrive in a window are looked at."""
    total = np.concatenate(([0.0], np.cumsum(count)))
    begin = np.repeat(total[first[:-1]], np.diff(first))
    arriving = np.repeat(total[first[1:]], np.diff(first)) - begin
    share = np.minimum(rows / np.maximum(arriving, 1.0), 1.0)
    # Rounding the running number of the window, not each batch, uses the limit up and does not pass it.
    before, after = total[:-1] - begin, total[1:] - begin
    return np.asarray(np.floor(after * share + 1e-9) - np.floor(before * share + 1e-9))


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
