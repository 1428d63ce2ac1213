"""Policies made ready for a scenario, and played in its worlds."""

from __future__ import annotations

import copy

from analysis.tuning import resolved
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from sim.engine import monitors_of, run
from sim.policies import Oracle, Policy, innermost, policy_of
from sim.record import Result
from sim.world import World


def entrant_of(
    scenario: Scenario, spec: PolicySpec | Policy, seed: int = 0, workers: int | None = 1
) -> tuple[Policy, float | None]:
    """The policy with its interval (days) where it asked for the best one, None for others.

    workers: processes for the tuning, as in `compare`. Raises ValueError for a policy that does not fit the scenario.
    """
    tuned = resolved(scenario, spec, seed, workers)
    policy = policy_of(tuned) if isinstance(tuned, PolicySpec) else tuned
    monitors_of(policy, scenario)  # a policy that does not fit the scenario says so here
    interval = tuned.interval if isinstance(tuned, PolicySpec) and tuned is not spec else None
    return policy, interval


def world_for(policy: Policy, world: World) -> World:
    """The world as the policy meets it: the oracle needs no monitors, and is not charged for them."""
    return world.unwatched() if isinstance(innermost(policy), Oracle) else world


def play_in(world: World, policy: Policy) -> Result:
    """Play a policy in a world as it is; what it leaves in itself must not show in another one."""
    return run(world.scenario, copy.deepcopy(policy), world.seed, replication=world.replication, world=world)
