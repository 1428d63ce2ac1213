"""The best plain schedule: the dumb baseline that keeps the clever policies honest.

The interval is tuned on worlds of its own, so that its performance in the comparison is not flattered by hindsight.
Recorded quality has one world only: there the best schedule is best in hindsight.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar

from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from scenarios.world import RecordedQuality
from sim.engine import run
from sim.policies import Policy, Scheduled
from sim.retraining import expected_duration
from sim.world import World

TUNING_REPLICATIONS = 3
FIRST_TUNING_WORLD = 1_000_000_000
"""Replication numbers from here on are for tuning only."""


def resolved(scenario: Scenario, policy: PolicySpec | Policy, seed: int = 0) -> PolicySpec | Policy:
    """The policy with its interval tuned where it asks for the best one (`scheduled:best`)."""
    if isinstance(policy, PolicySpec) and policy.tuned:
        return policy.model_copy(update={"interval": best_interval(scenario, seed)})
    return policy


def best_interval(scenario: Scenario, seed: int = 0, replications: int = TUNING_REPLICATIONS) -> float:
    """Interval (days) of the schedule with the least mean cost; the horizon when never retraining is cheapest.

    Halves the interval from the horizon down until the cost has risen twice, then refines around the best one to 2 %
    (whole periods for recorded quality). Monitors are left out: they change nothing about a schedule.
    """
    bare = scenario.model_copy(update={"monitors": [], "triggers": []})
    worlds = [World(bare, seed, FIRST_TUNING_WORLD + k) for k in range(replications)]

    def cost(interval: float) -> float:
        policy = Scheduled(interval)
        return float(np.mean([_cost(world, policy) for world in worlds]))

    if isinstance(scenario.quality, RecordedQuality):
        period = scenario.quality.period
        steps = range(1, max(round(scenario.horizon / period), 1) + 1)
        return min((cost(step * period), step * period) for step in steps)[1]
    intervals, costs = _halving(scenario, cost)
    best = int(np.argmin(costs))
    longest, shortest = intervals[max(best - 1, 0)], intervals[min(best + 1, len(intervals) - 1)]
    found = minimize_scalar(
        lambda log_interval: cost(math.exp(log_interval)),
        bounds=(math.log(shortest), math.log(longest)),
        method="bounded",
        options={"xatol": 0.02, "maxiter": 8},
    )
    return _rounded(math.exp(found.x)) if found.fun < costs[best] else intervals[best]


def _cost(world: World, policy: Policy) -> float:
    return run(world.scenario, policy, world.seed, replication=world.replication, world=world).ledger.total()


def _halving(scenario: Scenario, cost: Callable[[float], float]) -> tuple[list[float], list[float]]:
    """Intervals horizon, horizon / 2, ... and their costs, until they have risen twice in a row."""
    shortest = max(scenario.window, expected_duration(scenario) / scenario.pipeline.capacity)
    intervals, costs = [scenario.horizon], [cost(scenario.horizon)]
    while len(costs) < 3 or not costs[-1] > costs[-2] > costs[-3]:
        following = intervals[-1] / 2.0
        if following < shortest:
            break
        intervals.append(following)
        costs.append(cost(following))
    return intervals, costs


def _rounded(interval: float) -> float:
    """Three significant digits: a schedule that people can read."""
    return float(f"{interval:.3g}")
