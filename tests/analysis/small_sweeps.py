"""A small sweep with several parts, and the digest of a store, for the tests of sweeps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from unittest.mock import patch

import analysis.tasks
import scenarios
from analysis.designs import Design, design
from analysis.sweep import Plan, plan_sweep
from scenarios.schema import Scenario

POLICIES = ["never", "scheduled:7d", "triggered"]
PARTS_OF = 0.02
"""Seconds per part that give the small sweep several parts."""


def small_scenario() -> Scenario:
    """The rotting asset for 20 days, with random traffic."""
    return scenarios.load("rotting_asset", horizon="20d", traffic__arrivals="poisson")


def small_design(scenario: Scenario, decays: int = 6) -> Design:
    """Decay by price."""
    return design(
        scenario,
        {
            "quality.decay": [f"{0.5 * n}%/d" for n in range(1, decays + 1)],
            "pipeline.cost.compute": ["$100", "$4000"],
        },
    )


def small_plan(replications: int = 4, seed: int = 0) -> Plan:
    """12 variants under three policies, in several parts."""
    scenario = small_scenario()
    with patch.object(analysis.tasks, "SECONDS_PER_PART", PARTS_OF):
        return plan_sweep(scenario, small_design(scenario), POLICIES, replications=replications, seed=seed)


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a store but its report."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "report"
    }
