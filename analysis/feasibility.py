"""Can this experiment answer the question? Warnings before a comparison starts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.economics import optimal_interval
from scenarios.monitoring import Monitor
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from scenarios.units import format_duration
from scenarios.world import ExponentialDecay, RecordedQuality
from sim.durations import mean, quantile
from sim.edge_samples import SAMPLE
from sim.oracle import unknown_to_the_plan
from sim.policies import (
    Budget,
    Continuous,
    Cooldown,
    Hybrid,
    Oracle,
    Policy,
    Scheduled,
    Triggered,
    Votes,
    innermost,
)
from sim.retraining import expected_duration
from sim.traffic import expected_requests

FEW_EVENTS = 5
SURE_REFERENCE = 20
"""Rows of a reference per row of a look from which its own noise hardly shows in a rule that adds looks up."""


def warnings_for(scenario: Scenario, policies: Sequence[Policy], replications: int | None) -> list[str]:
    """What the user should know before believing the answer; empty when nothing is in the way."""
    watched = {monitor.label: monitor for monitor in [*scenario.triggers, *scenario.monitors]}
    for policy in policies:
        watched |= {monitor.label: monitor for monitor in policy.monitors(scenario)}
    monitors = list(watched.values())
    found = [
        *_fleet(scenario),
        *_horizon(scenario),
        *_samples(scenario, monitors),
        *_references(scenario, monitors),
        *review_warnings(scenario),
    ]
    if replications is not None and replications < 2:
        found.append("one replication gives no confidence interval; ask for at least 10")
    elif replications is not None and replications < 10:
        found.append(f"{replications} replications give wide intervals; 30 or --precision 0.05 are usual")
    for policy in policies:
        found += _policy(scenario, policy)
    if any(isinstance(policy, Oracle) for policy in policies):
        found += _oracle(scenario)
    return found


def run_warnings(scenario: Scenario, asked: PolicySpec | Policy, played: Policy) -> list[str]:
    """What concerns a run under one policy; what is about comparing policies is left out.

    asked: the policy as it was given, played: the same with its interval found (`scheduled:best`)
    """
    monitors = played.monitors(scenario)
    plans = isinstance(innermost(played), Oracle)
    searched = plans or (isinstance(asked, PolicySpec) and asked.tuned)
    return [
        *(_fleet(scenario) if searched else []),
        *_samples(scenario, monitors),
        *_references(scenario, monitors),
        *review_warnings(scenario),
        *_policy(scenario, played),
        *(_oracle(scenario) if plans else []),
    ]


def review_warnings(scenario: Scenario) -> list[str]:
    """Reviewers with more work than hours, and uncertain decisions too few for the errors that they should hold."""
    review = scenario.review
    if review is None:
        return []
    found = []
    cases = review.share * float(np.mean(expected_requests(scenario))) / scenario.window
    week = review.hours.days * (review.hours.end - review.hours.start)
    load = 7.0 * cases * mean(review.service) / (review.reviewers * week)
    if load >= 1.0 and review.deadline is None:
        found.append(
            f"review: the cases bring {load:.3g} times the work that reviewers have hours for, and no deadline: the "
            "backlog grows to the end, and waits depend on the horizon"
        )
    if load > 1.0 and review.deadline is not None:
        found.append(
            f"review: the cases bring {load:.3g} times the work that reviewers have hours for: in the long run "
            f"{1.0 - 1.0 / load:.0%} of them or more pass their deadline unseen; expected more reviewers or hours, or "
            "fewer cases"
        )
    if not isinstance(scenario.quality, RecordedQuality):
        errors = 1.0 - scenario.quality.initial_accuracy
        held = review.error_share * errors
        if held > review.share:
            found.append(
                f"review: share and error_share do not fit: a fresh model gets {_percent(errors)} of its decisions "
                f"wrong, and {_percent(review.error_share)} of these errors ({_percent(held)} of all decisions) cannot "
                f"be among the {_percent(review.share)} that are uncertain, so every uncertain decision counts as "
                f"wrong; expected share of at least {_percent(held)}, or error_share of at most "
                f"{_percent(review.share / errors)}"
            )
    return found


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g}%"


def _fleet(scenario: Scenario) -> list[str]:
    """What searches play with a smaller fleet of devices."""
    edge = scenario.edge
    if edge is None or edge.count <= SAMPLE:
        return []
    return [
        f"scheduled:best, and whether the oracle's plan pays, are tried with {SAMPLE:,} of the {edge.count:,} devices "
        "at prices in proportion; what is compared is played with all of them"
    ]


def _oracle(scenario: Scenario) -> list[str]:
    """What the oracle does not know."""
    unknown = unknown_to_the_plan(scenario)
    if not unknown:
        return []
    return [
        f"the oracle plans without {' and '.join(unknown)}: here it is a guide and no bound, and regret can be below 0"
    ]


def _horizon(scenario: Scenario) -> list[str]:
    quality = scenario.quality
    if isinstance(quality, RecordedQuality):
        return ["one record is one world: more replications do not make it more certain"]
    if not isinstance(quality, ExponentialDecay):
        return []
    requests = float(expected_requests(scenario).sum()) / scenario.horizon
    if requests <= 0.0 or quality.decay <= 0.0 or scenario.value_per_query_per_unit_accuracy <= 0.0:
        return ["accuracy is worth nothing here, or never falls: never retraining is best by construction"]
    best = float(
        optimal_interval(
            retrain_cost=scenario.pipeline.cost.total,
            queries_per_day=requests,
            value=scenario.value_per_query_per_unit_accuracy,
            accuracy=quality.initial_accuracy,
            decay=quality.decay,
        )
    )
    if not math.isfinite(best):
        return [
            "by the closed form a retraining never pays here: its price exceeds all that staleness can cost"
        ]
    found = []
    if best > scenario.horizon:
        found.append(
            f"the closed form would retrain every {best:.3g} d, which is beyond the horizon of "
            f"{format_duration(scenario.horizon)}: never retraining looks better than it is"
        )
    if best < expected_duration(scenario):
        found.append(
            f"the closed form would retrain every {format_duration(best)}, but a retraining takes "
            f"{format_duration(expected_duration(scenario))}: the closed form is out of its range"
        )
    return found


def _samples(scenario: Scenario, monitors: Sequence[Monitor]) -> list[str]:
    """Monitors that can never have enough rows or labels in a window."""
    found = []
    per_window = float(np.mean(expected_requests(scenario)))
    for monitor in monitors:
        if monitor.metric == "truth" or _kind(scenario, monitor) in ("throughput", "freshness"):
            continue
        width = monitor.window or (7.0 if monitor.needs_labels else scenario.cadence_of(monitor))
        seen = per_window * max(width / scenario.window, 1.0)
        if monitor.needs_labels:
            if scenario.labels is None:
                continue
            seen *= scenario.labels.coverage
            delay = float(quantile(scenario.labels.delay, 0.5))
            if delay >= scenario.horizon:
                found.append(
                    f"monitor {monitor.label} cannot call: labels take {format_duration(delay)}, the horizon is "
                    f"{format_duration(scenario.horizon)}"
                )
            elif delay + width > 0.5 * scenario.horizon:
                found.append(
                    f"monitor {monitor.label} has a full window of labels only {format_duration(delay + width)} "
                    "after a deployment, more than half the horizon"
                )
        if scenario.edge is not None and scenario.edge.reports is not None and monitor.signal is not None:
            seen *= scenario.edge.reports.opted_in
        if monitor.sampling_rate is not None:
            seen *= monitor.sampling_rate
        if monitor.rows is not None:
            seen = min(seen, monitor.rows * max(width / scenario.window, 1.0))
        if seen < monitor.min_samples:
            found.append(
                f"monitor {monitor.label} expects {seen:.3g} samples in a window and needs {monitor.min_samples}: it "
                "stays silent; widen its window or lower min_samples"
            )
    return found


def _kind(scenario: Scenario, monitor: Monitor) -> str | None:
    return None if monitor.signal is None else scenario.signal(monitor.signal).kind


def _references(scenario: Scenario, monitors: Sequence[Monitor]) -> list[str]:
    """Rules that add looks up against a reference that is itself a small sample."""
    found = []
    per_window = float(np.mean(expected_requests(scenario)))
    for monitor in monitors:
        learned = monitor.needs_labels or monitor.needs_features
        if not learned or not monitor.uses_looks_once or monitor.reads_labels or monitor.sampling == "none":
            continue
        look = scenario.cadence_of(monitor)
        seen = per_window * look / scenario.window
        reference: float = monitor.reference_rows
        if monitor.needs_labels:
            seen *= scenario.labels.coverage if scenario.labels else 0.0
            gate = scenario.pipeline.gate
            measured = gate is not None and monitor.reference == "validation"
            reference = gate.holdout if gate is not None and measured else math.inf
            reference = seen if monitor.reference == "first_window" else reference
        else:
            seen = min(seen, (monitor.rows or 1000) * look / scenario.window)
        if reference < SURE_REFERENCE * seen:
            found.append(
                f"monitor {monitor.label} compares {seen:.3g} rows a look with a reference of {reference:.3g}: all "
                "looks at one version share that reference's luck, so it calls more often than its run length says"
            )
    return found


def _policy(scenario: Scenario, policy: Policy) -> list[str]:
    match policy:
        case Cooldown(policy=inner) | Budget(policy=inner) | Votes(policy=inner):
            return _policy(scenario, inner)
        case Hybrid(schedule=schedule):
            return _interval(scenario, policy, schedule.interval)
        case Continuous(schedule=schedule):
            return _interval(scenario, policy, schedule.interval)
        case Scheduled(interval=interval):
            return _interval(scenario, policy, interval)
        case Triggered():
            monitors = policy.monitors(scenario)
            if not monitors:
                return [f"{policy.name}: the scenario has no triggers, so it never retrains"]
    return []


def _missed_train(scenario: Scenario, policy: Policy, interval: float) -> list[str]:
    """Schedules that do not go with the trains of a fleet of devices."""
    if scenario.edge is None or scenario.edge.ota.train is None:
        return []
    train, offset = scenario.edge.ota.train, scenario.edge.ota.offset
    if interval < 0.75 * train:
        return [
            f"{policy.name}: trains leave every {format_duration(train)} only: of the candidates between two of them "
            "all but the newest are trained for nothing"
        ]
    duration, rest = expected_duration(scenario), interval % train
    needed = duration % train
    if min(rest, train - rest) < 1e-6 and offset < needed:
        leaves = math.ceil((interval + duration - offset) / train) * train + offset
        long = "that long" if needed == duration else format_duration(duration)
        return [
            f"{policy.name}: trained on day {interval:g}, a release leaves on day {leaves:g}: set edge.ota.offset to "
            f"at least {format_duration(needed)} (a training takes {long})"
        ]
    return []


def _interval(scenario: Scenario, policy: Policy, interval: float) -> list[str]:
    if interval >= scenario.horizon:
        return [
            f"{policy.name}: its interval is not shorter than the horizon of {format_duration(scenario.horizon)}, "
            "so it never retrains"
        ]
    if interval < expected_duration(scenario) / scenario.pipeline.capacity:
        return [
            f"{policy.name}: a retraining takes {format_duration(expected_duration(scenario))}, longer than the "
            "interval: requests will queue and merge"
        ]
    missed = _missed_train(scenario, policy, interval)
    if missed:
        return missed
    if scenario.horizon / interval < FEW_EVENTS and not isinstance(scenario.quality, RecordedQuality):
        return [
            f"{policy.name}: fewer than {FEW_EVENTS} retrainings within the horizon: its cost depends on how the "
            "horizon happens to cut the last cycle"
        ]
    return []
