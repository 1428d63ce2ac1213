"""When a monitor calls: rules over the scores of its looks.

A rule sees a watch and the looks it has not judged yet, in order, and answers with the first at which the monitor
calls. What it remembers starts anew with each champion (`reset`). Rules that judge a score by what chance alone
would give (significance, CUSUM, detectors) take the watch's p-values or standardised scores, which know the sample
size behind each look and behind the reference. All looks at one champion share the luck of its reference: rates of
false alarms hold on average over champions, and where a look has more rows than a small part of the reference's, rules
that add looks up (CUSUM, EWMA and other detectors) call more often than their run lengths say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.detectors import Detector as Parameters
from scenarios.monitoring import AdaptiveLimits
from sim.kernels.adaptive import adaptive_limits, adaptive_memory
from sim.kernels.detectors import CUSUM, DETECTORS, EWMA

if TYPE_CHECKING:
    from sim.kernels.streaming import Detector
    from sim.watch import Watch

Array = NDArray[np.float64]
Looks = NDArray[np.int64]
_SLACK = 1e-9  # a score at its threshold is not above it, whatever its last bits


class Rule(Protocol):
    """What a watch asks of its rule."""

    def reset(self) -> None:
        """Start again: a new champion went live, or the world changed under what was computed ahead."""

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First of `looks` (windows, in order, none judged before) that calls, outside the watch's cooldown."""

    def threshold_at(self, watch: Watch, look: int) -> float:
        """What the score of a look is held against, for the record; NaN where that is no single number."""


class ThresholdRule:
    """Call at a look whose score is above the threshold."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def reset(self) -> None:
        """Nothing is remembered."""

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First look above the threshold."""
        above = watch.score[looks] > self.threshold * (1.0 + _SLACK)
        return _first(looks[above & (looks >= watch.armed)])

    def threshold_at(self, watch: Watch, look: int) -> float:
        """The threshold."""
        return self.threshold


class SignificanceRule:
    """Call at a look whose p-value is so small that chance alone gives it as rarely as the user accepts."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def reset(self) -> None:
        """Nothing is remembered."""

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First look with a p-value at or below the probability of a false alarm."""
        rare = watch.p_values(looks) <= self.probability
        return _first(looks[rare & (looks >= watch.armed)])

    def threshold_at(self, watch: Watch, look: int) -> float:
        """Score above which a look of this sample size calls."""
        return watch.threshold_of(self.probability, look)


class AdaptiveRule:
    """Call at a look above control limits from the champion's own past; `fixed` until there is enough of it.

    The time of a failure that was repaired is not learned from.
    """

    def __init__(self, limits: AdaptiveLimits, season: int, trailing: int, fixed: float) -> None:
        self.limits, self.season, self.trailing, self.fixed = limits, season, trailing, fixed
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._memory = adaptive_memory(self.season)
        self._known = np.empty(0)

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First look above its limit."""
        limit = self._limits(watch, looks)
        # Equal scores have a limit equal to them but for rounding, of either sign.
        above = watch.score[looks] > limit + _SLACK * np.maximum(np.abs(limit), 1e-3)
        return _first(looks[above & (looks >= watch.armed)])

    def threshold_at(self, watch: Watch, look: int) -> float:
        """The limit in force at a look."""
        return float(self._limits(watch, np.array([look]))[0])

    def _limits(self, watch: Watch, looks: Looks) -> Array:
        """Limits of looks of the champion; what is not known yet is worked out from the sums so far."""
        past = watch.looks(watch.origin, int(looks[-1]) + 1)
        start = len(self._known)
        if len(past) > start:
            limits = np.concatenate((self._known, np.empty(len(past) - start)))
            least, deviations = self.limits.min_looks, self.limits.deviations
            scores = np.where(watch.disturbed[past], np.nan, watch.score[past])
            adaptive_limits(scores, start, self.trailing, least, deviations, self._memory, limits)
            self._known = limits
        found = self._known[(looks - past[0]) // watch.cadence]
        return np.where(np.isnan(found), self.fixed, found)


class DetectorRule:
    """Call when a streaming detector does, fed with what came in at each look."""

    def __init__(self, detector: Detector, threshold: float = math.nan) -> None:
        self.detector, self.threshold = detector, threshold
        self.reset()

    def reset(self) -> None:
        """Start the detector afresh."""
        self.detector.reset()
        self._fed = -1
        self._calls = np.empty(0, dtype=np.int64)

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First look during which the detector called; it restarts by itself after a call."""
        self._feed(watch, looks[looks > self._fed])
        return _first(self._calls[(self._calls >= looks[0]) & (self._calls >= watch.armed)])

    def threshold_at(self, watch: Watch, look: int) -> float:
        """The decision interval of a CUSUM; a detector compares more than one number."""
        return self.threshold

    def _feed(self, watch: Watch, looks: Looks) -> None:
        # What lies beyond a call is fed at once as well: a detector does not know who listens.
        if len(looks) == 0:
            return
        for values, look_of in watch.stream(looks):
            self._calls = np.concatenate((self._calls, look_of[self.detector.update_many(values)]))
        self._fed = int(looks[-1])


class StalenessCostRule:
    """Call when the money lost to the measured drop since deployment reaches the price of a retraining."""

    def __init__(self, price: float, worth: Array) -> None:
        self.threshold = price
        self.worth = np.concatenate(([0.0], np.cumsum(worth)))
        self.lost = 0.0

    def reset(self) -> None:
        """Nothing is lost yet."""
        self.lost = 0.0

    def first_call(self, watch: Watch, looks: Looks) -> int | None:
        """First look of `looks` that calls; what was lost keeps counting until a new champion."""
        begin = np.maximum(looks + 1 - watch.cadence, watch.champion.first_full)
        drop = np.maximum(np.nan_to_num(watch.score[looks]), 0.0)
        lost = self.lost + np.cumsum(drop * (self.worth[looks + 1] - self.worth[begin]))
        hits = np.flatnonzero((lost >= self.threshold) & (looks >= watch.armed))
        last = int(hits[0]) if len(hits) else len(looks) - 1
        self.lost = float(lost[last])
        return int(looks[last]) if len(hits) else None

    def threshold_at(self, watch: Watch, look: int) -> float:
        """The price of a retraining."""
        return self.threshold


def rule_of(watch: Watch) -> Rule:
    """The rule of a watch, from its monitor."""
    monitor, scenario = watch.monitor, watch.world.scenario
    look = watch.cadence * scenario.window
    if monitor.rule == "cusum":
        chart = CUSUM(allowance=monitor.allowance, decision_interval=monitor.level, sided="upper")
        return DetectorRule(chart, monitor.level)
    if monitor.rule == "staleness_cost":
        worth = watch.world.requests * scenario.value_per_query_per_unit_accuracy
        return StalenessCostRule(scenario.pipeline.price, worth)
    if monitor.rule == "significance":
        return SignificanceRule(monitor.accepted_false_alarms * look)
    if monitor.rule == "adaptive":
        limits = monitor.limits or AdaptiveLimits()
        trailing = max(round(limits.trailing / look), 1)
        return AdaptiveRule(limits, round(limits.season_length / look), trailing, monitor.level)
    if monitor.detector is not None:
        return DetectorRule(detector_of(monitor.detector))
    return ThresholdRule(monitor.level)


def detector_of(parameters: Parameters) -> Detector:
    """The streaming detector that a scenario means."""
    fields = parameters.model_dump(exclude={"kind"})
    if parameters.kind == "shewhart":
        # Looks come standardised, whatever their size, so the chart of single readings serves for all of them.
        return EWMA(lambda_val=1.0, **fields)
    return DETECTORS[parameters.kind](**fields)


def _first(looks: Looks) -> int | None:
    return int(looks[0]) if len(looks) else None
