"""What only the whole scenario can tell of its signals and failures: that they fit each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scenarios.distributions import longest, shortest
from scenarios.failure_catalogue import fitted
from scenarios.failures import ACTIONS
from scenarios.names import check_known
from scenarios.signals import Freshness, Lift
from scenarios.units import DURATION, format_duration
from scenarios.world import RecordedQuality

if TYPE_CHECKING:
    from scenarios.failures import Failure
    from scenarios.monitoring import Monitor
    from scenarios.schema import Scenario

_FITTING = {
    "proportion": "expected add or factor",
    "mean": "expected add or factor",
    "throughput": "expected factor, from 0 to 1",
    "freshness": "expected stall",
    "lift": "it follows the proportion that it compares, give that one the effect",
}
MAX_ONSETS = 100_000
"""Incidents of one failure mode."""


def check_signals(scenario: Scenario) -> None:
    """Raise ValueError, naming the place, for signals that do not fit each other."""
    throughputs = [signal.name for signal in scenario.signals if signal.kind == "throughput"]
    if len(throughputs) > 1:
        raise ValueError(
            f"signals: {' and '.join(throughputs)} are both throughput, and there is one traffic"
        )
    for number, signal in enumerate(scenario.signals):
        if isinstance(signal, Lift):
            proportions = tuple(item.name for item in scenario.signals if item.kind == "proportion")
            check_known(f"signals[{number}].of", signal.of, proportions)
            _check_lift(scenario, f"signals[{number}]", signal)


def _check_lift(scenario: Scenario, place: str, lift: Lift) -> None:
    if isinstance(scenario.quality, RecordedQuality):
        raise ValueError(f"{place}: a lift needs a quality with an initial accuracy, not a recorded one")
    initial = math.fsum(
        weight * (scenario.quality.initial_accuracy if own is None else own)
        for weight, own in zip(scenario.slice_weights, _slice_accuracies(scenario), strict=True)
    )
    if lift.baseline_accuracy >= initial:
        raise ValueError(
            f"{place}.baseline_accuracy: must be below the initial accuracy ({initial:g}), or the model adds "
            "nothing"
        )
    of: Any = scenario.signal(lift.of)
    share = of.base + of.per_accuracy_lost * (initial - lift.baseline_accuracy)
    if not 0.0 <= share <= 1.0:
        raise ValueError(
            f"{place}.baseline_accuracy: with it {lift.of} would be {share:.3g} of the holdout group's requests, "
            "expected a share between 0 and 1"
        )
    if of.per_accuracy_lost == 0.0:
        raise ValueError(f"{place}.of: {lift.of} does not depend on the model, give it per_accuracy_lost")


def _slice_accuracies(scenario: Scenario) -> list[float | None]:
    """Initial accuracy of each slice where it differs from the model's."""
    given = [item.initial_accuracy for item in scenario.slices]
    return given + [None] * (len(scenario.slice_names) - len(given))


def check_failures(scenario: Scenario) -> None:
    """Fit kinds of the catalogue to the scenario. Raise ValueError for a failure that moves what is not there."""
    scenario.failures[:] = [fitted(scenario, failure) for failure in scenario.failures]
    names = tuple(failure.name for failure in scenario.failures)
    slices = tuple(item.name for item in scenario.slices)
    signals = tuple(signal.name for signal in scenario.signals)
    for number, failure in enumerate(scenario.failures):
        place = f"failures[{number}]"
        check_known(f"{place}.slice", failure.slice, slices)
        if failure.trigger is not None:
            check_known(f"{place}.trigger.on", failure.trigger.on, (*ACTIONS, *names))
        check_known(f"{place}.feature_shift", list(failure.feature_shift), scenario.feature_names)
        for index, effect in enumerate(failure.effects):
            check_known(f"{place}.effects[{index}].signal", effect.signal, signals)
            kind = scenario.signal(effect.signal).kind
            if not effect.fits(kind):
                raise ValueError(
                    f"{place}.effects[{index}]: does not fit {effect.signal}, a {kind} signal: {_FITTING[kind]}"
                )
        _check_drop(scenario, place, failure)
        if failure.rate is not None and failure.rate * scenario.horizon > MAX_ONSETS:
            many = failure.rate * scenario.horizon
            raise ValueError(f"{place}.rate: gives {many:.3g} incidents, expected at most {MAX_ONSETS:,}")
        late = [onset for onset in failure.onsets or () if onset >= scenario.horizon]
        if late:
            raise ValueError(
                f"{place}.onsets: {format_duration(late[0])} is not before the horizon, "
                f"{format_duration(scenario.horizon)}"
            )


def _check_drop(scenario: Scenario, place: str, failure: Failure) -> None:
    """A failure cannot take more accuracy than what it hits has."""
    if isinstance(scenario.quality, RecordedQuality):
        return
    initial, whose = scenario.quality.initial_accuracy, "the model"
    if failure.slice not in (None, "all"):
        own = next(item.initial_accuracy for item in scenario.slices if item.name == failure.slice)
        initial, whose = (initial if own is None else own), f"slice {failure.slice}"
    if failure.accuracy_drop > initial:
        raise ValueError(
            f"{place}.accuracy_drop: {failure.accuracy_drop:g} is more than the initial accuracy of {whose}, "
            f"expected at most {initial:g}"
        )


def check_deadline(scenario: Scenario, place: str, monitor: Monitor) -> None:
    """Raise ValueError, naming `place`, for a deadline that is missed always, or never.

    The second only where there are failures that make these data late, and only for rule threshold.
    """
    if monitor.deadline is None or monitor.signal is None or monitor.rule != "threshold":
        return
    signal = scenario.signal(monitor.signal)
    if not isinstance(signal, Freshness):
        return
    given, youngest = DURATION.write(monitor.deadline), shortest(signal.age)
    if monitor.deadline < youngest * (1.0 - 1e-9):
        raise ValueError(
            f"{place}.deadline: {given} is missed at every look, though nothing is wrong: {signal.name} is "
            f"{format_duration(youngest)} old at best, expected more than that"
        )
    stalls = [
        effect.stall * failure.share
        for failure in scenario.failures
        for effect in failure.effects
        if effect.signal == signal.name and effect.stall is not None
    ]
    oldest = longest(signal.age) + max(stalls, default=math.inf)
    if monitor.deadline >= oldest * (1.0 - 1e-9):
        raise ValueError(
            f"{place}.deadline: {given} is never missed: failures make {signal.name} at most "
            f"{format_duration(max(stalls))} older than usual, {format_duration(oldest)} in all, expected less"
        )
