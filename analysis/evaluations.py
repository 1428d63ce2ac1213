"""Runs of several policies in the same worlds, as columns: what the decisions of this package are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.entrants import entrant_of, play_in, world_for
from analysis.responses import COLUMNS, figures_of
from scenarios.policies import PolicySpec, parse_policy
from scenarios.schema import Scenario
from sim.policies import Policy
from sim.world import World

Array = NDArray[np.float64]
Runs = dict[str, Array]
"""Columns of one policy, (replications,) each."""
SEARCH = 2_000_000_000
"""Replication numbers from here on are for searching; what is reported comes from other worlds."""
FRESH = 3_000_000_000
"""Replication numbers from here on are for the final choice among what a search has found."""


def policies_of(
    scenario: Scenario, given: Sequence[str | PolicySpec | Policy], seed: int = 0, workers: int | None = 1
) -> dict[str, Policy]:
    """Policies by name, tuned where they ask for it, each checked against the scenario.

    Raises ValueError for a policy that does not exist, does not fit, or is there twice.
    """
    found: dict[str, Policy] = {}
    for item in given:
        spec = parse_policy(item) if isinstance(item, str) else item
        if spec.name in found:
            raise ValueError(f"policy {spec.name!r} is there twice, expected different ones")
        found[spec.name], _ = entrant_of(scenario, spec, seed, workers)
    return found


def play(
    scenario: Scenario, policies: Mapping[str, Policy], seed: int, replications: range
) -> dict[str, Runs]:
    """All columns of each policy in each of the worlds, (replications,) each."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in policies}
    for number in replications:
        world = World(scenario, seed, number)
        for name, policy in policies.items():
            rows[name].append(figures_of(play_in(world_for(policy, world), policy)))
    return {name: columns(found) for name, found in rows.items()}


def columns(rows: Sequence[Mapping[str, Any]]) -> Runs:
    """Rows as columns."""
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in COLUMNS}
