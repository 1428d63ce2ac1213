"""Runs that measure groups of monitors: how late they detect each failure mode, how often they err, what they cost.

Each group meets the worlds alone, in three kinds of run. As the scenario is: what the group costs. With no failure at
all: its false alarms. With one failure mode only, whose incidents end when they are detected: its delays. Random
streams have names, so that all these worlds have the same traffic, labels, drift and onsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.entrants import play_in
from analysis.monitoring_plans import rewritten
from scenarios.distributions import Fixed
from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.response import Fatigue, Response
from scenarios.schema import Scenario
from scenarios.telemetry import BILLING_MONTH
from sim.incidents import TIME_SLACK, sees
from sim.ledger import MONITORING
from sim.policies import Policy
from sim.record import Result
from sim.world import World

Groups = Mapping[str, Sequence[Monitor]]


class Delayed(NamedTuple):
    """One incident that one group of monitors could see."""

    replication: int
    group: str
    failure: str
    onset_days: float
    delay_days: float
    """NaN: not detected."""
    watched_days: float
    """From the onset to the end of the run."""
    healed: bool
    """It ended by itself before anybody had seen it."""
    hidden: bool
    """It began while an earlier one was still there unseen, so that its own detection cannot be told: not counted."""


class Spent(NamedTuple):
    """One run of one group of monitors."""

    replication: int
    group: str
    days: float
    false_alarms: int
    """While nothing fails."""
    drift_alarms: int
    """While nothing fails: calls that are right about the model's own decay."""
    cost_per_month: float
    """In 30 days of the scenario as it is; currency of the scenario."""


def play_groups(
    scenario: Scenario, groups: Groups, policy: Policy, seed: int, replication: int
) -> tuple[list[Delayed], list[Spent]]:
    """All runs of one replication. Groups have labels of their own for their monitors, which may repeat over groups."""
    usual = World(scenario, seed, replication)
    quiet = World(rewritten(scenario, {"failures": [], "monitors": []}), seed, replication)
    spent = [
        _spent(name, monitors, _play(usual, monitors, policy), _play(quiet, monitors, policy))
        for name, monitors in groups.items()
    ]
    return measured_delays(scenario, groups, policy, seed, replication), spent


def measured_delays(
    scenario: Scenario, groups: Groups, policy: Policy, seed: int, replication: int
) -> list[Delayed]:
    """The runs of one replication that measure delays: each failure mode alone."""
    delayed: list[Delayed] = []
    for failure in scenario.failures:
        watching = {name: list(ms) for name, ms in groups.items() if can_see(scenario, ms, failure)}
        if not watching:
            continue
        world = World(ended_when_detected(scenario, failure), seed, replication)
        for name, monitors in watching.items():
            delayed += _delays(name, failure, monitors, _play(world, monitors, policy))
    return delayed


def can_see(scenario: Scenario, monitors: Sequence[Monitor], failure: Failure) -> bool:
    """Whether a failure moves what any of the monitors looks at."""
    return any(sees(scenario, monitor, failure) for monitor in monitors)


def ended_when_detected(scenario: Scenario, failure: Failure) -> Scenario:
    """The scenario with one failure mode only, whose incidents are over the moment somebody is called.

    People who answer every page at once; they keep the snooze of the scenario, which makes monitors miss things.
    """
    now = Fixed(kind="fixed", value=0.0)
    response = Response(
        triage=now,
        repair=now,
        consolidation=0.0,
        fatigue=Fatigue(strength=0.0),
        snooze=None if scenario.response is None else scenario.response.snooze,
    )
    alone = failure.model_copy(update={"repair": None})
    return rewritten(scenario, {"failures": [alone], "response": response, "monitors": []})


def _play(world: World, monitors: Sequence[Monitor], policy: Policy) -> Result:
    watched = rewritten(world.scenario, {"monitors": list(monitors)})
    return play_in(world.for_scenario(watched), policy)


def _spent(name: str, monitors: Sequence[Monitor], usual: Result, quiet: Result) -> Spent:
    labels = {monitor.label for monitor in monitors}
    days = usual.scenario.horizon
    cost = float(sum(usual.costs[category] for category in MONITORING))
    calls = [alarm.true for alarm in quiet.alarms if alarm.monitor in labels]
    false = len(calls) - sum(calls)
    return Spent(usual.replication, name, days, false, sum(calls), cost * BILLING_MONTH / days)


def _delays(name: str, failure: Failure, monitors: Sequence[Monitor], result: Result) -> list[Delayed]:
    """Incidents of a run with one failure mode, each against the first call of a monitor that sees it."""
    scenario = result.scenario
    labels = {monitor.label for monitor in monitors if sees(scenario, monitor, failure)}
    calls = [alarm.time for alarm in result.alarms if alarm.monitor in labels]
    found, busy = [], -1.0
    for incident in result.raw_incidents:
        onset = incident.onset.time
        detected = next((time for time in calls if incident.active(time)), None)
        healed = detected is None and incident.onset.heals <= scenario.horizon - TIME_SLACK
        delay = float("nan") if detected is None else detected - onset
        found.append(
            Delayed(
                result.replication,
                name,
                failure.name,
                onset,
                delay,
                scenario.horizon - onset,
                healed,
                onset < busy - TIME_SLACK,
            )
        )
        busy = max(busy, incident.end)
    return found
