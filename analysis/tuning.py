"""The best plain schedule: the dumb baseline that keeps the clever policies honest.

The interval is tuned on worlds of its own, so that its performance in the comparison is not flattered by hindsight.
Recorded quality has one world only: there the best schedule is best in hindsight.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from analysis.workers import in_order
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from scenarios.world import RecordedQuality
from sim.edge_samples import smaller_fleet
from sim.engine import run
from sim.policies import Policy, Scheduled
from sim.retraining import expected_duration

TUNING_REPLICATIONS = 2
REPLICATIONS_WITH_FAILURES = 4
"""Failures are rare, and make worlds differ more."""
HOPELESS = 3.0
"""A schedule that costs this many times the best one is not tried at half its interval: what retraining itself brings
about (its price, and failures that follow it) is then twice the best cost at least, and doubles with each halving."""
MOST = 20_000
"""Retrainings of a run that a schedule is tried with, at most."""
FIRST_TUNING_WORLD = 1_000_000_000
"""Replication numbers from here on are for tuning only."""


def resolved(
    scenario: Scenario, policy: PolicySpec | Policy, seed: int = 0, workers: int | None = 1
) -> PolicySpec | Policy:
    """The policy with its interval tuned where it asks for the best one (`scheduled:best`)."""
    if isinstance(policy, PolicySpec) and policy.tuned:
        return policy.model_copy(update={"interval": best_interval(scenario, seed, workers=workers)})
    return policy


def best_interval(
    scenario: Scenario, seed: int = 0, replications: int = TUNING_REPLICATIONS, workers: int | None = 1
) -> float:
    """Interval (days) of the schedule with the least mean cost; the horizon when never retraining is cheapest.

    Tries the horizon, its half, its quarter and so on, until the price of the retrainings alone passes the best cost
    so far or a schedule is hopeless, then closes in on the best one to 4 % (whole periods for recorded quality, all of
    them). Monitors are left out where nobody repairs what they find: there they change nothing about a schedule. A
    large fleet of devices is tried in small (`sim.edge_samples`), with its trains, waves and check-ins as they are.
    workers: processes, as in `compare`; the result is the same.
    """
    repaired = bool(scenario.failures) and scenario.response is not None
    bare = smaller_fleet(scenario).model_copy(
        update={"triggers": []} if repaired else {"monitors": [], "triggers": []}
    )
    replications = max(replications, REPLICATIONS_WITH_FAILURES) if repaired else replications
    found: dict[float, float] = {}

    def explore(intervals: Iterable[float]) -> float:
        new = [interval for interval in intervals if interval not in found]
        tasks = [
            (bare, seed, FIRST_TUNING_WORLD + k, interval) for interval in new for k in range(replications)
        ]
        costs = np.array(list(in_order(schedule_cost, tasks, workers))).reshape(len(new), replications)
        found.update(zip(new, costs.mean(axis=1).tolist(), strict=True))
        return min(found, key=lambda interval: (found[interval], -interval))

    if isinstance(scenario.quality, RecordedQuality):
        period = scenario.quality.period
        return explore(step * period for step in range(1, max(round(scenario.horizon / period), 1) + 1))
    duration = expected_duration(scenario) / scenario.pipeline.capacity
    shortest = max(scenario.window, duration, scenario.horizon / MOST)
    last = best = explore([scenario.horizon])
    while found[last] <= HOPELESS * found[best]:
        last /= 2.0
        price = scenario.pipeline.price * (scenario.horizon / last - 1.0)
        if last < shortest or price > found[best]:
            break
        best = explore([last])
    # A cost with several valleys (a world with seasons) hides some between two halvings.
    between = [rounded(i * f) for i in sorted(found, key=found.__getitem__)[:2] for f in (0.7, 1.4)]
    best = explore(interval for interval in between if shortest <= interval < scenario.horizon)
    for step in (1.16, 1.04):
        near = (rounded(best * step**k) for k in (-2, -1, 1, 2))
        best = explore(i for i in near if shortest <= i < scenario.horizon)
    return best


def schedule_cost(bare: Scenario, seed: int, replication: int, interval: float) -> float:
    """Cost of a schedule in one world."""
    return run(bare, Scheduled(interval), seed, replication=replication).ledger.total()


def rounded(interval: float) -> float:
    """Three significant digits: a schedule that people can read."""
    return float(f"{interval:.3g}")
