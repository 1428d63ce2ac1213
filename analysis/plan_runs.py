"""Runs of monitoring plans in the same worlds: what each costs, loses and finds.

The world of a replication does not depend on what is watched, so that it is drawn once for a chunk of plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.entrants import play_in
from analysis.workers import in_order
from scenarios.schema import Scenario
from scenarios.units import DAYS_PER_YEAR
from sim.ledger import MONITORING
from sim.policies import Policy
from sim.record import Result
from sim.world import World

Array = NDArray[np.float64]

PARTS = tuple(f"cost[{category}]" for category in MONITORING)
COLUMNS = ("monitoring", "loss", "incidents", "undetected", "delay_hours", *PARTS)
"""Of one run: cost of watching and all other cost, money a year; incidents, those that nothing detected, and the sum of
the times to detection of the others; the cost of watching by category, money a year."""
CHUNK = 48
"""Plans of one task; a constant, so that the number of workers never shows."""

Simulate = Callable[[Sequence[tuple[int, int]]], Array]
"""From (plan, replication) pairs to their columns, (pairs, len(COLUMNS)). A replication is the same world for all."""


@dataclass
class PlanRuns:
    """All runs so far; each plan has met the worlds 0, 1, ... up to its number of replications."""

    simulate: Simulate = field(repr=False)
    plans: int
    values: list[Array] = field(init=False)
    """Of each plan, (replications, len(COLUMNS))."""

    def __post_init__(self) -> None:
        self.values = [np.empty((0, len(COLUMNS))) for _ in range(self.plans)]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Replications of each plan, (plans,)."""
        return np.array([len(v) for v in self.values], dtype=np.int64)

    def extend(self, wanted: Mapping[int, int]) -> None:
        """Simulate until each plan, by number, has met as many worlds as wanted.

        Raises ValueError for runs that are not finite.
        """
        pairs = [
            (plan, world) for plan, count in wanted.items() for world in range(len(self.values[plan]), count)
        ]
        if not pairs:
            return
        pairs.sort(key=lambda pair: (pair[1], pair[0]))
        found = self.simulate(pairs)
        if not np.isfinite(found).all():
            plan, world = pairs[int(np.argmin(np.isfinite(found).all(axis=1)))]
            raise ValueError(f"plan {plan}, world {world}: gave a cost that is not finite")
        order = np.array([plan for plan, _ in pairs])
        for plan in dict.fromkeys(order.tolist()):
            self.values[plan] = np.vstack([self.values[plan], found[order == plan]])

    def column(self, plan: int, name: str, count: int | None = None) -> Array:
        """One column of a plan in the first `count` worlds, (replications,)."""
        return self.values[plan][:count, COLUMNS.index(name)]

    def total(self, plan: int, count: int | None = None) -> Array:
        """Monitoring and loss together, money a year, (replications,)."""
        return self.column(plan, "monitoring", count) + self.column(plan, "loss", count)


@dataclass(frozen=True)
class Simulator:
    """Plays plans in the worlds of a seed; pairs of one world go to one process, chunk by chunk."""

    scenario: Scenario
    scenarios: Sequence[Scenario]
    """The scenario as each plan has it."""
    policies: Sequence[Policy]
    """The policy of each plan."""
    seed: int
    workers: int | None
    step: Callable[[int], None] = lambda count: None
    """Called with the number of runs that were done."""

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> Array:
        """Columns of each pair of plan and replication, (pairs, len(COLUMNS)); pairs sorted by replication."""
        chunks: list[list[tuple[int, int]]] = []
        for pair in pairs:
            if not chunks or len(chunks[-1]) == CHUNK or chunks[-1][0][1] != pair[1]:
                chunks.append([])
            chunks[-1].append(pair)
        tasks = [
            (self.scenario, [(self.scenarios[p], self.policies[p]) for p, _ in chunk], self.seed, chunk[0][1])
            for chunk in chunks
        ]
        rows: list[Array] = []
        for found in in_order(play_chunk, tasks, self.workers):
            rows.append(found)
            self.step(len(found))
        return np.vstack(rows)


def play_chunk(
    scenario: Scenario, plans: Sequence[tuple[Scenario, Policy]], seed: int, replication: int
) -> Array:
    """Columns of each scenario under its policy in one world, (plans, len(COLUMNS))."""
    world = World(scenario, seed, replication)
    return np.array([columns_of(play_in(world.for_scenario(of_plan), policy)) for of_plan, policy in plans])


def columns_of(result: Result) -> tuple[float, ...]:
    """The columns of one run."""
    per_year = DAYS_PER_YEAR / result.scenario.horizon
    costs, summary = result.costs, result.summary
    parts = [float(costs[category]) * per_year for category in MONITORING]
    incidents, undetected = float(summary["incidents"]), float(summary["incidents_undetected"])
    detected = incidents - undetected
    delay = detected * float(summary["incident_mttd_hours"]) if detected else 0.0
    loss = float(sum(costs[category] for category in costs.index if category not in MONITORING))
    return (sum(parts), loss * per_year, incidents, undetected, delay, *parts)
